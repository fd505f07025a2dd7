"""Maintenance windows hold starts, whoever starts: on time, by hand, by API, as a backfill."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pipelines.models import Pipeline
from runs import lifecycle, recovery
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.days import window_changes
from schedules.days.maintenance import Effect, MaintenanceWindow, Scope
from schedules.models import Occurrence, PipelineSchedule
from tests.factories import NOON, make_pipeline, make_schedule

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
UNTIL = NOON + 90 * MINUTE


def window(**fields: Any) -> MaintenanceWindow:
    defaults = {"name": "upgrade", "starts_at": NOON, "ends_at": UNTIL, "reason": "New disks."}
    return MaintenanceWindow.objects.create(**defaults | fields)


def hourly(pipeline: Pipeline | None = None, **fields: Any) -> PipelineSchedule:
    schedule = make_schedule(pipeline, schedule_interval="@hourly", is_active=False, **fields)
    schedule.resume(NOON)
    return schedule


def by_hand(moment: datetime, **fields: Any) -> PipelineRun:
    return lifecycle.create_run(make_pipeline("etl"), moment=moment, origin=Origin.MANUAL, **fields)


def test_a_moment_within_a_window_waits_until_it_ends_and_says_so() -> None:
    window()
    hourly()

    report = scheduler.tick(NOON + HOUR)

    occurrence = Occurrence.objects.get()
    assert (report.fired, report.next_due) == (0, UNTIL)
    assert occurrence.decision == "waiting"
    assert occurrence.reason == "Maintenance window upgrade until 2025-03-02 13:30 UTC. New disks."
    assert scheduler.tick(UNTIL - SECOND).fired == 0
    assert scheduler.tick(UNTIL).fired == 1
    assert PipelineRun.objects.get().execution_date == NOON + HOUR


def test_a_run_by_hand_is_kept_and_starts_when_the_window_ends() -> None:
    window()

    run = by_hand(NOON + MINUTE)
    recovery.start_held(NOON + HOUR)

    run.refresh_from_db()
    assert (run.status, run.reason) == (
        RunStatus.INITIAL,
        "waits: Maintenance window upgrade until 2025-03-02 13:30 UTC. New disks.",
    )
    recovery.start_held(UNTIL)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


@pytest.mark.parametrize(
    ("fields", "is_held"),
    [
        ({}, True),
        ({"effect": Effect.HOLD_STARTS}, True),
        ({"effect": Effect.MUTE_ALERTS}, False),
        ({"is_active": False}, False),
        ({"starts_at": NOON + 2 * HOUR, "ends_at": NOON + 3 * HOUR}, False),
        ({"scope": Scope.PIPELINE, "value": "etl"}, True),
        ({"scope": Scope.PIPELINE, "value": "other"}, False),
        ({"scope": Scope.TAG, "value": "nightly"}, True),  # of the pipeline
        ({"scope": Scope.TAG, "value": "finance"}, True),  # of the trigger
        ({"scope": Scope.TAG, "value": "other"}, False),
        ({"scope": Scope.EXECUTOR, "value": "local_python"}, True),
        ({"scope": Scope.EXECUTOR, "value": "k8s"}, False),
        ({"starts_at": None, "ends_at": None, "recurrence": "0 12 * * 0", "duration": 2 * HOUR}, True),
        ({"starts_at": None, "ends_at": None, "recurrence": "0 12 * * 1", "duration": 2 * HOUR}, False),
    ],
)
def test_a_window_holds_what_it_is_about(fields: dict[str, Any], is_held: bool) -> None:
    window(**fields)
    pipeline = make_pipeline()
    Pipeline.objects.update(tags=["nightly"])
    hourly(Pipeline.objects.get(pk=pipeline.pk), tags=["finance"])

    scheduler.tick(NOON + HOUR)

    assert Occurrence.objects.get().decision == ("waiting" if is_held else "started")


@pytest.mark.parametrize("end_of_it", ["deleted", "shortened", "switched off"])
def test_a_window_that_ends_early_lets_go_at_once(end_of_it: str) -> None:
    held_by = window()
    hourly()
    scheduler.tick(NOON + HOUR)

    if end_of_it == "deleted":
        window_changes.delete(held_by)
    else:
        shorter = {"ends_at": NOON + 61 * MINUTE} if end_of_it == "shortened" else {"is_active": False}
        window_changes.change(held_by, shorter)

    assert scheduler.tick(NOON + HOUR + 2 * MINUTE).fired == 1


def test_many_starts_cost_no_more_looks_at_windows_than_one() -> None:
    window(scope=Scope.PIPELINE, value="none")
    for number in range(20):
        hourly(name=f"number {number}")

    assert scheduler.tick(NOON + HOUR).fired == 20
