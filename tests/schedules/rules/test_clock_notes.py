"""What changes of the clock do, in words; and the changes themselves."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from schedules.rules.clock_changes import DstRule, Missing, Repeated, clock_changes
from schedules.timetable import parse
from tests.schedules.reference import utc

BERLIN = "Europe/Berlin"
YEAR = (utc("2025-01-01T00:00Z"), utc("2026-01-01T00:00Z"))
BOTH = DstRule(repeated=Repeated.BOTH)


def notes(typed: str, dst: DstRule = DstRule(), zone: str = BERLIN) -> list[str]:  # noqa: B008
    return [bite.note for bite in parse(typed, zone, dst=dst).bites(*YEAR)]


@pytest.mark.parametrize(
    ("typed", "dst", "spring", "autumn"),
    [
        ("30 2 * * *", DstRule(), "02:30 does not exist on 2025-03-30: runs at 03:00.", "runs the first time only."),
        (
            "30 2 * * *",
            DstRule(Missing.SKIPPED, Repeated.SECOND),
            "02:30 does not exist on 2025-03-30: skipped.",
            "runs the second time only.",
        ),
        ("0,30 2 * * *", BOTH, "02:00 and 02:30 do not exist on 2025-03-30: run once, at 03:00.", "run both times."),
        (
            "*/10 2 * * *",
            DstRule(),
            "02:00 to 02:50 (6 times) do not exist on 2025-03-30: no run, as this rule follows real time.",
            "run both times.",
        ),
    ],
)
def test_a_year_says_what_each_change_does(typed: str, dst: DstRule, spring: str, autumn: str) -> None:
    first, second = notes(typed, dst)

    assert first == spring
    assert second.endswith(f"twice on 2025-10-26: {autumn}")


@pytest.mark.parametrize(
    "typed", ["0 * * * *", "*/15 * * * *", "0 6 * * *", "every 2 hours", "RRULE:FREQ=HOURLY", "@once", "on 2025-06-01"]
)
def test_what_no_change_meets_is_not_mentioned(typed: str) -> None:
    assert notes(typed) == []


def test_rrules_and_dates_are_met_like_cron() -> None:
    assert notes("RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;BYHOUR=2") == [
        "02:00 does not exist on 2025-03-30: runs at 03:00."
    ]
    assert notes("on 2025-10-26T02:15", BOTH) == ["02:15 comes twice on 2025-10-26: runs both times."]


def test_only_changes_between_start_and_end_count() -> None:
    timetable = parse("30 2 * * *", BERLIN, start=utc("2025-06-01T00:00Z"), end=utc("2025-10-01T00:00Z"))

    assert timetable.bites(*YEAR) == []


def test_a_jump_over_a_whole_day_is_not_made_up() -> None:
    timetable = parse("0 9 * * *", "Pacific/Apia")

    (bite,) = timetable.bites(utc("2011-12-01T00:00Z"), utc("2012-01-31T00:00Z"))

    assert bite.note == "09:00 does not exist on 2011-12-30: no run, as so large a jump is not made up."


@pytest.mark.parametrize(
    ("repeated", "said"),
    [
        (Repeated.FIRST, ["runs the first time only."]),
        (Repeated.SECOND, ["runs the second time only."]),
        (Repeated.BOTH, ["runs both times: this is the first.", "runs both times: this is the second."]),
    ],
)
def test_a_moment_says_which_pass_was_chosen(repeated: Repeated, said: list[str]) -> None:
    timetable = parse("30 2 * * *", BERLIN, dst=DstRule(repeated=repeated))

    found = timetable.between(utc("2025-10-25T20:00Z"), utc("2025-10-26T06:00Z"), 9)

    assert [instant.note for instant in found] == [f"02:30 comes twice on 2025-10-26; {words}" for words in said]


def test_clock_changes_are_found_with_what_clocks_show_before_and_after() -> None:
    first, second = clock_changes(ZoneInfo("Australia/Lord_Howe"), *YEAR)

    assert (first.before, first.then) == (datetime(2025, 4, 6, 2), datetime(2025, 4, 6, 1, 30))
    assert (second.before, second.then) == (datetime(2025, 10, 5, 2), datetime(2025, 10, 5, 2, 30))
    assert [first.goes_forward, second.goes_forward] == [False, True]
    assert list(clock_changes(ZoneInfo("Asia/Kolkata"), datetime(2020, 1, 1, tzinfo=UTC), YEAR[1])) == []
