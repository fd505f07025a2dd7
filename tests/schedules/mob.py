"""What the processes of tests/runs/crowd.py do to schedules: be schedulers that are killed, and everything at once."""

import os
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, F
from django.utils import timezone

from pipelines import catalog
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import bell, lifecycle, recovery
from runs.admission import NotAdmitted
from runs.models import Origin, PipelineRun
from runs.retrying import repeating
from runs.states import RunStatus
from schedules import holding, scheduler, triggers
from schedules.backfilling import backfill_endings, backfills
from schedules.models import Backfill, Decision, Occurrence, PipelineSchedule, ScheduleType, Source
from tests.factories import make_backfill, make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED
from tests.runs.process import finish, me

MINUTE = timedelta(minutes=1)
FAST = 30  # virtual seconds in one of ours


def start_over() -> None:
    for model in (Occurrence, Backfill, PipelineRun, PipelineSchedule, Pipeline):
        model.objects.all().delete()


# --- schedulers that come and go --------------------------------------------------------------------------------------


def make_many(count: int) -> int:
    """Make schedules of which half have three moments to catch up on and half come once within three seconds."""
    catalog.refresh(settings.PROJECT_DIR)  # schedulers set aside what is not there
    pipeline, now, minute = catalog.find("telling"), timezone.now(), timedelta(minutes=1)
    since = now.replace(second=0, microsecond=0) - 3 * minute - timedelta(seconds=1)
    rows = []
    for number in range(count):
        fields: dict[str, Any] = {
            "schedule_interval": "@once",
            "start_time": now + timedelta(seconds=3 * number / count),
        }
        fields |= {"last_enabled_at": now, "decided_until": now, "next_due_at": fields["start_time"]}
        if number % 2:
            fields = {"schedule_interval": "* * * * *", "end_time": since + 3 * minute, "settings": {"catchup": "all"}}
            fields |= {"last_enabled_at": since, "decided_until": since, "next_due_at": since + timedelta(seconds=1)}
        rows.append(PipelineSchedule(pipeline=pipeline, name=f"number {number}", is_active=True, **fields))
    PipelineSchedule.objects.bulk_create(rows)
    return count // 2 + 3 * (count - count // 2)


def fork_scheduler(redis_url: str = "") -> int:
    """Start a scheduler process; return its number."""
    connection.close()
    if pid := os.fork():
        return pid
    settings.REDIS_URL = redis_url
    bell.carrier.cache_clear()
    try:
        scheduler.run_forever(threading.Event())
    finally:
        os._exit(1)  # it only ends by being killed


def bury(pid: int) -> int:
    """Take note of the end of a child that was killed."""
    return os.waitpid(pid, 0)[0]


def end_other_sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def count_rows() -> int:
    return Occurrence.objects.count()


def book() -> dict[str, int]:
    """Compare the ledger with the runs; every number but the first two has to be nought."""
    per_moment = Occurrence.objects.values("schedule", "scheduled_for").annotate(rows=Count("id"))
    runs = PipelineRun.objects.values("trigger_id", "execution_date").annotate(rows=Count("id"))
    started = Occurrence.objects.filter(decision=Decision.STARTED)
    return {
        "rows": Occurrence.objects.count(),
        "runs": PipelineRun.objects.count(),
        "moments twice": per_moment.filter(rows__gt=1).count(),
        "moments run twice": runs.filter(rows__gt=1).count(),
        "started without a run": started.filter(pipeline_run=None).count(),
        "of another moment": started.exclude(pipeline_run__execution_date=F("scheduled_for")).count(),
        "runs without a row": PipelineRun.objects.filter(occurrence=None).count(),
        "runs without their block": PipelineRun.objects.annotate(blocks=Count("block_runs")).exclude(blocks=1).count(),
        "due in the past": PipelineSchedule.objects.active().filter(next_due_at__lte=timezone.now() - MINUTE).count(),
    }


def latest() -> float:
    """Return how many seconds after its moment the latest run of a trigger that came once was made."""
    runs = PipelineRun.objects.filter(trigger_id__in=PipelineSchedule.objects.filter(schedule_interval="@once"))
    return max((run.created_at - run.execution_date).total_seconds() for run in runs)


