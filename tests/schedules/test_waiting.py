"""Moments that wait for their turn, on a virtual clock."""

from datetime import timedelta
from typing import Any

import pytest

from runs import admission, lifecycle
from runs.limits import Answer, Gate
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.models import Backfill, Decision, IntervalType, Occurrence, PipelineSchedule
from tests.factories import NOON, make_pipeline, make_schedule

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def hourly(name: str = "hourly", **settings: Any) -> PipelineSchedule:
    schedule = make_schedule(name=name, schedule_interval="@hourly", is_active=False, settings=settings)
    schedule.resume(NOON)
    return schedule


def decisions() -> list[str]:
    return list(Occurrence.objects.order_by("scheduled_for", "id").values_list("decision", flat=True))


def finish_oldest(moment: Any) -> None:
    run = PipelineRun.objects.filter(status=RunStatus.RUNNING).order_by("id").first()
    assert run is not None
    lifecycle.cancel(run, moment=moment, reason="done")


def at(hours: int) -> Any:
    return NOON + hours * HOUR + SECOND


def test_a_moment_over_the_limit_waits_and_starts_when_a_slot_is_free() -> None:
    hourly(pipeline_run_limit=1, on_pipeline_run_limit_reached="wait")
    for hours in (1, 2):
        scheduler.tick(at(hours))
    assert decisions() == ["started", "waiting"]
    waiting = Occurrence.objects.get(decision="waiting")
    assert waiting.reason == "The limit was reached: 1 run of this trigger at a time."
    assert waiting.blocker_run_id == PipelineRun.objects.get().pk

    assert scheduler.tick(at(2) + MINUTE).fired == 0
    finish_oldest(at(2) + 2 * MINUTE)
    assert scheduler.tick(at(2) + 3 * MINUTE).fired == 1

    waiting.refresh_from_db()
    run = PipelineRun.objects.latest("id")
    assert (waiting.decision, waiting.pipeline_run, waiting.blocker_run_id) == ("started", run, None)
    assert (run.execution_date, run.interval_end) == (NOON + 2 * HOUR, NOON + 3 * HOUR)
    assert waiting.reason == "Waited: The limit was reached: 1 run of this trigger at a time."


@pytest.mark.parametrize(
    ("overlap", "wanted"),
    [
        ("allow", ["started", "started", "started", "started"]),
        ("skip", ["started", "skipped", "skipped", "skipped"]),
        ("wait_one", ["started", "waiting", "skipped", "skipped"]),
        ("wait_all", ["started", "waiting", "waiting", "waiting"]),
        ("cancel_other", ["started", "started", "started", "started"]),
    ],
)
def test_overlap_is_as_it_was_chosen(overlap: str, wanted: list[str]) -> None:
    hourly(overlap=overlap)

    for hours in (1, 2, 3, 4):
        scheduler.tick(at(hours))

    assert decisions() == wanted
    running = PipelineRun.objects.filter(status=RunStatus.RUNNING).count()
    assert running == (4 if overlap == "allow" else 1)


def test_what_waits_goes_in_order_and_nobody_overtakes() -> None:
    hourly(overlap="wait_all")
    for hours in (1, 2, 3):
        scheduler.tick(at(hours))
    finish_oldest(at(4) - 2 * SECOND)

    scheduler.tick(at(4))  # a slot is free, and another moment has come

    assert decisions() == ["started", "started", "waiting", "waiting"]
    last = Occurrence.objects.latest("scheduled_for")
    assert last.reason == "Earlier moments wait for their turn."


def test_a_moment_that_waits_too_long_expires_and_says_what_it_waited_for() -> None:
    hourly(overlap="wait_all", start_deadline=1800)
    scheduler.tick(at(1))
    report = scheduler.tick(at(2))
    assert report.next_due == NOON + 2 * HOUR + 30 * MINUTE

    scheduler.tick(NOON + 2 * HOUR + 30 * MINUTE)
    finish_oldest(NOON + 2 * HOUR + 31 * MINUTE)
    scheduler.tick(NOON + 2 * HOUR + 32 * MINUTE)

    assert decisions() == ["started", "expired"]
    assert "Its start deadline passed" in Occurrence.objects.latest("scheduled_for").reason
    assert "still running" in Occurrence.objects.latest("scheduled_for").reason


