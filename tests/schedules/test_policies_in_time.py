"""Policies of a trigger on a virtual clock: late moments, jitter, landing time, failures in a row, edits, pauses."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from pipelines.models import Pipeline
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler, triggers
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.timing import steady_jitter
from tests.factories import NOON, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def planned(interval: str = "@hourly", since: datetime = NOON, **settings: Any) -> PipelineSchedule:
    schedule = make_schedule(schedule_interval=interval, is_active=False, settings=settings)
    schedule.resume(since)
    return schedule


def ledger() -> list[tuple[int, str]]:
    """Hours after noon, and what was decided."""
    rows = Occurrence.objects.order_by("scheduled_for").values_list("scheduled_for", "decision")
    return [(round((at - NOON) / HOUR), decision) for at, decision in rows]


# --- late -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, ["missed", "missed", "started"]),
        ({"catchup": "none"}, ["missed", "missed", "missed"]),
        ({"catchup": "all"}, ["started", "started", "started"]),
        ({"catchup": "hold"}, ["held", "held", "held"]),
        ({"catchup": "all", "overlap": "wait_all"}, ["started", "waiting", "waiting"]),
        ({"catchup": "all", "overlap": "skip"}, ["started", "skipped", "skipped"]),
        ({"catchup": "all", "pipeline_run_limit": 2}, ["started", "started", "skipped"]),
    ],
)
@pytest.mark.parametrize("cause", ["downtime", "pause", "pause until", "pipeline gone"])
def test_whatever_the_cause_late_moments_meet_one_policy_and_every_other_rule(
    settings: dict[str, Any], wanted: list[str], cause: str
) -> None:
    schedule = planned(**settings)
    back = NOON + 3 * HOUR + 30 * MINUTE
    if cause == "pause":
        schedule.pause(NOON + MINUTE)
        PipelineSchedule.objects.get().resume(back)
    elif cause == "pause until":
        schedule.pause(NOON + MINUTE, until=back)
        assert scheduler.tick(back - SECOND).next_due == back
    elif cause == "pipeline gone":
        Pipeline.objects.update(is_present=False)
        scheduler.tick(NOON + HOUR)
        Pipeline.objects.update(is_present=True)
        scheduler.revive(back)

    scheduler.tick(back)

    assert ledger() == list(zip([1, 2, 3], wanted, strict=True))


def test_of_what_is_due_at_once_the_most_urgent_starts_first() -> None:
    limited = make_pipeline("limited", concurrency_config={"pipeline_run_limit_all_triggers": 1})
    for name, priority in (("patient", 0), ("urgent", -1), ("late", 3)):
        row = make_schedule(limited, name=name, schedule_interval="@hourly", is_active=False)
        row.settings = {"priority": priority}
        row.save()
        row.resume(NOON)

    scheduler.tick(NOON + HOUR)

    assert list(PipelineRun.objects.values_list("trigger_name", flat=True)) == ["urgent"]
    assert Occurrence.objects.filter(decision=Decision.WAITING).count() == 2


def test_held_moments_are_started_by_nobody() -> None:
    planned(catchup="hold")
    scheduler.tick(NOON + 3 * HOUR + 30 * MINUTE)

    assert scheduler.tick(NOON + 3 * HOUR + 40 * MINUTE).fired == 0


def test_catching_up_gives_each_run_its_own_interval() -> None:
    planned(catchup="all")

    scheduler.tick(NOON + 3 * HOUR + 30 * MINUTE)

    runs = PipelineRun.objects.order_by("execution_date")
    assert [(run.execution_date - NOON, run.interval_end - NOON) for run in runs if run.interval_end] == [
        (HOUR, 2 * HOUR),
        (2 * HOUR, 3 * HOUR),
        (3 * HOUR, 4 * HOUR),
    ]


def test_a_pause_without_end_ends_only_by_hand() -> None:
    planned().pause(NOON)

    assert scheduler.tick(NOON + 9 * DAY).next_due is None
    assert ledger() == []


# --- edits ------------------------------------------------------------------------------------------------------------


def edit(schedule: PipelineSchedule, moment: datetime, is_active: bool | None = None, **fields: Any) -> None:
    triggers.change(PipelineSchedule.objects.get(pk=schedule.pk), fields, is_active=is_active, moment=moment)


def test_an_edit_counts_from_now_and_forgets_nothing_that_the_old_rule_owed() -> None:
    schedule = planned()

    edit(schedule, NOON + 3 * HOUR + 30 * MINUTE, schedule_interval="*/20 * * * *")

    assert PipelineRun.objects.count() == 0, "saving starts nothing"
    assert ledger() == [(1, "missed"), (2, "missed"), (3, "waiting")]
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 3 * HOUR + 40 * MINUTE
    scheduler.tick(NOON + 3 * HOUR + 30 * MINUTE + SECOND)
    assert ledger() == [(1, "missed"), (2, "missed"), (3, "started")]


def test_an_edit_of_a_paused_trigger_makes_up_for_nothing() -> None:
    schedule = planned(catchup="all")
    schedule.pause(NOON + MINUTE)

    edit(schedule, NOON + 2 * HOUR + MINUTE, schedule_interval="*/20 * * * *", is_active=True)

    scheduler.tick(NOON + 2 * HOUR + 2 * MINUTE)
    assert ledger() == [(1, "missed"), (2, "missed")]
    assert PipelineRun.objects.count() == 0


def test_a_save_that_switches_on_starts_nothing() -> None:
    schedule = planned()
    schedule.pause(NOON + MINUTE)

    edit(schedule, NOON + 2 * HOUR + MINUTE, is_active=True)

    assert scheduler.tick(NOON + 2 * HOUR + 2 * MINUTE).fired == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 3 * HOUR


def test_an_edit_of_something_else_moves_nothing() -> None:
    schedule = planned()
    before = PipelineSchedule.objects.values("next_due_at", "decided_until").get()

    edit(schedule, NOON + 30 * MINUTE, description="other words")

    assert PipelineSchedule.objects.values("next_due_at", "decided_until").get() == before


def test_the_next_time_is_a_function_of_the_rule_and_not_of_how_often_it_is_planned() -> None:
    schedule = planned("every 90 minutes from 2025-03-02T06:00")
    first = schedule.next_due_at

    for minute in range(5):
        schedule.plan_next(NOON + minute * MINUTE)
        schedule.pause(NOON + minute * MINUTE)
        schedule.resume(NOON + minute * MINUTE)

    assert schedule.next_due_at == first == NOON + 90 * MINUTE


# --- jitter -----------------------------------------------------------------------------------------------------------


def test_jitter_shifts_the_start_steadily_and_not_the_moment() -> None:
    schedule = planned(jitter=1800)
    shift = steady_jitter(schedule.pk, timedelta(minutes=30))
    assert timedelta(0) <= shift <= timedelta(minutes=30)
    assert schedule.next_due_at == NOON + HOUR + shift

    assert scheduler.tick(NOON + HOUR + shift - SECOND).fired == 0
    assert scheduler.tick(NOON + HOUR + shift).fired == 1

    schedule.refresh_from_db()
    assert PipelineRun.objects.get().execution_date == NOON + HOUR
    assert schedule.next_due_at == NOON + 2 * HOUR + shift


def test_jitter_spreads_many_and_never_goes_beyond_its_limit() -> None:
    shifts = [steady_jitter(key, HOUR) for key in range(1000)]

    quarters = Counter(shift // (15 * MINUTE) for shift in shifts)
    assert max(shifts) <= HOUR
    assert min(quarters[number] for number in range(4)) > 200
    assert steady_jitter(7, timedelta(0)) == timedelta(0)


# --- landing time -----------------------------------------------------------------------------------------------------


def took(schedule: PipelineSchedule, *minutes: int, at: datetime = NOON) -> None:
    for each in minutes:
        make_run(
            status=RunStatus.COMPLETED,
            trigger_id=schedule.pk,
            started_at=at,
            completed_at=at + each * MINUTE,
        )


def test_a_run_starts_early_enough_to_land_on_time_even_across_midnight() -> None:
    schedule = planned("10 0 * * *", landing_time_enabled=True)
    took(schedule, 20, 25, 30)
    schedule.plan_next(NOON)
    schedule.save()
    landing = datetime.combine(NOON.date() + DAY, datetime.min.time(), NOON.tzinfo) + 10 * MINUTE
    assert schedule.next_due_at == landing - 30 * MINUTE

    assert scheduler.tick(landing - 31 * MINUTE).fired == 0
    assert scheduler.tick(landing - 30 * MINUTE).fired == 1
    assert scheduler.tick(landing).fired == 0

    occurrence = Occurrence.objects.get()
    assert (occurrence.scheduled_for, occurrence.decision) == (landing, "started")
    assert PipelineRun.objects.latest("id").execution_date == landing


def test_a_forecast_that_changes_never_lands_one_moment_twice() -> None:
    schedule = planned("0 * * * *", landing_time_enabled=True, landing_runs=1)
    took(schedule, 40)
    schedule.plan_next(NOON)
    schedule.save()
    for minute in range(0, 240, 5):
        moment = NOON + minute * MINUTE
        took(schedule, [5, 40, 20][minute % 3], at=moment - HOUR)
        scheduler.tick(moment)

    moments = list(Occurrence.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True))
    assert moments == sorted(set(moments))
    assert {later - earlier for earlier, later in pairwise(moments)} == {HOUR}
    assert len(moments) == 4


def test_the_first_run_that_ends_moves_the_next_start() -> None:
    schedule = planned("@daily", landing_time_enabled=True)
    took(schedule, 45, at=NOON)

    assert scheduler.renew_forecasts(NOON + HOUR, NOON + 2 * HOUR) == 0, "nothing has ended meanwhile"
    assert scheduler.renew_forecasts(NOON, NOON + HOUR) == 1

    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 12 * HOUR - 45 * MINUTE


def test_a_save_that_asks_to_land_starts_nothing_even_if_the_start_has_passed() -> None:
    schedule = planned("@hourly")
    took(schedule, 40)

    edit(schedule, NOON + 30 * MINUTE, settings={"landing_time_enabled": True})

    assert scheduler.tick(NOON + 30 * MINUTE + SECOND).fired == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + 2 * HOUR - 40 * MINUTE
    assert ledger() == [(1, "missed")]
    assert Occurrence.objects.get().reason.startswith("Saved at 12:30:00 UTC; to be finished by then")


def test_a_new_trigger_goes_by_how_long_others_of_its_pipeline_took() -> None:
    other = make_schedule(name="other", schedule_interval="@yearly", is_active=False)
    took(other, 10, 50, 20)

    assert planned(landing_time_enabled=True).next_due_at == NOON + 10 * MINUTE


def test_without_history_it_starts_at_its_landing_time() -> None:
    assert planned(landing_time_enabled=True).next_due_at == NOON + HOUR


# --- failures in a row ------------------------------------------------------------------------------------------------


def fail_all(moment: datetime) -> None:
    PipelineRun.objects.filter(status=RunStatus.RUNNING).update(status=RunStatus.FAILED, completed_at=moment)


def test_after_failures_in_a_row_it_stops_and_says_so() -> None:
    schedule = planned(stop_after_failures=2)
    for hour in (1, 2, 3):
        scheduler.tick(NOON + hour * HOUR)
        fail_all(NOON + hour * HOUR + MINUTE)

    last = PipelineRun.objects.latest("id")
    assert ledger() == [(1, "started"), (2, "started"), (3, "skipped")]
    schedule.refresh_from_db()
    assert (schedule.is_active, schedule.next_due_at) == (False, None)
    assert schedule.problem == (
        f"Stopped: its last 2 runs failed, the newest is run {last.pk}. Resume it when it is mended."
    )
    assert Occurrence.objects.latest("scheduled_for").blocker_run_id == last.pk


def test_a_success_between_failures_starts_the_count_anew() -> None:
    planned(stop_after_failures=2)
    for hour, status in ((1, RunStatus.FAILED), (2, RunStatus.COMPLETED), (3, RunStatus.FAILED)):
        scheduler.tick(NOON + hour * HOUR)
        PipelineRun.objects.filter(status=RunStatus.RUNNING).update(status=status)

    assert scheduler.tick(NOON + 4 * HOUR).fired == 1


def test_resuming_forgives_what_failed_before() -> None:
    schedule = planned(stop_after_failures=1)
    scheduler.tick(NOON + HOUR)
    fail_all(NOON + HOUR)
    scheduler.tick(NOON + 2 * HOUR)

    PipelineSchedule.objects.get(pk=schedule.pk).resume(NOON + 2 * HOUR + MINUTE)

    assert scheduler.tick(NOON + 3 * HOUR).fired == 1


# --- poison -----------------------------------------------------------------------------------------------------------


def test_a_run_that_cannot_be_stored_harms_no_other_of_its_batch() -> None:
    twisted = make_pipeline("twisted")
    assert twisted.current_version
    twisted.current_version.graph["blocks"] *= 2  # a run has each block once: the database refuses such a one
    twisted.current_version.save()
    bad = make_schedule(twisted, schedule_interval="@hourly", is_active=False)
    bad.resume(NOON)
    for number in range(3):
        make_schedule(make_pipeline(f"good_{number}"), schedule_interval="@hourly", is_active=False).resume(NOON)

    scheduler.tick(NOON + HOUR)

    bad.refresh_from_db()
    assert Occurrence.objects.filter(decision=Decision.STARTED).count() == 3
    assert Occurrence.objects.get(schedule=bad).decision == Decision.SKIPPED
    assert bad.problem
