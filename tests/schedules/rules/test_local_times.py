"""Schedules that are a list of dates."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.rules.cron_fields import InvalidSchedule
from schedules.timetable import Kind, parse
from tests.schedules.reference import utc, walk
from tests.schedules.test_timetable_reference import DST_RULES, EXACT, ZONES, between, moments

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MIDNIGHT_OF_CHANGE = utc("2025-10-25T22:00Z")


def test_dates_are_local_sorted_and_each_there_once() -> None:
    timetable = parse("on 2026-12-31T18:00, 2026-12-24 18:00,2026-12-24T18:00:00, 2025-06-01", "Europe/Berlin")

    assert timetable.kind is Kind.DATES
    assert [each.local.isoformat() for each in timetable.upcoming(NEW_YEAR, 9)] == [
        "2026-12-24T18:00:00+01:00",
        "2026-12-31T18:00:00+01:00",
    ]
    assert timetable.describe() == "on 2025-06-01 at 00:00, 2026-12-24 at 18:00 and 2026-12-31 at 18:00"


def test_dates_that_are_all_past_are_no_mistake() -> None:
    timetable = parse("ON 2020-01-01T06:00", "UTC")

    assert timetable.next_after(NEW_YEAR) is None
    assert len(timetable.upcoming(datetime(2019, 1, 1, tzinfo=UTC), 5)) == 1


@pytest.mark.parametrize(
    ("dst", "walls"),
    [
        (DstRule(), ["02:30+02:00"]),
        (DstRule(repeated=Repeated.SECOND), ["02:30+01:00"]),
        (DstRule(repeated=Repeated.BOTH), ["02:30+02:00", "02:30+01:00"]),
    ],
)
def test_a_date_that_comes_twice_follows_the_choice(dst: DstRule, walls: list[str]) -> None:
    found = parse("on 2025-10-26T02:30", "Europe/Berlin", dst=dst).upcoming(MIDNIGHT_OF_CHANGE, 5)

    assert [each.local.isoformat()[11:16] + each.local.isoformat()[19:] for each in found] == walls


def test_a_date_that_does_not_exist_is_moved_or_skipped() -> None:
    moved = parse("on 2025-03-30T02:30", "Europe/Berlin").next_after(utc("2025-03-29T00:00Z"))
    skipped = parse("on 2025-03-30T02:30", "Europe/Berlin", dst=DstRule(Missing.SKIPPED))

    assert moved is not None
    assert moved.note == "02:30 does not exist on 2025-03-30: clocks go forward; runs at 03:00."
    assert skipped.next_after(utc("2025-03-29T00:00Z")) is None


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("on", "There is no date after on."),
        ("on  ", "There is no date after on."),
        ("on monday", "'monday' is not a date and time."),
        ("on 2026-02-30", "'2026-02-30' is not a date and time."),
        ("on 2026-12-24T24:00", "'2026-12-24T24:00' is not a date and time."),
        ("on 2026-12-24T18:00:30", "'2026-12-24T18:00:30' is not a date and time."),
        ("on 24-12-2026", "'24-12-2026' is not a date and time."),
        ("on 20261224", "'20261224' is not a date and time."),
        ("on 2026-12-24T18:00,", "There is an empty date."),
        ("on 2026-12-24T18:00 2026-12-31T18:00", "'2026-12-24T18:00 2026-12-31T18:00' is not a date and time."),
        ("on 2026-12-24T18:00Z", "'2026-12-24T18:00Z' has a zone of its own."),
        ("on 2026-12-24T18:00 UTC", "'2026-12-24T18:00 UTC' has a zone of its own."),
        ("on 2026-12-24T18:00-05:00", "'2026-12-24T18:00-05:00' has a zone of its own."),
        ("on 2026-12-24T18:00 Europe/Berlin", "'2026-12-24T18:00 Europe/Berlin' has a zone of its own."),
        ("on 1815-06-18T11:00", "'1815-06-18T11:00' is outside the years 1970 to 2200."),
        ("on " + ",".join(["2026-12-24T18:00"] * 16), "A schedule interval has at most 256 characters;"),
    ],
)
def test_what_is_wrong_with_a_date_is_said(typed: str, problem: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        parse(typed, "Europe/Berlin")

    assert str(caught.value).startswith(problem)
    assert caught.value.field == "schedule_interval"


@EXACT
@given(ZONES.flatmap(lambda zone: st.tuples(st.just(zone), moments(zone))), st.data(), DST_RULES)
def test_dates_agree_with_a_walk_through_every_minute(
    place: tuple[str, datetime], data: st.DataObject, dst: DstRule
) -> None:
    zone, after = place
    local = after.replace(tzinfo=None, second=0, microsecond=0)
    minutes = data.draw(st.lists(st.integers(-900, 3000), min_size=1, max_size=13))
    named = {datetime.fromtimestamp(local.timestamp() + 60 * minute) for minute in minutes}
    typed = "on " + ",".join(f"{each:%Y-%m-%dT%H:%M}" for each in named)
    until = after + (utc("2025-01-03T00:00Z") - utc("2025-01-01T00:00Z"))

    found = between(parse(typed, zone, dst=dst), after, until)

    assert found == walk(named.__contains__, zone, after, until, dst.missing, dst.repeated)
