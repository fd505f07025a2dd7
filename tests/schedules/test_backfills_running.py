"""Backfills from their start to their end, through the scheduler's ticks on a virtual clock."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from executors.base import Outcome
from runs import lifecycle
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.backfilling import backfill_endings, backfills
from schedules.backfilling.backfill_progress import progress
from schedules.models import Backfill, Decision, Occurrence
from tests.factories import FEBRUARY, NOON, make_backfill, make_pipeline, make_schedule
from tests.runs.outcomes import COMPLETED, FAILED, make_owner

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _pipeline() -> None:
    make_pipeline("etl", [("load",)])


def started(count: int = 5, **fields: Any) -> Backfill:
    backfill = make_backfill(end_at=FEBRUARY + timedelta(days=count - 1), **fields)
    backfills.start(backfill, NOON)
    return backfill


def running() -> list[int]:
    """The days of the slots whose runs go on."""
    runs = PipelineRun.objects.filter(status=RunStatus.RUNNING, origin=Origin.BACKFILL)
    return [at.day for at in runs.order_by("execution_date").values_list("execution_date", flat=True)]


def finish(moment: datetime, first: Outcome = COMPLETED) -> None:
    """Let every run that goes on end, the first of them as `first` says."""
    worker, outcome = make_owner(moment), first
    while block_run := lifecycle.claim_next(worker, moment):
        lifecycle.finish_block(block_run, outcome, moment=moment)
        outcome = COMPLETED


def work_off(backfill: Backfill, moment: datetime) -> list[list[int]]:
    """Tick until the backfill is over; return what ran together each time."""
    found: list[list[int]] = []
    while len(found) < 20:
        scheduler.tick(moment)
        if not (now := running()):
            break
        found.append(now)
        finish(moment)
        moment += SECOND
    backfill_endings.close_finished(moment)
    backfill.refresh_from_db()
    return found


def test_its_slots_become_runs_with_all_that_a_run_of_a_backfill_has() -> None:
    schedule = make_schedule(variables={"country": "DE", "full": False}, settings={"timeout": 60}, is_active=False)
    backfill = started(1, schedule=schedule, variables={"full": True})

    scheduler.tick(NOON)

    run = PipelineRun.objects.get()
    assert (run.origin, run.backfill_id, run.priority) == (Origin.BACKFILL, backfill.pk, 50)
    assert (run.execution_date, run.interval_end) == (FEBRUARY, FEBRUARY + timedelta(days=1))
    assert (run.trigger_id, run.variables, run.timeout) == (
        schedule.pk,
        {"country": "DE", "full": True},
        timedelta(minutes=1),
    )
    row = Occurrence.objects.get()
    assert (row.decision, row.pipeline_run) == (Decision.STARTED, run)


@pytest.mark.parametrize(
    ("fields", "batches"),
    [
        ({"run_limit": 2}, [[1, 2], [3, 4], [5]]),
        ({"run_limit": 2, "newest_first": True}, [[4, 5], [2, 3], [1]]),
        ({"run_limit": 9}, [[1, 2, 3, 4, 5]]),
        ({}, [[1], [2], [3], [4], [5]]),
    ],
)
def test_as_many_run_at_a_time_as_its_limit_says_in_its_order(fields: dict[str, Any], batches: list[list[int]]) -> None:
    backfill = started(5, **fields)

    assert work_off(backfill, NOON) == batches
    assert backfill.state == "completed"
    assert progress([backfill])[backfill.pk] == {"completed": 5}


def test_a_slot_says_what_it_waits_for() -> None:
    started(2)
    scheduler.tick(NOON)
    scheduler.tick(NOON + SECOND)

    row = Occurrence.objects.get(decision=Decision.WAITING)

    assert row.reason == "The limit was reached: 1 run of this backfill at a time."
    assert row.blocker_run_id == PipelineRun.objects.get().pk


def test_a_higher_limit_counts_from_the_next_look_on() -> None:
    backfill = started(5)
    scheduler.tick(NOON)
    assert running() == [1]

    backfills.change(backfill, {"run_limit": 3})
    scheduler.tick(NOON + SECOND)

    assert running() == [1, 2, 3]


def test_nothing_is_started_while_it_is_paused() -> None:
    backfill = started(3)
    scheduler.tick(NOON)
    backfills.pause(backfill, NOON)
    finish(NOON)

    scheduler.tick(NOON + SECOND)
    assert running() == []

    backfills.resume(backfill, NOON)
    scheduler.tick(NOON + 2 * SECOND)
    assert running() == [2]


def test_nothing_is_started_after_it_is_cancelled() -> None:
    backfill = started(3)
    scheduler.tick(NOON)

    backfill_endings.cancel(backfill, NOON)
    scheduler.tick(NOON + SECOND)

    assert PipelineRun.objects.get().status == RunStatus.CANCELLED
    assert progress([backfill])[backfill.pk] == {"cancelled": 3}


def test_live_moments_go_before_a_backfill_where_there_is_room_for_one() -> None:
    pipeline = make_pipeline("narrow", [("load",)], concurrency_config={"pipeline_run_limit_all_triggers": 1})
    schedule = make_schedule(pipeline, settings={"overlap": "wait_all"}, schedule_interval="@hourly", is_active=False)
    started(2, pipeline=pipeline)
    scheduler.tick(NOON)
    assert running() == [1]

    schedule.resume(NOON)
    hour = NOON + timedelta(hours=1)
    scheduler.tick(hour)  # the live moment waits: the slot is taken
    finish(hour)
    scheduler.tick(hour + SECOND)

    going_on = PipelineRun.objects.get(status=RunStatus.RUNNING)
    assert (going_on.origin, going_on.execution_date) == (Origin.SCHEDULE, hour)


def test_slots_wait_also_where_the_pipeline_skips_what_comes_while_its_limit_is_reached() -> None:
    limits = {"pipeline_run_limit_all_triggers": 1, "on_pipeline_run_limit_reached": "skip"}
    backfill = started(3, pipeline=make_pipeline("narrow", [("load",)], concurrency_config=limits), run_limit=3)

    assert work_off(backfill, NOON) == [[1], [2], [3]]


def test_a_slot_that_was_run_is_not_run_again_by_the_next_backfill() -> None:
    work_off(started(3, run_limit=3), NOON)

    second = started(5, run_limit=5)

    assert work_off(second, NOON + timedelta(minutes=1)) == [[4, 5]]
    assert PipelineRun.objects.count() == 5


def test_a_moment_that_a_schedule_missed_is_run_once_and_stays_one_row() -> None:
    schedule = make_schedule(settings={"catchup": "none"}, is_active=False)
    schedule.resume(FEBRUARY)
    scheduler.tick(FEBRUARY + timedelta(days=4, hours=12))
    assert set(Occurrence.objects.values_list("decision", flat=True)) == {"missed"}
    before = Occurrence.objects.count()
    backfill = make_backfill(
        schedule=schedule,
        interval_type="schedule",
        start_at=FEBRUARY + timedelta(days=1),
        end_at=FEBRUARY + timedelta(days=4),
        run_limit=9,
    )

    backfills.start(backfill, NOON)
    ran = work_off(backfill, FEBRUARY + timedelta(days=4, hours=12, seconds=1))

    assert ran == [[2, 3, 4, 5]]
    assert Occurrence.objects.count() == before == 4


def test_what_failed_is_tried_again_and_nothing_else() -> None:
    backfill = started(3, run_limit=3)
    scheduler.tick(NOON)
    finish(NOON, FAILED)
    backfill_endings.close_finished(NOON)
    backfill.refresh_from_db()
    assert backfill.state == "failed"

    assert backfills.retry_failed(backfill, NOON) == 1

    assert work_off(backfill, NOON + SECOND) == [[1]]
    assert backfill.state == "completed"
    assert PipelineRun.objects.count() == 4


def test_a_pipeline_that_breaks_meanwhile_skips_its_slots_and_they_can_be_tried_again() -> None:
    backfill = started(2, run_limit=2)
    backfill.pipeline.is_valid = False
    backfill.pipeline.save()
    assert work_off(backfill, NOON) == []
    assert progress([backfill])[backfill.pk] == {"skipped": 2}
    assert backfill.state == "failed"

    backfill.pipeline.is_valid = True
    backfill.pipeline.save()
    backfills.retry_failed(backfill, NOON)

    assert work_off(backfill, NOON + SECOND) == [[1, 2]]
    assert backfill.state == "completed"