# --- everything at once on what is limited ----------------------------------------------------------------------------

LIMITED = {"pipeline_run_limit_all_triggers": 2, "on_pipeline_run_limit_reached": "wait"}


def make_limited() -> int:
    """Make a pipeline of which two runs may go on, and triggers of it of every kind."""
    limited = make_pipeline("limited", [("only",)], concurrency_config=LIMITED)
    make_pipeline("first", [("only",)])
    ways: dict[str, dict[str, Any]] = {
        "cancels": {"overlap": "cancel_other"},
        "waits": {"overlap": "wait_all", "catchup": "all"},
        "one": {"pipeline_run_limit": 1, "on_pipeline_run_limit_reached": "wait", "start_deadline": 60},
        "skips": {"skip_if_previous_running": True, "jitter": 30},
    }
    rules = {"schedule_interval": "* * * * *"}
    for name, way in ways.items():
        make_trigger(limited, name=name, settings=way, **rules)
    make_trigger(limited, name="called", schedule_type=ScheduleType.API, settings={"pipeline_run_limit": 1})
    after = {"after": {"pipelines": ["first"], "on": "finished"}}
    make_trigger(limited, name="after", schedule_type=ScheduleType.EVENT, settings=after)
    make_trigger(Pipeline.objects.get(uuid="first"), name="first", **rules)
    return PipelineSchedule.objects.count()


def make_trigger(pipeline: Pipeline, **fields: Any) -> None:
    triggers.create(pipeline.uuid, fields, is_active=True, source=Source.UI, moment=timezone.now())


def riot(seed: int, begun: float, seconds: float) -> dict[str, Any]:
    """Do at random what schedulers, workers and people do; return what was done and what was raised."""
    dice, done, raised = random.Random(seed), Counter[str](), []
    while time.time() < begun + seconds:
        action = dice.choices(list(ACTIONS), WEIGHTS)[0]
        moment = datetime.fromtimestamp(begun + FAST * (time.time() - begun), tz=timezone.get_default_timezone())
        try:
            ACTIONS[action](dice, moment)
            done[action] += 1
        except Refusal:
            done[f"{action} refused"] += 1
        except (PipelineSchedule.DoesNotExist, Backfill.DoesNotExist):
            done[f"{action} found nothing"] += 1
        except Exception:
            raised.append(f"{action}: {traceback.format_exc()}")
        if (running := going_on()) > 2:
            raised.append(f"{running} runs at once after {action}")
    return {"done": done, "raised": raised[:3]}


def going_on() -> int:
    return PipelineRun.objects.filter(pipeline__uuid="limited", status=RunStatus.RUNNING).count()


def some_schedule(**wanted: Any) -> PipelineSchedule:
    found = PipelineSchedule.objects.ready_to_start().filter(**wanted).order_by("?").first()
    if found is None:
        raise PipelineSchedule.DoesNotExist
    return found


def do_tick(dice: random.Random, moment: datetime) -> None:
    scheduler.tick(moment)


def do_call(dice: random.Random, moment: datetime) -> None:
    scheduler.start_now(
        some_schedule(name=dice.choice(["called", "called", "after"])), moment=moment, origin=Origin.API
    )


def do_start(dice: random.Random, moment: datetime) -> None:
    if PipelineRun.objects.filter(status=RunStatus.INITIAL).count() < 20:
        lifecycle.create_run(Pipeline.objects.get(uuid="limited"), moment=moment, origin=Origin.MANUAL)


def do_work(dice: random.Random, moment: datetime) -> None:
    block_run = lifecycle.claim_next(me(), timezone.now())
    while block_run is not None:
        block_run = finish(block_run, dice.choices([COMPLETED, FAILED], [4, 1])[0], takes=True)


def do_cancel(dice: random.Random, moment: datetime) -> None:
    if run := PipelineRun.objects.unfinished().order_by("?").first():
        lifecycle.cancel(run, moment=moment, reason="at random")


def do_retry(dice: random.Random, moment: datetime) -> None:
    ended = PipelineRun.objects.filter(status__in=("failed", "cancelled"))
    if run := ended.select_related("version").order_by("?").first():
        repeating.retry(run, moment=moment)


