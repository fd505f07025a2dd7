"""Fixed intervals: equal steps of real time from an anchor."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.rules.cron_fields import InvalidSchedule
from schedules.timetable import Kind, parse
from tests.schedules.reference import utc
from tests.schedules.test_timetable_reference import EXACT, ZONES, moments

ORACLE = json.loads((Path(__file__).parent / "cron_vectors.json").read_text())
NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("vector", ORACLE["intervals"], ids=lambda vector: vector["id"])
def test_the_instants_are_those_of_the_oracle(vector: dict[str, Any]) -> None:
    anchor = utc(vector["anchor"]).astimezone(ZoneInfo(vector["zone"]))
    expression = f"every {vector['every_minutes']} minutes from {anchor:%Y-%m-%dT%H:%M}"

    found = parse(expression, vector["zone"]).upcoming(utc(vector["from"]), 5)

    assert [instant.utc for instant in found] == [utc(text) for text in vector["expected"]]
    assert [instant.local.isoformat() for instant in found] == vector["expected_local"]


@pytest.mark.parametrize("vector", ORACLE["intervals"], ids=lambda vector: vector["id"])
def test_a_start_is_the_anchor_where_none_is_written(vector: dict[str, Any]) -> None:
    timetable = parse(f"every {vector['every_minutes']} minutes", vector["zone"], start=utc(vector["anchor"]))

    assert [each.utc for each in timetable.upcoming(utc(vector["from"]), 5)] == [utc(t) for t in vector["expected"]]


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ("every minute", 1),
        ("every 90 minutes", 90),
        ("Every 90 Min", 90),
        ("every 2h", 120),
        ("every 1 hour 30 minutes", 90),
        ("every day", 1440),
        ("every 10 days", 14_400),
        ("every 2 weeks", 20_160),
        ("  every   2   hours  ", 120),
    ],
)
def test_spans_are_read_in_the_units_people_write(typed: str, minutes: int) -> None:
    timetable = parse(typed, "UTC")

    a, b = timetable.upcoming(NEW_YEAR, 2)

    assert timetable.kind is Kind.INTERVAL
    assert b.utc - a.utc == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("typed", "start", "words", "first"),
    [
        ("every 2 hours", None, "1970-01-01 00:00", "2025-01-01T02:00+01:00"),
        ("every 2 hours", "2025-03-01T05:20Z", "its start, 2025-03-01 06:20", "2025-03-01T06:20+01:00"),
        ("every 7 minutes from 06:00", None, "1970-01-01 06:00", "2025-01-01T01:04+01:00"),
        ("every 5 hours from 06:00", "2025-03-01T05:20Z", "2025-03-01 06:00", "2025-03-01T11:00+01:00"),
        ("every 10 days from 2026-01-05T06:00", None, "2026-01-05 06:00", "2026-01-05T06:00+01:00"),
        ("every 10 days from 2026-01-05", "2026-01-06T00:00Z", "2026-01-05 00:00", "2026-01-15T00:00+01:00"),
    ],
)
def test_the_anchor_is_said_and_nothing_fires_before_it_or_the_start(
    typed: str, start: str | None, words: str, first: str
) -> None:
    timetable = parse(typed, "Europe/Berlin", start=utc(start) if start else None)

    instant = timetable.next_after(NEW_YEAR)

    assert timetable.describe().endswith(f", counted in real time from {words}")
    assert instant is not None
    assert instant.local == datetime.fromisoformat(first)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("every", "There is no span after every."),
        ("every from 06:00", "There is no span after every."),
        ("every 5", "The unit is missing after '5'."),
        ("every 5 from 06:00", "The unit is missing after '5'."),
        ("every 0 minutes", "An interval is from 1 minute to 50 years long."),
        ("every 99999999999999999999 days", "An interval is from 1 minute to 50 years long."),
        ("every -2 hours", "'-2' is not a whole number."),
        ("every 1.5 hours", "'1.5' is not a whole number."),
        ("every two hours", "'two' is not a unit of time."),
        ("every 45 seconds", "An interval is whole minutes, at least 1."),
        ("every 2 months", "An interval is not counted in months."),
        ("every 3 fortnights", "'fortnights' is not a unit of time."),
        ("every 1 hour minutes", "The number is missing before 'minutes'."),
        ("every 2 hours from", "There is no time after from."),
        ("every 2 hours from 6", "'6' is not a time of day on a whole minute."),
        ("every 2 hours from 25:00", "'25:00' is not a time of day on a whole minute."),
        ("every 2 hours from 06:00:30", "'06:00:30' is not a time of day on a whole minute."),
        ("every 2 hours from noon", "'noon' is not a date and time."),
        ("every 2 hours from 2026-02-30T06:00", "'2026-02-30T06:00' is not a date and time."),
        ("every 2 hours from 2026-01-05T06:00Z", "'2026-01-05T06:00Z' has a zone of its own."),
        ("every 2 hours from 2026-01-05T06:00+01:00", "'2026-01-05T06:00+01:00' has a zone of its own."),
        ("every 2 hours from 0001-01-01", "'0001-01-01' is outside the years 1970 to 2200."),
        ("every 2 hours from 2026-03-29T02:30", "2026-03-29 02:30 does not exist in Europe/Berlin: clocks go forward."),
        ("every\n2 hours", "A schedule interval is written on one line in plain ASCII;"),
        ("every \u0662 hours", "A schedule interval is written on one line in plain ASCII;"),
        ("every 2 hours" + " " * 300, "A schedule interval has at most 256 characters; this one has 313."),
    ],
)
def test_what_is_wrong_with_an_interval_is_said(typed: str, problem: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        parse(typed, "Europe/Berlin")

    assert str(caught.value).startswith(problem)
    assert caught.value.field == "schedule_interval"
    assert len(str(caught.value)) < 300


def test_an_anchor_in_a_gap_is_refused_with_the_time_after_it() -> None:
    with pytest.raises(InvalidSchedule) as caught:
        parse("every 2 hours from 2026-03-29T02:30", "Europe/Berlin")

    assert caught.value.hint == "Use 03:00."


def test_the_gap_of_the_start_day_counts_for_an_anchor_without_date() -> None:
    with pytest.raises(InvalidSchedule, match=r"2026-03-29 02:30 does not exist"):
        parse("every 2 hours from 02:30", "Europe/Berlin", start=utc("2026-03-29T12:00Z"))


@EXACT
@given(st.integers(1, 50_000), ZONES.flatmap(lambda zone: st.tuples(st.just(zone), moments(zone))))
def test_steps_are_equal_in_real_time_in_every_zone(minutes: int, place: tuple[str, datetime]) -> None:
    zone, moment = place
    timetable = parse(f"every {minutes} minutes", zone)

    found = [instant.utc for instant in timetable.upcoming(moment, 6)]

    assert found[0] > moment >= found[0] - timedelta(minutes=minutes)
    assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=minutes)}
    assert [timetable.next_after(at - timedelta(microseconds=1)) for at in found] == timetable.upcoming(moment, 6)
    assert [each.utc for each in timetable.latest(moment, found[-1], 3)] == found[-3:]


def test_the_end_of_the_calendar_ends_the_list() -> None:
    assert len(parse("every 4000 days", "UTC").upcoming(datetime(9980, 1, 1, tzinfo=UTC), 10)) == 2


def test_a_clock_change_is_noted_but_moves_nothing() -> None:
    found = parse("every 30 minutes", "Europe/Berlin").upcoming(utc("2025-10-25T23:45Z"), 4)

    assert [instant.note for instant in found] == [
        "02:00 comes twice on 2025-10-26; this is the first.",
        "02:30 comes twice on 2025-10-26; this is the first.",
        "02:00 comes twice on 2025-10-26; this is the second.",
        "02:30 comes twice on 2025-10-26; this is the second.",
    ]