def test_while_a_schedule_is_paused_what_waits_goes_on_waiting() -> None:
    schedule = hourly(overlap="wait_all")
    for hours in (1, 2):
        scheduler.tick(at(hours))
    PipelineSchedule.objects.get().pause(at(2))
    finish_oldest(at(2) + MINUTE)
    assert scheduler.tick(at(2) + 2 * MINUTE).fired == 0

    PipelineSchedule.objects.get(pk=schedule.pk).resume(at(2) + 3 * MINUTE)

    assert scheduler.tick(at(2) + 4 * MINUTE).fired == 1


def test_a_window_holds_a_start_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    until = NOON + 90 * MINUTE
    shut = Gate("window", Answer.WAIT, "Maintenance.", until=until)
    monkeypatch.setattr(admission, "HOLDS", [lambda moment: lambda run: shut if moment < until else Gate("window")])
    hourly()

    report = scheduler.tick(at(1))
    assert (report.fired, report.next_due, decisions()) == (0, until, ["waiting"])

    assert scheduler.tick(until).fired == 1
    assert decisions() == ["started"]


def test_once_waits_like_any_other_though_it_is_switched_off() -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit_all_triggers": 1})
    other = lifecycle.create_run(pipeline, moment=NOON, origin="manual")
    make_schedule(pipeline, schedule_interval="@once", is_active=False).resume(NOON)
    scheduler.tick(NOON)
    assert decisions() == ["waiting"]

    lifecycle.cancel(other, moment=NOON + MINUTE, reason="done")
    scheduler.tick(NOON + 2 * MINUTE)

    assert decisions() == ["started"]


# --- backfills --------------------------------------------------------------------------------------------------------


def backfill(slots: int, **fields: Any) -> Backfill:
    pipeline = make_pipeline("etl")
    found = Backfill.objects.create(
        name="again",
        pipeline=pipeline,
        interval_type=IntervalType.DAY,
        start_at=NOON,
        end_at=NOON,
        created_at=NOON,
        **fields,
    )
    for day in range(slots):
        Occurrence.objects.create(
            pipeline=pipeline,
            backfill=found,
            scheduled_for=NOON - (day + 1) * 24 * HOUR,
            decision=Decision.WAITING,
            priority=50,
            decided_at=NOON,
        )
    return found


def running_days() -> list[int]:
    runs = PipelineRun.objects.filter(status=RunStatus.RUNNING)
    return [(NOON - run.execution_date).days for run in runs.order_by("id")]


@pytest.mark.parametrize(("newest_first", "order"), [(False, [4, 3]), (True, [1, 2])])
def test_a_backfill_runs_as_many_slots_at_a_time_as_it_may(newest_first: bool, order: list[int]) -> None:
    found = backfill(4, run_limit=2, newest_first=newest_first, variables={"again": True})

    scheduler.tick(NOON)
    scheduler.tick(NOON + SECOND)

    assert running_days() == order
    run = PipelineRun.objects.order_by("id")[0]
    assert (run.origin, run.backfill_id, run.priority, run.variables) == ("backfill", found.pk, 50, {"again": True})


def test_a_paused_backfill_starts_nothing() -> None:
    backfill(2, paused_at=NOON)

    assert scheduler.tick(NOON).fired == 0


def test_live_moments_go_before_those_of_a_backfill() -> None:
    pipeline = make_pipeline("live", concurrency_config={"pipeline_run_limit_all_triggers": 1})
    lifecycle.create_run(pipeline, moment=NOON, origin="manual")
    make_schedule(pipeline, schedule_interval="@hourly", is_active=False).resume(NOON)
    found = backfill(2, run_limit=2)
    Backfill.objects.update(pipeline=pipeline)
    Occurrence.objects.update(pipeline=pipeline)
    scheduler.tick(NOON + MINUTE)
    scheduler.tick(at(1))
    assert set(decisions()) == {"waiting"}

    finish_oldest(at(1) + MINUTE)
    scheduler.tick(at(1) + 2 * MINUTE)

    assert Occurrence.objects.get(decision="started").backfill is None
    assert found.occurrences.filter(decision="waiting").count() == 2