def do_backfill(dice: random.Random, moment: datetime) -> None:
    schedule = some_schedule(name=dice.choice(["waits", "one", "cancels"]))
    end = timezone.now() - dice.randrange(60) * MINUTE
    backfills.start(
        make_backfill(
            schedule.pipeline,
            schedule=schedule,
            interval_type="schedule",
            start_at=end - 3 * MINUTE,
            end_at=end,
            which=dice.choice(["missing", "failed", "all"]),
            run_limit=2,
        ),
        moment,
    )


def do_end_backfill(dice: random.Random, moment: datetime) -> None:
    backfill_endings.close_finished(moment)
    if dice.random() < 0.5 and (backfill := Backfill.objects.open().order_by("?").first()):
        backfill_endings.cancel(backfill, moment)


def do_edit(dice: random.Random, moment: datetime) -> None:
    schedule = some_schedule(name=dice.choice(["cancels", "waits", "after", "skips"]))
    fields = {"description": str(dice.random())}
    if schedule.schedule_type == ScheduleType.TIME:
        fields["schedule_interval"] = dice.choice(["* * * * *", "*/2 * * * *", "every 1 minutes"])
    triggers.change(schedule, fields, is_active=None, moment=moment)


def do_switch(dice: random.Random, moment: datetime) -> None:
    schedule = some_schedule(name=dice.choice(["waits", "one", "after"]))
    triggers.pause(schedule, moment) if schedule.is_active else triggers.resume(schedule, moment)
    holding.release(holding.held(), moment, by="ada")


def do_sweep(dice: random.Random, moment: datetime) -> None:
    recovery.sweep(timezone.now())


ACTIONS: dict[str, Callable[[random.Random, datetime], None]] = {
    "tick": do_tick,
    "call": do_call,
    "start": do_start,
    "work": do_work,
    "cancel": do_cancel,
    "retry": do_retry,
    "backfill": do_backfill,
    "end backfill": do_end_backfill,
    "edit": do_edit,
    "switch": do_switch,
    "sweep": do_sweep,
}
WEIGHTS = [20, 8, 6, 30, 5, 4, 4, 3, 3, 3, 3]


def stuck() -> dict[str, int]:
    """After one more sweep and tick: what waits though there is room, and what does not fit together."""
    moment = timezone.now() + 600 * MINUTE
    PipelineSchedule.objects.update(is_active=False, next_due_at=None)
    Occurrence.objects.filter(decision=Decision.WAITING).update(decision=Decision.CANCELLED)
    for _ in range(100):
        recovery.sweep(timezone.now())
        do_work(random.Random(0), moment)
        if not PipelineRun.objects.unfinished().exists():
            break
    started = Occurrence.objects.filter(decision=Decision.STARTED)
    return {
        "never ended": PipelineRun.objects.unfinished().count(),
        "more than two at once": int(going_on() > 2),
        "started without a run": started.filter(pipeline_run=None).count(),
        "scheduled without a row": PipelineRun.objects.filter(origin=Origin.SCHEDULE, occurrence=None)
        .exclude(execution_date__in=Occurrence.objects.exclude(backfill=None).values("scheduled_for"))
        .count(),
    }


# --- one at a time ----------------------------------------------------------------------------------------------------


def make_single() -> int:
    pipeline = make_pipeline("single", [("only",)])
    make_trigger(pipeline, name="called", schedule_type=ScheduleType.API, settings={"pipeline_run_limit": 1})
    return 1


def call_often(seed: int, times: int) -> dict[str, Any]:
    """Start runs of a trigger that may have one; end some; return [started, refused, most seen at once]."""
    dice, started, refused, most = random.Random(seed), 0, 0, 0
    for _ in range(times):
        try:
            scheduler.start_now(some_schedule(name="called"), moment=timezone.now(), origin=Origin.API)
            started += 1
        except NotAdmitted:
            refused += 1
        most = max(most, PipelineRun.objects.unfinished().count())
        if dice.random() < 0.4:
            do_work(dice, timezone.now())
    return {"started": started, "refused": refused, "most": most}


def decisions() -> dict[str, int]:
    return dict(Occurrence.objects.order_by().values_list("decision").annotate(count=Count("id")))
