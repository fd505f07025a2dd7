"""Backfills under way: paused, throttled, tried again, cancelled with their runs, closed; and how far they are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.retrying import repeating
from runs.states import BlockStatus, RunStatus
from schedules.backfilling import backfill_endings, backfills
from schedules.backfilling.backfill_progress import forecast, progress
from schedules.models import Backfill, Decision, Occurrence
from tests.factories import FEBRUARY, NOON, make_backfill, make_pipeline, make_run

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(hours=1)


def started(count: int = 5, **fields: Any) -> Backfill:
    backfill = make_backfill(end_at=FEBRUARY + timedelta(days=count - 1), **fields)
    backfills.start(backfill, NOON)
    return backfill


def run(backfill: Backfill, number: int, status: RunStatus, **fields: Any) -> PipelineRun:
    """Let a slot of the backfill, counted from 1, have been started."""
    at = FEBRUARY + timedelta(days=number - 1)
    found = make_run(backfill.pipeline, status=status, execution_date=at, backfill_id=backfill.pk, **fields)
    row = Occurrence.objects.filter(backfill=backfill, scheduled_for=at)
    assert row.update(decision=Decision.STARTED, pipeline_run=found)
    return found


def state(backfill: Backfill) -> str:
    backfill.refresh_from_db()
    return backfill.state


def counts(backfill: Backfill) -> dict[str, int]:
    return dict(progress([backfill])[backfill.pk])


# --- pause, resume, throttle ----------------------------------------------------------------------------------------


def test_a_backfill_is_paused_and_goes_on() -> None:
    backfill = started()

    backfills.pause(backfill, LATER)
    assert (backfill.state, backfill.paused_at) == ("paused", LATER)

    backfills.resume(backfill, LATER)
    assert (backfill.state, backfill.paused_at) == ("running", None)


def test_a_limit_a_priority_and_a_name_are_changed_while_it_runs() -> None:
    backfill = started()
    run(backfill, 1, RunStatus.RUNNING)

    backfills.change(backfill, {"run_limit": 7, "priority": 20, "name": "May"})

    backfill.refresh_from_db()
    assert (backfill.run_limit, backfill.priority, backfill.name) == (7, 20, "May")
    rows = Occurrence.objects.order_by("scheduled_for").values_list("priority", flat=True)
    assert list(rows) == [50, 20, 20, 20, 20]


def test_a_name_that_is_taken_away_becomes_the_plain_one() -> None:
    backfill = started(name="May", timezone="Asia/Tokyo")

    backfills.change(backfill, {"name": " "})

    assert Backfill.objects.get().name == "etl 2025-02-01 – 2025-02-05"


@pytest.mark.parametrize(("field", "value"), [("run_limit", 0), ("priority", 5000), ("name", "x" * 201)])
def test_a_change_that_makes_no_sense_changes_nothing(field: str, value: object) -> None:
    backfill = started()

    with pytest.raises(Refusal) as caught:
        backfills.change(backfill, {field: value})

    assert caught.value.field == field
    assert getattr(Backfill.objects.get(), field) != value


@pytest.mark.parametrize(
    "verb",
    [
        lambda backfill: backfills.pause(backfill, LATER),
        lambda backfill: backfills.resume(backfill, LATER),
        lambda backfill: backfills.change(backfill, {"run_limit": 3}),
        lambda backfill: backfills.retry_failed(backfill, LATER),
        lambda backfill: backfill_endings.cancel(backfill, LATER),
    ],
)
def test_a_cancelled_backfill_refuses_every_verb(verb: Callable[[Backfill], object]) -> None:
    backfill = started()
    backfill_endings.cancel(backfill, NOON)
    before = Backfill.objects.values().get()

    with pytest.raises(Refusal, match=f"Backfill {backfill.pk} is cancelled") as caught:
        verb(backfill)

    assert caught.value.code == "conflict"
    assert Backfill.objects.values().get() == before


# --- cancelled ------------------------------------------------------------------------------------------------------


def test_cancelling_stops_the_runs_and_leaves_nothing_waiting() -> None:
    backfill = started()
    done = run(backfill, 1, RunStatus.COMPLETED)
    active = run(backfill, 2, RunStatus.RUNNING, blocks={"load": BlockStatus.RUNNING})
    queued = run(backfill, 3, RunStatus.INITIAL, started_at=None)

    assert backfill_endings.cancel(backfill, LATER, by="ada") == 2

    for each, status in ((done, "completed"), (active, "cancelled"), (queued, "cancelled")):
        each.refresh_from_db()
        assert each.status == status
    assert not active.block_runs.exclude(status=BlockStatus.CANCELLED).exists()
    assert active.reason == "the backfill was cancelled by ada"
    assert counts(backfill) == {"completed": 1, "cancelled": 4}
    assert state(backfill) == "cancelled"


def test_runs_of_others_are_not_stopped() -> None:
    backfill, other = started(1), started(1, pipeline=make_pipeline("other"))
    run(other, 1, RunStatus.RUNNING)
    make_run(backfill.pipeline)

    assert backfill_endings.cancel(backfill, LATER) == 0
    assert PipelineRun.objects.filter(status=RunStatus.RUNNING).count() == 2


def test_more_runs_than_a_request_stops_are_stopped_by_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_endings, "AT_ONCE", 2)
    backfill = started()
    for number in range(1, 6):
        run(backfill, number, RunStatus.RUNNING)

    assert backfill_endings.cancel(backfill, LATER) == 2
    assert backfill_endings.close_finished(LATER) == LATER
    assert backfill_endings.close_finished(LATER) is None
    assert not PipelineRun.objects.unfinished().exists()


def test_a_run_that_is_retried_after_the_cancellation_goes_on() -> None:
    backfill = started(1)
    active = run(backfill, 1, RunStatus.RUNNING)
    backfill_endings.cancel(backfill, LATER)
    active.refresh_from_db()

    assert repeating.retry(active, moment=LATER + timedelta(minutes=1))
    backfill_endings.close_finished(LATER + timedelta(minutes=2))

    active.refresh_from_db()
    assert active.status == RunStatus.RUNNING


def test_a_run_that_the_scheduler_was_just_creating_is_stopped_too() -> None:
    backfill = started(1)
    backfill_endings.cancel(backfill, NOON)
    late = make_run(backfill.pipeline, backfill_id=backfill.pk, started_at=LATER)

    backfill_endings.close_finished(LATER)

    late.refresh_from_db()
    assert late.status == RunStatus.CANCELLED


# --- closed, and tried again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ends", "word"), [(["completed"] * 2, "completed"), (["completed", "failed"], "failed")])
def test_a_backfill_ends_with_its_last_run(ends: list[str], word: str) -> None:
    backfill = started(2)
    run(backfill, 1, RunStatus(ends[0]))
    last = run(backfill, 2, RunStatus.RUNNING)
    backfill_endings.close_finished(LATER)
    assert state(backfill) == "running"

    PipelineRun.objects.filter(pk=last.pk).update(status=ends[1])
    backfill_endings.close_finished(LATER)

    assert state(backfill) == word
    assert backfill.completed_at == LATER


def test_a_backfill_does_not_end_while_something_of_it_waits_or_is_held() -> None:
    backfill = started(2)
    run(backfill, 1, RunStatus.COMPLETED)
    Occurrence.objects.filter(decision=Decision.WAITING).update(decision=Decision.HELD)

    backfill_endings.close_finished(LATER)

    assert state(backfill) == "running"


def test_failed_slots_and_those_that_could_not_start_are_tried_again() -> None:
    backfill = started(4)
    run(backfill, 1, RunStatus.COMPLETED)
    failed = run(backfill, 2, RunStatus.FAILED)
    run(backfill, 3, RunStatus.CANCELLED)
    Occurrence.objects.filter(decision=Decision.WAITING).update(decision=Decision.SKIPPED, reason="was broken")
    backfill_endings.close_finished(LATER)
    assert state(backfill) == "failed"

    assert backfills.retry_failed(backfill, LATER) == 2

    assert (backfill.state, backfill.completed_at) == ("running", None)
    assert counts(backfill) == {"completed": 1, "cancelled": 1, "waiting": 2}
    reasons = Occurrence.objects.filter(decision=Decision.WAITING).order_by("scheduled_for")
    assert [row.reason for row in reasons] == [f"Run {failed.pk} failed; tried again.", "Was skipped; tried again."]
    backfill_endings.close_finished(LATER)
    assert state(backfill) == "running"


def test_there_is_nothing_to_retry_where_nothing_failed() -> None:
    backfill = started(1)

    with pytest.raises(Refusal, match="Nothing of it has failed"):
        backfills.retry_failed(backfill, LATER)


def test_a_finished_backfill_is_open_again_while_a_run_of_it_is_retried_by_hand() -> None:
    backfill = started(1)
    failed = run(backfill, 1, RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
    backfill_endings.close_finished(LATER)
    assert state(backfill) == "failed"

    assert repeating.retry(failed, moment=LATER)
    backfill_endings.close_finished(LATER)
    assert state(backfill) == "running"

    PipelineRun.objects.update(status=RunStatus.COMPLETED)
    backfill_endings.close_finished(LATER)
    assert state(backfill) == "completed"


def test_looking_for_what_ended_costs_three_queries_when_nothing_did() -> None:
    started(3)

    with CaptureQueriesContext(connection) as queries:
        assert backfill_endings.close_finished(LATER) is None

    assert len(queries) == 3


# --- how far --------------------------------------------------------------------------------------------------------


def test_progress_counts_every_slot_once_for_many_backfills_in_one_query() -> None:
    backfill, other = started(7), started(1, pipeline=make_pipeline("other"))
    ends = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.RUNNING, RunStatus.INITIAL)
    for number, status in enumerate(ends, start=1):
        run(backfill, number, status)
    Occurrence.objects.filter(backfill=backfill, scheduled_for__day=6).update(decision=Decision.EXPIRED)

    with CaptureQueriesContext(connection) as queries:
        found = progress([backfill, other])

    assert len(queries) == 1
    assert found[other.pk] == {"waiting": 1}
    assert found[backfill.pk] == {
        "completed": 1,
        "failed": 1,
        "cancelled": 1,
        "running": 1,
        "waiting": 2,
        "skipped": 1,
    }


def test_a_slot_whose_run_was_deleted_is_counted_as_removed() -> None:
    backfill = started(1)
    run(backfill, 1, RunStatus.COMPLETED).delete()

    assert counts(backfill) == {"removed": 1}


def test_the_forecast_is_what_is_left_at_the_pace_of_the_last_runs() -> None:
    backfill = started(5, run_limit=2)
    for minutes in (10, 20):
        end = NOON + timedelta(minutes=minutes)
        make_run(backfill.pipeline, status=RunStatus.COMPLETED, started_at=NOON, completed_at=end)

    found = forecast(backfill, counts(backfill), LATER)

    assert (found.run_duration, found.remaining) == (timedelta(minutes=15), timedelta(minutes=45))
    assert found.finish_at == LATER + timedelta(minutes=45)
    backfills.pause(backfill, LATER)
    assert forecast(backfill, counts(backfill), LATER).finish_at is None


def test_the_pipelines_own_limit_slows_the_forecast_down() -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit_all_triggers": 1})
    make_run(pipeline, status=RunStatus.COMPLETED, completed_at=NOON + timedelta(minutes=1))

    backfill = started(5, run_limit=5, pipeline=pipeline)

    assert forecast(backfill, counts(backfill), LATER).remaining == timedelta(minutes=5)


def test_there_is_no_forecast_before_a_run_was_completed_or_after_the_last() -> None:
    backfill = started(1)
    assert forecast(backfill, counts(backfill), LATER).remaining is None

    run(backfill, 1, RunStatus.COMPLETED)

    assert forecast(backfill, counts(backfill), LATER).remaining is None
