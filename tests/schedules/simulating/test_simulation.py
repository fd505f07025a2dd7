"""A week on a virtual clock: workers, timeouts, windows; what the scheduler does is in test_simulation_drift."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schedules.policies import Settings
from schedules.queueing import limits_of
from schedules.reckoning import TICK
from schedules.simulating.remembering import Almanac, remembered
from schedules.simulating.simulation import Hold, Moment, Result, Trigger, simulate
from schedules.timetable import parse
from schedules.timing import Timing
from tests.steps import steps

BEGIN = datetime(2025, 3, 3, tzinfo=UTC)  # a Monday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def trigger(pk: int, interval: str, minutes: float = 1, *, sla: timedelta | None = None, **settings: Any) -> Trigger:
    chosen = Settings.from_json(settings)
    timing = Timing(parse(interval, "UTC"), enabled_at=BEGIN - DAY)
    return Trigger(
        pk=pk,
        name=f"number {pk}",
        pipeline_id=pk,
        pipeline=f"p{pk}",
        timing=timing,
        duration=minutes * MINUTE,
        decided_until=BEGIN - TICK,
        settings=chosen,
        limits=limits_of(chosen),
        sla=sla,
    )


def told(result: Result) -> list[tuple[int, str, str, str]]:
    """Return trigger, moment, admission and begin on a worker of each."""
    return [
        (row.trigger.pk, *(clock(at) for at in (row.scheduled_for, row.started_at, row.began_at)))
        for row in result.moments
    ]


def clock(at: datetime | None) -> str:
    return f"{at:%H:%M}" if at else "-"


def ends(rows: list[Moment]) -> list[str]:
    return [clock(row.ended_at) for row in rows]


def test_runs_stand_in_line_for_a_worker_the_most_urgent_first() -> None:
    triggers = [trigger(1, "0 0 * * *", 10), trigger(2, "0 0 * * *", 10), trigger(3, "5 0 * * *", 10, priority=-1)]

    result = simulate(triggers, BEGIN, BEGIN + HOUR, workers=1)

    assert told(result) == [
        (1, "00:00", "00:00", "00:00"),
        (2, "00:00", "00:00", "00:20"),
        (3, "00:05", "00:05", "00:10"),
    ]


def test_waiting_for_a_worker_keeps_the_place_at_a_limit() -> None:
    triggers = [trigger(1, "0 0 * * *", 25), trigger(2, "*/10 0 * * *", 5, overlap="wait_all")]

    result = simulate(triggers, BEGIN, BEGIN + HOUR, workers=1)

    assert told(result)[1:4] == [
        (2, "00:00", "00:00", "00:25"),
        (2, "00:10", "00:30", "00:30"),
        (2, "00:20", "00:35", "00:35"),
    ]


def test_a_timeout_ends_a_run_even_in_the_line() -> None:
    triggers = [
        trigger(1, "0 0 * * *", 30, timeout=600),
        trigger(2, "0 0 * * *", 30),
        trigger(3, "0 0 * * *", timeout=1200),
    ]

    result = simulate(triggers, BEGIN, BEGIN + 2 * HOUR, workers=1)

    assert [(clock(row.began_at), clock(row.ended_at), row.is_cut) for row in result.moments] == [
        ("00:00", "00:10", True),
        ("00:10", "00:40", False),
        ("-", "00:20", True),
    ]


def test_a_window_puts_starts_off_to_its_end_for_those_it_concerns() -> None:
    triggers = [trigger(1, "0 1 * * *"), trigger(2, "0 1 * * *", start_deadline=600), trigger(3, "0 1 * * *")]
    window = Hold(BEGIN + HOUR, BEGIN + 2 * HOUR, frozenset({1, 2}))

    result = simulate(triggers, BEGIN, BEGIN + DAY, holds=[window])

    assert [(row.decision, clock(row.started_at)) for row in result.moments] == [
        ("started", "02:00"),
        ("expired", "-"),
        ("started", "01:00"),
    ]


def test_a_run_that_goes_on_at_the_end_of_the_span_has_its_expected_end() -> None:
    result = simulate([trigger(1, "50 23 * * *", 30)], BEGIN, BEGIN + DAY)

    assert ends(list(result.moments)) == ["00:20"]


def test_an_outage_is_caught_up_by_policy() -> None:
    outage = (BEGIN + HOUR, BEGIN + 4 * HOUR + MINUTE)
    triggers = [trigger(1, "0 * * * *", catchup="all"), trigger(2, "30 * * * *")]

    result = simulate(triggers, BEGIN, BEGIN + 4 * HOUR + 2 * MINUTE, outages=[outage])

    assert [
        (row.trigger.pk, clock(row.scheduled_for), row.decision, clock(row.started_at)) for row in result.moments
    ] == [
        (1, "00:00", "started", "00:00"),
        (2, "00:30", "started", "00:30"),
        (1, "01:00", "started", "04:01"),
        (1, "02:00", "started", "04:01"),
        (1, "03:00", "started", "04:01"),
        (1, "04:00", "started", "04:01"),
        (2, "01:30", "missed", "-"),
        (2, "02:30", "missed", "-"),
        (2, "03:30", "started", "04:01"),
    ]


def test_nothing_scheduled_is_nothing_simulated() -> None:
    assert simulate([], BEGIN, BEGIN + DAY).moments == []
    assert simulate([trigger(1, "@once")], BEGIN, BEGIN + DAY).moments == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_timetable_that_remembers_says_what_it_always_said(zone: str) -> None:
    plain = parse("*/25 2 * * *", zone)
    since = datetime(2025, 3, 29, tzinfo=UTC)
    asked = remembered(plain, since)

    for hours in (40, 3, 26, -30, 27, 26.5):
        moment = since + hours * HOUR
        assert asked.upcoming(moment, 5) == plain.upcoming(moment, 5)
    assert asked.between(since, since + DAY, 50) == plain.between(since, since + DAY, 50)
    assert asked.latest(since - DAY, since + DAY, 2) == plain.latest(since - DAY, since + DAY, 2)


def test_schedules_that_are_written_alike_share_a_memory_and_a_late_one_spoils_nothing() -> None:
    plain = parse("*/5 * * * *", "Europe/Berlin")
    almanac = Almanac()
    first = almanac.remember(Timing(plain), BEGIN)
    other = almanac.remember(Timing(parse("*/5 * * * *", "Europe/Berlin"), MINUTE), BEGIN - 30 * DAY)
    stranger = almanac.remember(Timing(parse("*/5 * * * *", "UTC")), BEGIN)

    assert first.timetable is other.timetable is not stranger.timetable
    for moment in (BEGIN - 30 * DAY, BEGIN + 30 * DAY, BEGIN):
        assert other.timetable.upcoming(moment, 3) == plain.upcoming(moment, 3)
    assert steps(lambda: other.timetable.upcoming(BEGIN + 3650 * DAY, 3)) < 50_000  # what lies between is not walked
