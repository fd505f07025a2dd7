"""Ranges cut into slots: both ends, every interval, months that are short, days that clocks change, and refusals."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.refusal import Refusal
from schedules.backfilling.slots import CALENDAR, REAL, Range, read_range
from schedules.rules.day_rules import read_day_rule
from schedules.timetable import parse

NOW = datetime(2025, 6, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def wanted(start: str, end: str, interval: str = "day", units: int = 1, zone: str = "UTC", **more: Any) -> Range:
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return read_range(first, last, interval, units, zone, **{"moment": NOW, "limit": 10_000} | more)


def local(cut: Range) -> list[str]:
    return [slot.local_time for slot in cut.slots()]


def refusal(*args: Any, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        wanted(*args, **more)
    return caught.value


# --- where the slots are --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "units", "end", "count"),
    [
        ("second", 1, "2025-01-01T00:00:09Z", 10),
        ("minute", 5, "2025-01-01T01:00Z", 13),
        ("hour", 1, "2025-01-02T00:00Z", 25),
        ("custom", 90, "2025-01-01T00:03Z", 3),
        ("day", 1, "2025-01-31T00:00Z", 31),
        ("day", 2, "2025-01-31T00:00Z", 16),
        ("week", 1, "2025-01-28T23:59Z", 4),
        ("month", 1, "2025-05-01T00:00Z", 5),
        ("month", 3, "2025-05-01T00:00Z", 2),
        ("year", 1, "2025-05-01T00:00Z", 1),
    ],
)
def test_both_ends_are_included_and_the_count_is_known_without_listing(
    interval: str, units: int, end: str, count: int
) -> None:
    cut = wanted("2025-01-01T00:00Z", end, interval, units)

    assert len(cut.slots()) == count == cut.size(10_000)


def test_one_moment_is_one_slot_that_ends_where_the_next_would_begin() -> None:
    (slot,) = wanted("2025-01-31T00:00Z", "2025-01-31T00:00Z", "month").slots()

    assert (slot.at, slot.end) == (datetime(2025, 1, 31, tzinfo=UTC), datetime(2025, 2, 28, tzinfo=UTC))


def test_short_months_are_clamped_from_the_start_so_that_the_31st_comes_back() -> None:
    cut = wanted("2024-01-31T00:00Z", "2024-07-31T00:00Z", "month")

    assert [text[5:10] for text in local(cut)] == ["01-31", "02-29", "03-31", "04-30", "05-31", "06-30", "07-31"]


def test_a_leap_day_comes_back_every_fourth_year() -> None:
    cut = wanted("2016-02-29T00:00Z", "2024-02-29T00:00Z", "year")

    assert [text[:10] for text in local(cut)][3:6] == ["2019-02-28", "2020-02-29", "2021-02-28"]


def test_a_missing_local_time_becomes_the_end_of_the_gap_and_the_days_after_keep_their_time() -> None:
    cut = wanted("2025-03-29T02:30+01:00", "2025-03-31T02:30+02:00", zone=BERLIN)

    assert local(cut) == ["2025-03-29T02:30:00+01:00", "2025-03-30T03:00:00+02:00", "2025-03-31T02:30:00+02:00"]


def test_a_repeated_local_time_is_one_slot_its_first_pass() -> None:
    cut = wanted("2024-10-26T02:30+02:00", "2024-10-28T02:30+01:00", zone=BERLIN)

    assert [slot.at.hour for slot in cut.slots()] == [0, 0, 1]


def test_a_range_may_start_in_the_second_pass() -> None:
    cut = wanted("2024-10-27T02:30+01:00", "2024-10-29T02:30+01:00", zone=BERLIN)

    assert [slot.at.hour for slot in cut.slots()] == [1, 1, 1]


def test_hours_are_real_time_through_a_night_of_23_and_one_of_25_hours() -> None:
    assert len(wanted("2025-03-30T00:00+01:00", "2025-03-30T23:00+02:00", "hour", zone=BERLIN).slots()) == 23
    assert len(wanted("2024-10-27T00:00+02:00", "2024-10-27T23:00+01:00", "hour", zone=BERLIN).slots()) == 25


def test_a_day_that_a_zone_never_had_is_no_slot() -> None:
    cut = wanted("2011-12-29T02:30-10:00", "2012-01-01T02:30+14:00", zone="Pacific/Apia")

    assert [text[:10] for text in local(cut)] == ["2011-12-29", "2011-12-31", "2012-01-01"]


def test_the_moments_of_a_trigger_are_slots_with_its_next_moment_as_their_end() -> None:
    table = parse("0 6 * * 1-5", BERLIN)

    cut = wanted("2025-03-28T06:00+01:00", "2025-03-31T06:00+02:00", "schedule", zone=BERLIN, timetable=table)

    friday, monday = cut.slots()
    assert (friday.local_time, monday.local_time) == ("2025-03-28T06:00:00+01:00", "2025-03-31T06:00:00+02:00")
    assert (friday.end, monday.end) == (monday.at, datetime(2025, 4, 1, 4, tzinfo=UTC))


def test_the_last_moment_that_a_trigger_has_ends_nowhere() -> None:
    table = parse("on 2025-02-01T06:00, 2025-02-03T06:00", "UTC")

    cut = wanted("2025-01-01T00:00Z", "2025-03-01T00:00Z", "schedule", timetable=table)

    assert [slot.end for slot in cut.slots()] == [datetime(2025, 2, 3, 6, tzinfo=UTC), None]


def test_days_that_the_calendar_skips_are_no_slots() -> None:
    table = parse("0 6 * * *", "UTC", days=read_day_rule("weekend", {}))

    cut = wanted("2025-02-28T00:00Z", "2025-03-03T23:00Z", "schedule", timetable=table)

    assert [f"{slot.at:%a}" for slot in cut.slots()] == ["Fri", "Mon"]


@settings(deadline=None, max_examples=60)
@given(
    start=st.datetimes(datetime(1971, 1, 1), datetime(2024, 1, 1), timezones=st.just(UTC)),
    span=st.timedeltas(timedelta(0), timedelta(days=500)),
    interval=st.sampled_from([*CALENDAR, "hour", "custom"]),
    units=st.integers(1, 40),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata"]),
)
def test_any_range_is_cut_into_the_local_times_that_plain_arithmetic_gives(
    start: datetime, span: timedelta, interval: str, units: int, zone: str
) -> None:
    start = start.replace(microsecond=0)
    units = units * 50_000 if interval == "custom" else units
    cut = Range(start, start + span, interval, units, ZoneInfo(zone))

    slots = cut.slots()

    assert len(slots) <= cut.size(10_000) <= len(slots) + 1
    assert slots[0].at == start
    for number, (slot, after) in enumerate(zip(slots, [*slots[1:], None], strict=True)):
        assert start <= slot.at <= start + span
        assert slot.end is not None
        assert slot.end > slot.at
        assert after is None or slot.end == after.at
        assert (after is None) == (slot.end > start + span)
        assert abs(slot.at - plainly(start, interval, number * units, zone)) <= timedelta(hours=1)


def plainly(start: datetime, interval: str, units: int, zone: str) -> datetime:
    """What dateutil says, by the wall clock; up to an hour away where clocks change."""
    if interval in REAL:
        return start + timedelta(seconds=units * REAL[interval])
    there = start.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    return (there + relativedelta(**{f"{interval}s": units})).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


# --- what is refused ------------------------------------------------------------------------------------------------


def test_start_after_end_is_refused() -> None:
    found = refusal("2025-01-02T00:00Z", "2025-01-01T00:00Z")

    assert (found.field, found.message) == ("start_at", "Start must be before end.")


def test_an_end_in_the_future_is_refused() -> None:
    found = refusal("2025-01-02T00:00Z", "2025-06-01T00:00:01Z")

    assert (found.field, found.code) == ("end_at", "in_the_future")
    assert "2025-06-01 00:00 UTC now" in found.message


def test_ten_million_slots_are_refused_with_the_number_and_the_limit() -> None:
    found = refusal("2025-01-01T00:00Z", "2025-04-26T17:46:39Z", "second")

    assert found.message == "This backfill has 10 000 000 runs; the limit is 10 000."
    assert "BACKFILL_MOST_SLOTS" in found.hint


@pytest.mark.parametrize(("interval", "start"), [("day", "1990-01-01T00:00Z"), ("minute", "2025-05-25T00:00Z")])
def test_one_slot_more_than_the_limit_is_refused_and_the_limit_itself_is_not(interval: str, start: str) -> None:
    first = datetime.fromisoformat(start)
    step = timedelta(days=1) if interval == "day" else timedelta(minutes=1)

    assert len(wanted(start, (first + 9_999 * step).isoformat(), interval).slots()) == 10_000
    assert "10 001 runs" in refusal(start, (first + 10_000 * step).isoformat(), interval).message


def test_too_many_moments_of_a_trigger_are_refused_without_listing_them() -> None:
    found = refusal(
        "2000-01-01T00:00Z", "2025-01-01T00:00Z", "schedule", timetable=parse("* * * * *", "UTC"), limit=100
    )

    assert found.message == "This backfill has more than 100 runs; the limit is 100."


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"interval": "dayly"}, "interval_type", "second, minute, hour"),
        ({"units": 0}, "interval_units", "from 1 to 31 536 000"),
        ({"units": 31_536_001}, "interval_units", "from 1 to 31 536 000"),
        ({"zone": "Europe/Berln"}, "timezone", "Did you mean Europe/Berlin?"),
        ({"interval": "schedule"}, "schedule", "Name a time trigger"),
        ({"interval": "schedule", "timetable": parse("@always_on", "UTC")}, "schedule", "no moments"),
        ({"interval": "schedule", "timetable": parse("@daily", "UTC"), "units": 2}, "interval_units", "Leave it at 1"),
        ({"interval": "schedule", "timetable": parse("0 0 1 1 *", "UTC")}, "start_at", "no moment in this range"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(more: dict[str, Any], field: str, words: str) -> None:
    found = refusal("2025-02-01T00:00Z", "2025-03-01T00:00Z", **more)

    assert found.field == field
    assert words in str(found)


def test_years_beyond_the_calendar_are_refused() -> None:
    assert refusal("0001-01-01T00:00Z", "2025-03-01T00:00Z").field == "start_at"


@pytest.mark.parametrize("interval", [*REAL, *CALENDAR])
def test_the_largest_units_do_not_run_out_of_the_calendar(interval: str) -> None:
    assert len(wanted("2025-01-01T00:00Z", "2025-03-01T00:00Z", interval, 31_536_000).slots()) == 1
