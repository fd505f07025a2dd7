"""What the processes of `benchmarks.clock` do: `python -m benchmarks.clock_process NAME ARGUMENTS`, both ways in JSON.

They run with our own settings against the scratch database of a `Ground`.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from pipelines import catalog  # noqa: E402
from pipelines.models import Pipeline  # noqa: E402
from runs.models import Origin, PipelineRun  # noqa: E402
from runs.states import RunStatus  # noqa: E402
from schedules import scheduler  # noqa: E402
from schedules.backfilling import backfills  # noqa: E402
from schedules.models import Decision, Occurrence, PipelineSchedule  # noqa: E402
from schedules.simulating import simulated  # noqa: E402
from schedules.timetable import read_zone  # noqa: E402

MINUTE = timedelta(minutes=1)
SCHEDULES = PipelineSchedule._meta.db_table


def start_over() -> Pipeline:
    call_command("flush", interactive=False, verbosity=0)
    catalog.refresh(settings.PROJECT_DIR)
    return catalog.find("single")


def make(pipeline: Pipeline, rows: Iterator[dict[str, Any]]) -> None:
    """Store active schedules that were planned before: decided until an hour ago."""
    now = timezone.now()
    past = {"is_active": True, "last_enabled_at": now - timedelta(days=1), "decided_until": now}
    made = [PipelineSchedule(pipeline=pipeline, name=f"number {n}", **past | row) for n, row in enumerate(rows)]
    for schedule in made:
        schedule.plan_next(now)
    PipelineSchedule.objects.bulk_create(made, batch_size=1000)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def make_burst(size: int, lead: float) -> str:
    """Write schedules that are all due at the next whole minute that is `lead` seconds away; return it."""
    pipeline = start_over()
    due = timezone.now().replace(second=0, microsecond=0) + MINUTE
    due += MINUTE * ((due - timezone.now()).total_seconds() < lead)
    make(pipeline, ({"schedule_interval": f"{due.minute} {due.hour} * * *"} for _ in range(size)))
    return due.isoformat()


def watch_burst(size: int, due: str, patience: float = 120) -> dict[str, Any]:
    """Wait until every run is there; say how long after the moment that was, and whether each fired once."""
    moment = datetime.fromisoformat(due)
    while (there := PipelineRun.objects.count()) < size:
        if timezone.now() - moment > timedelta(seconds=patience):
            break
        time.sleep(0.05)
    took = (timezone.now() - moment).total_seconds()
    time.sleep(1)  # for a run too many to show itself
    rows = Occurrence.objects.filter(decision=Decision.STARTED, scheduled_for=moment)
    return {
        "took": took,
        "there": there,
        "runs": PipelineRun.objects.count(),
        "triggers": PipelineRun.objects.values("trigger_id").distinct().count(),
        "rows": Occurrence.objects.count(),
        "started": rows.filter(pipeline_run__isnull=False).count(),
    }


def make_crowd(size: int) -> int:
    """Write many daily schedules that are not due for an hour, and sixty that are due each minute, spread over it."""
    now = timezone.now().astimezone(UTC)
    pipeline = start_over()
    minutes = [now + timedelta(hours=1) + n * MINUTE for n in range(22 * 60)]
    daily = [f"{at.minute} {at.hour} * * *" for at in minutes]
    make(pipeline, ({"schedule_interval": daily[n % len(daily)]} for n in range(size)))
    made = [
        PipelineSchedule(
            pipeline=pipeline,
            name=f"second {second}",
            schedule_interval="* * * * *",
            is_active=True,
            last_enabled_at=now,
            decided_until=now,
            settings={"jitter": 59},
        )
        for second in range(60)
    ]
    PipelineSchedule.objects.bulk_create(made)
    for schedule in made:
        schedule.plan_next(now)
    PipelineSchedule.objects.bulk_update(made, ["next_due_at"])
    return PipelineSchedule.objects.active().count()


def count_started(since: str) -> dict[str, Any]:
    """Return how many moments were started since then, and the longest that one was late, in seconds."""
    rows = Occurrence.objects.filter(decided_at__gte=since).select_related("schedule")
    late = [row.decided_at - row.scheduled_for - row.schedule.timing().shift for row in rows if row.schedule]
    return {"started": len(late), "late": max(late, default=timedelta(0)).total_seconds()}


def scans() -> dict[str, Any]:
    """Do every duty of the scheduler's loop once, something being due; return the statements that read every schedule.

    `looked_at` says how many statements about schedules were looked at.
    """
    loop = scheduler.Loop(stop=None)  # type: ignore[arg-type]
    due = PipelineSchedule.objects.next_due()
    assert due is not None
    statements: list[str] = []
    for moment in (due, due + timedelta(milliseconds=1)):
        for duty in loop.duties:
            with CaptureQueriesContext(connection) as caught:
                duty.call(moment)
            statements += [query["sql"] for query in caught if SCHEDULES in query["sql"]]
    asked = {sql for sql in statements if sql.startswith(("SELECT", "UPDATE", "DELETE"))}
    found = {sql: explain(sql) for sql in sorted(asked)}
    return {
        "looked_at": len(found),
        "scans": {sql[:400]: plan for sql, plan in found.items() if is_scan(plan)},
    }


def explain(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
        return [str(row[-1]) for row in cursor.fetchall()]


def is_scan(plan: list[str]) -> bool:
    """Does a step of the plan read the whole table of schedules? (To walk an index is not.)"""
    return any(f"Seq Scan on {SCHEDULES}" in step or step.strip() == f"SCAN {SCHEDULES}" for step in plan)


def plan_backfill(size: int) -> float:
    """Return the seconds that the plan of a backfill takes, half of whose slots have run."""
    pipeline = start_over()
    version = catalog.runnable_version(pipeline)
    now = timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    begin = now - size * timedelta(hours=1)
    slots = [begin + n * timedelta(hours=1) for n in range(0, size, 2)]
    runs = [
        PipelineRun(
            pipeline=pipeline, version=version, status=state, origin=Origin.MANUAL, execution_date=slot, created_at=slot
        )
        for slot, state in zip(slots, cycle([RunStatus.COMPLETED, RunStatus.FAILED]))
    ]
    PipelineRun.objects.bulk_create(runs, batch_size=1000)
    fields = {
        "interval_type": "hour",
        "start_at": begin,
        "end_at": now - timedelta(hours=1),
        "timezone": "Europe/Berlin",
    }
    began = time.perf_counter()
    planned = backfills.plan(backfills.draft(pipeline, None, fields), now)
    took = time.perf_counter() - began
    assert len(planned.slots) == size, len(planned.slots)
    return took


def simulate_week(size: int) -> dict[str, Any]:
    """Simulate a week of a heavy mix: hourly, quarter-hourly and daily schedules, two in five with a queue or limit."""
    pipeline = start_over()
    rows = []
    for n in range(size):
        kind = 10 * n // size
        interval = "0 * * * *" if kind < 3 else "*/15 * * * *" if kind < 6 else f"{n % 60} {n % 24} * * *"
        choices = ({"overlap": "skip"}, {"overlap": "wait_all"}, {}, {}, {})
        zone = ("UTC", "Europe/Berlin", "America/New_York")[n % 3]
        rows.append({"schedule_interval": interval, "timezone": zone, "settings": choices[n % 5]})
    make(pipeline, iter(rows))
    now = timezone.now()
    began, cpu = time.perf_counter(), time.process_time()
    world = simulated.read_world(now, now + timedelta(days=7), moment=now, workers=200)
    result = world.play()
    simulated.as_dict(world, result, read_zone("Europe/Berlin"))
    took = time.perf_counter() - began
    return {"took": took, "cpu": time.process_time() - cpu, "moments": len(result.moments)}


def profile_burst(size: int) -> str:
    """Fire a burst in this process under cProfile; return the dearest functions by their own time and in total."""
    import cProfile
    import io
    import pstats

    due = datetime.fromisoformat(make_burst(size, 0))
    profiler = cProfile.Profile()
    profiler.runcall(scheduler.tick, due)
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text)
    stats.sort_stats("tottime").print_stats(30)
    stats.sort_stats("cumtime").print_stats(60)
    return text.getvalue()


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
