# ruff: noqa: F401 - names for the code that scratch.py sends
"""What a process of tests/schedules/scratch.py can do: make rows, look at them, be a scheduler."""

import json
import logging
import signal
import sys
import threading
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from pipelines import catalog
from runs.models import PipelineRun, Worker
from schedules import scheduler
from schedules.models import Occurrence, PipelineSchedule
from tests.factories import make_schedule


def answer() -> None:
    """Evaluate the expressions that come by line; answer in JSON."""
    for line in sys.stdin:
        print(json.dumps(eval(json.loads(line), globals()), default=str), flush=True)


def start_over() -> None:
    for model in (Occurrence, PipelineRun, PipelineSchedule, Worker):
        model.objects.all().delete()
    catalog.refresh(settings.PROJECT_DIR)


def make_schedules(count: int, interval: str, since: str, **fields: Any) -> int:
    pipeline = catalog.find("etl")
    for number in range(count):
        schedule = make_schedule(
            pipeline, name=f"number {number}", schedule_interval=interval, is_active=False, **fields
        )
        schedule.resume(datetime.fromisoformat(since))
    return count


def make_once(name: str, after: float) -> str:
    """Write a schedule that is due in so many seconds, as a page would; return when."""
    due = timezone.now() + timedelta(seconds=after)
    schedule = make_schedule(name=name, schedule_interval="@once", start_time=due, is_active=False)
    schedule.resume(timezone.now())
    return due.isoformat()


def tick_when_told() -> None:
    """Tick at each moment that comes by line; answer with the number of runs started."""
    for line in sys.stdin:
        print(scheduler.tick(datetime.fromisoformat(line.strip())).fired, flush=True)


def schedule_forever() -> None:
    """Be a scheduler until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    scheduler.run_forever(stop)


def ledger() -> list[Any]:
    return list(Occurrence.objects.order_by("id").values_list("schedule_id", "scheduled_for", "decision"))


def started() -> list[Any]:
    """Return (trigger, execution date) of every run."""
    return list(PipelineRun.objects.order_by("id").values_list("trigger_id", "execution_date"))


def lateness() -> dict[str, float]:
    """Return, by trigger name, the seconds from the due moment until its run was created."""
    runs = PipelineRun.objects.order_by("id")
    return {run.trigger_name: (run.created_at - run.execution_date).total_seconds() for run in runs}


def heartbeat() -> dict[str, Any]:
    worker = Worker.objects.latest("id")
    return {name: getattr(worker, name) for name in ("kind", "pid", "last_loop_at", "stopped_at")}


def end_other_sessions() -> int:
    """End every other session of this database, as an administrator or a failing server would."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def set_aside() -> dict[str, str]:
    return dict(PipelineSchedule.objects.exclude(problem="").values_list("name", "problem"))
