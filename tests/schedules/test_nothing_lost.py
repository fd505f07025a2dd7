"""What could lose a moment or start it twice: edits, pauses, forecasts and clocks that change meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler, triggers
from schedules.models import Occurrence, PipelineSchedule
from schedules.timing import steady_jitter
from tests.factories import NOON, make_run, make_schedule

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def planned(interval: str = "@hourly", since: datetime = NOON, zone: str = "UTC", **settings: Any) -> PipelineSchedule:
    schedule = make_schedule(schedule_interval=interval, timezone=zone, is_active=False, settings=settings)
    schedule.resume(since)
    return schedule


def edit(schedule: PipelineSchedule, moment: datetime, is_active: bool | None = None, **fields: Any) -> None:
    triggers.change(PipelineSchedule.objects.get(pk=schedule.pk), fields, is_active=is_active, moment=moment)


def ledger() -> list[tuple[datetime, str]]:
    return list(Occurrence.objects.order_by("scheduled_for").values_list("scheduled_for", "decision"))


# --- edits ------------------------------------------------------------------------------------------------------------


def test_a_moment_whose_start_jitter_puts_off_survives_an_edit_and_starts_when_it_was_to() -> None:
    schedule = planned(jitter=1800)
    start = NOON + HOUR + steady_jitter(schedule.pk, timedelta(minutes=30))
    edit(schedule, NOON + HOUR + SECOND, settings={})

    assert ledger() == [(NOON + HOUR, "waiting")]
    assert scheduler.tick(start - SECOND).next_due == start
    assert scheduler.tick(start).fired == 1
    assert ledger() == [(NOON + HOUR, "started")]


# --- landing times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"catchup": "none"}, {"catchup": "hold"}, {"start_deadline": 60}])
def test_a_forecast_that_grows_makes_nothing_late(settings: dict[str, Any]) -> None:
    schedule = planned("0 * * * *", landing_time_enabled=True, landing_runs=1, **settings)
    took = make_run(status=RunStatus.COMPLETED, trigger_id=schedule.pk, started_at=NOON, completed_at=NOON + 5 * MINUTE)
    schedule.plan_next(NOON)
    schedule.save()
    PipelineRun.objects.filter(pk=took.pk).update(completed_at=NOON + 40 * MINUTE)

    assert scheduler.tick(NOON + 55 * MINUTE).fired == 1

    assert Occurrence.objects.get(scheduled_for=NOON + HOUR).decision == "started"


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_what_passed_after_a_pause_was_over_is_late_and_not_paused() -> None:
    schedule = planned(catchup="none")
    schedule.pause(NOON, until=NOON + 90 * MINUTE)

    scheduler.tick(NOON + 3 * HOUR)  # nobody was there to end the pause in time

    reasons = dict(Occurrence.objects.values_list("scheduled_for", "reason"))
    assert reasons[NOON + HOUR] == "Paused until 2025-03-02 13:30 UTC. Catch-up: none."
    assert reasons[NOON + 2 * HOUR] == "Not started in time. Catch-up: none."


def test_a_first_pause_that_ends_while_nobody_looks_loses_nothing_after_its_end() -> None:
    schedule = make_schedule(schedule_interval="@hourly", is_active=False)
    schedule.pause(NOON, until=NOON + 90 * MINUTE)

    scheduler.tick(NOON + 4 * HOUR)

    assert [at for at, _ in ledger()] == [NOON + hour * HOUR for hour in (2, 3, 4)]


# --- clocks that are changed ------------------------------------------------------------------------------------------

FOLD = datetime(2025, 10, 26, tzinfo=UTC)  # in Berlin 02:30 is at 00:30 and at 01:30


@pytest.mark.parametrize(
    ("was", "becomes", "first"),
    [
        ({}, {"settings": {"dst_repeated": "second"}}, FOLD + 30 * MINUTE),
        ({"zone": "Europe/Helsinki"}, {"timezone": "Europe/Berlin"}, FOLD - 30 * MINUTE),
    ],
)
def test_a_local_time_that_came_does_not_come_again_because_the_clock_was_changed(
    was: dict[str, Any], becomes: dict[str, Any], first: datetime
) -> None:
    schedule = planned("30 2 * * *", FOLD - 6 * HOUR, **{"zone": "Europe/Berlin", **was})
    assert scheduler.tick(first).fired == 1

    edit(schedule, first + 10 * MINUTE, **becomes)
    for minute in range(0, 24 * 60, 10):
        scheduler.tick(first + 10 * MINUTE + minute * MINUTE)

    decided = ledger()
    assert (len(decided), decided[0]) == (2, (first, "started"))
    assert decided[1][1] == "skipped"
    assert "came already" in Occurrence.objects.latest("scheduled_for").reason


def test_both_passes_of_a_local_time_run_where_that_is_asked_for() -> None:
    planned("30 2 * * *", FOLD - 6 * HOUR, zone="Europe/Berlin", dst_repeated="both")

    for minute in (30, 90):
        scheduler.tick(FOLD + minute * MINUTE)

    assert [decision for _, decision in ledger()] == ["started", "started"]
