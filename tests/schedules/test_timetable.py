"""The timetable: vectors checked against Debian's cron, starts and ends, notes, speed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schedules.rules.cron_fields import InvalidSchedule, read_cron
from schedules.timetable import Kind, parse
from tests.schedules.reference import utc
from tests.steps import steps

ORACLE = json.loads((Path(__file__).parent / "cron_vectors.json").read_text())
NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("vector", ORACLE["vectors"], ids=lambda vector: vector["id"])
def test_the_instants_are_those_of_the_oracle(vector: dict[str, Any]) -> None:
    timetable = parse(vector["expression"], vector["zone"])

    found = timetable.upcoming(utc(vector["from"]), 5)

    assert [instant.utc for instant in found] == [utc(text) for text in vector["expected"]]
    assert [instant.local.isoformat() for instant in found] == vector["expected_local"]
    assert timetable.is_elastic == (vector["rule"] == "elastic")


@pytest.mark.parametrize("case", ORACLE["catchup"], ids=lambda case: case["id"])
def test_the_overdue_and_the_next_moment_are_those_of_the_oracle(case: dict[str, Any]) -> None:
    timetable = parse(case["expression"], case["zone"])
    last, now = utc(case["last_slot"]), utc(case["now"])

    overdue = timetable.between(last, now, limit=1000)
    following = timetable.next_after(max(last, now))

    assert len(overdue) == case["missed"]
    assert following is not None
    assert following.utc == utc(case["next_slot"])
    if case["policy"] == "latest":
        assert [instant.utc for instant in timetable.latest(last, now, 1)] == [utc(text) for text in case["create"]]


@pytest.mark.parametrize("word", ["@once", "@always_on", " @Once "])
def test_once_and_always_on_have_no_moments_of_their_own(word: str) -> None:
    timetable = parse(word, "UTC")

    assert timetable.kind == Kind(word.strip().lower())
    assert timetable.next_after(NEW_YEAR) is None


def test_once_with_a_start_has_that_one_moment() -> None:
    timetable = parse("@once", "Europe/Berlin", start=NEW_YEAR)

    found = timetable.upcoming(NEW_YEAR - timedelta(days=3), 5)

    assert [instant.utc for instant in found] == [NEW_YEAR]
    assert timetable.next_after(NEW_YEAR) is None


def test_start_and_end_are_both_included() -> None:
    timetable = parse("0 * * * *", "UTC", start=NEW_YEAR, end=NEW_YEAR + timedelta(hours=2))

    found = timetable.upcoming(NEW_YEAR - timedelta(days=30), 10)

    assert [instant.utc.hour for instant in found] == [0, 1, 2]


def test_a_start_between_two_moments_waits_for_the_next() -> None:
    timetable = parse("@daily", "UTC", start=NEW_YEAR + timedelta(minutes=1))

    instant = timetable.next_after(NEW_YEAR - timedelta(days=30))

    assert instant is not None
    assert instant.utc == NEW_YEAR + timedelta(days=1)


def test_start_must_be_before_end() -> None:
    with pytest.raises(InvalidSchedule, match=r"Start must be before end\.") as caught:
        parse("@daily", "UTC", start=NEW_YEAR, end=NEW_YEAR)

    assert caught.value.field == "end_time"


@pytest.mark.parametrize(
    ("expression", "after", "note"),
    [
        ("30 2 * * *", "2025-03-29T12:00Z", "02:30 does not exist on 2025-03-30: clocks go forward; runs at 03:00."),
        ("30 2 * * *", "2025-10-25T12:00Z", "02:30 comes twice on 2025-10-26; runs the first time only."),
        ("*/30 2 * * *", "2025-10-25T23:45Z", "02:00 comes twice on 2025-10-26; this is the first."),
        ("*/30 2 * * *", "2025-10-26T00:45Z", "02:00 comes twice on 2025-10-26; this is the second."),
        ("0 3 * * *", "2025-03-29T12:00Z", None),
        ("0 6 * * *", "2025-06-29T12:00Z", None),
    ],
)
def test_a_moment_says_what_a_clock_change_did_to_it(expression: str, after: str, note: str | None) -> None:
    instant = parse(expression, "Europe/Berlin").next_after(utc(after))

    assert instant is not None
    assert instant.note == note


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("Europe/Berln", "Did you mean Europe/Berlin?"),
        ("europe/berlin", "Did you mean Europe/Berlin?"),
        ("Berlin", "Did you mean Europe/Berlin?"),
        ("New York", "Did you mean America/New_York?"),
        ("", "Use an IANA name such as Europe/Berlin, or UTC."),
        ("Mars/Olympus", "Use an IANA name such as Europe/Berlin, or UTC."),
        ("../../etc/passwd", "Use an IANA name such as Europe/Berlin, or UTC."),
        ("localtime", "Use an IANA name such as Europe/Berlin, or UTC."),
        ("x" * 100_000, "Use an IANA name such as Europe/Berlin, or UTC."),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(typed: str, hint: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        parse("@daily", typed)

    assert str(caught.value) == f"Unknown time zone. {hint}"
    assert caught.value.field == "timezone"


def test_the_overdue_moments_of_a_year_are_found_without_listing_them_all() -> None:
    timetable = parse("* * * * *", "Europe/Berlin")
    now = NEW_YEAR + timedelta(days=365, seconds=7)

    found = timetable.latest(NEW_YEAR, now, 3)

    assert [now - instant.utc for instant in found] == [timedelta(minutes=back, seconds=7) for back in (2, 1, 0)]
    assert steps(lambda: timetable.latest(NEW_YEAR, now, 3)) < 10_000  # to list them takes twenty million


def test_latest_stops_at_the_given_beginning() -> None:
    found = parse("@daily", "UTC").latest(NEW_YEAR, NEW_YEAR + timedelta(days=2, hours=5), 10)

    assert [instant.utc for instant in found] == [NEW_YEAR + timedelta(days=1), NEW_YEAR + timedelta(days=2)]


@pytest.mark.parametrize(
    "expression",
    ["* * * * *", "*/7 3 * * *", "0 0 29 2 *", "*/30 2 29 2 */7", "0 8 * * 1#5", "0 0 L * *", "59 23 31 12 0"],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_a_thousand_instants_are_found_in_few_steps(expression: str, zone: str) -> None:
    read_cron.cache_clear()

    assert steps(lambda: parse(expression, zone).upcoming(NEW_YEAR, 1000)) < 100_000  # benchmarks: T3


def test_the_end_of_the_calendar_ends_the_list() -> None:
    found = parse("@yearly", "UTC").upcoming(datetime(9990, 6, 1, tzinfo=UTC), 1000)

    assert [instant.utc.year for instant in found] == list(range(9991, 9999))
