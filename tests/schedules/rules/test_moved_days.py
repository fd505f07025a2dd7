"""Calendars on timetables: moments on a hit are skipped or moved, and what comes next stays a pure function."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schedules.policies import OnCalendarHit
from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.rules.cron_fields import InvalidSchedule, read_cron
from schedules.rules.day_expressions import Days
from schedules.rules.day_rules import DayRule, read_day_rule
from schedules.timetable import Instant, Timetable, parse
from tests.schedules.reference import utc, walk
from tests.schedules.test_timetable_reference import DST_RULES, EXPRESSIONS, ZONES, between, moments
from tests.steps import steps

DAY = timedelta(days=1)
CHRISTMAS: Days = {date(2025, 12, 25): "Christmas Day", date(2025, 12, 26): "Boxing Day"}.get
BEFORE = datetime(2025, 12, 23, 12, tzinfo=UTC)  # a Tuesday
EXACT = settings(deadline=None, max_examples=25, derandomize=True)
MOVES = st.sampled_from([OnCalendarHit.PREVIOUS, OnCalendarHit.NEXT])


def christmas(on_hit: OnCalendarHit) -> DayRule:
    return read_day_rule("christmas or weekend", {"christmas": CHRISTMAS}, on_hit)


def told(instant: Instant) -> str:
    return f"{instant.local:%m-%d %H:%M} {instant.hit or instant.note or ''}".strip()


@pytest.mark.parametrize(
    ("on_hit", "expected"),
    [
        (
            OnCalendarHit.SKIP,
            [
                "12-24 06:00",
                "12-25 06:00 Christmas Day (christmas)",
                "12-26 06:00 Boxing Day (christmas)",
                "12-27 06:00 Saturday (weekend)",
            ],
        ),
        (OnCalendarHit.NEXT, ["12-24 06:00", "12-29 06:00", "12-30 06:00", "12-31 06:00"]),
        (OnCalendarHit.PREVIOUS, ["12-24 06:00", "12-29 06:00", "12-30 06:00", "12-31 06:00"]),
    ],
)
@pytest.mark.parametrize("expression", ["0 6 * * *", "every 24 hours from 06:00", "RRULE:FREQ=DAILY;BYHOUR=6"])
def test_moments_that_move_to_where_there_is_one_are_that_one(
    expression: str, on_hit: OnCalendarHit, expected: list[str]
) -> None:
    found = parse(expression, "UTC", days=christmas(on_hit)).upcoming(BEFORE, 4)

    assert [told(instant) for instant in found] == expected


@pytest.mark.parametrize(
    ("expression", "on_hit", "expected"),
    [
        ("0 6 25 * *", OnCalendarHit.NEXT, "12-29 06:00 Moved from 2025-12-25 (Christmas Day)."),
        ("0 6 25 * *", OnCalendarHit.PREVIOUS, "12-24 06:00 Moved from 2025-12-25 (Christmas Day)."),
        ("0 6 * * 6", OnCalendarHit.NEXT, "12-29 06:00 Moved from 2025-12-27 (Saturday)."),
        ("on 2025-12-26T18:30", OnCalendarHit.NEXT, "12-29 18:30 Moved from 2025-12-26 (Boxing Day)."),
        (
            "every 2 weeks from 2025-12-25T06:00",
            OnCalendarHit.NEXT,
            "12-29 06:00 Moved from 2025-12-25 (Christmas Day).",
        ),
        (
            "RRULE:FREQ=MONTHLY;BYMONTHDAY=25;BYHOUR=6",
            OnCalendarHit.PREVIOUS,
            "12-24 06:00 Moved from 2025-12-25 (Christmas Day).",
        ),
    ],
)
def test_a_moved_moment_says_whence(expression: str, on_hit: OnCalendarHit, expected: str) -> None:
    instant = parse(expression, "UTC", days=christmas(on_hit)).next_after(BEFORE)

    assert instant is not None
    assert told(instant) == expected


def test_moments_of_one_day_are_in_order_wherever_they_come_from() -> None:
    timetable = parse(
        "on 2025-12-26T23:00, 2025-12-27T01:00, 2025-12-29T12:00", "UTC", days=christmas(OnCalendarHit.NEXT)
    )

    assert [f"{each.local:%d %H:%M}" for each in timetable.upcoming(BEFORE, 9)] == ["29 01:00", "29 12:00", "29 23:00"]


def test_the_rules_about_clocks_hold_where_a_moment_is_moved_to() -> None:
    days = read_day_rule("saturday", {"saturday": {date(2025, 3, 29): "Saturday"}.get}, OnCalendarHit.NEXT)

    moved = parse("30 2 29 3 *", "Europe/Berlin", days=days).next_after(utc("2025-03-01T00:00Z"))
    skipped = parse("30 2 29 3 *", "Europe/Berlin", days=days, dst=DstRule(Missing.SKIPPED))

    assert moved is not None
    assert told(moved) == (
        "03-30 03:00 Moved from 2025-03-29 (Saturday). "
        "02:30 does not exist on 2025-03-30: clocks go forward; runs at 03:00."
    )
    assert [each.local.year for each in skipped.upcoming(utc("2025-03-01T00:00Z"), 1)] == [
        2027
    ]  # in 2026 the clocks change that very day


def test_once_is_moved_or_skipped_as_well() -> None:
    start = datetime(2025, 12, 25, 6, tzinfo=UTC)

    moved, skipped = (
        parse("@once", "UTC", start=start, days=christmas(on_hit)).upcoming(BEFORE, 5)
        for on_hit in (OnCalendarHit.NEXT, OnCalendarHit.SKIP)
    )

    assert [told(each) for each in moved] == ["12-29 06:00 Moved from 2025-12-25 (Christmas Day)."]
    assert [told(each) for each in skipped] == ["12-25 06:00 Christmas Day (christmas)"]


def test_hours_and_calendar_go_together() -> None:
    timetable = parse("0 */6 * * *", "UTC", hours=(time(7), time(13)), days=christmas(OnCalendarHit.NEXT))

    assert [f"{each.local:%d %H:%M}" for each in timetable.upcoming(BEFORE, 3)] == ["24 12:00", "29 12:00", "30 12:00"]
    assert timetable.describe() == (
        "at 00:00, 06:00, 12:00 and 18:00 every day, only between 07:00 and 13:00; "
        "moved to the next day that is not in christmas or weekend"
    )


def test_always_on_is_closed_on_a_hit() -> None:
    timetable = parse("@always_on", "Europe/Berlin", hours=(time(7), time(22)), days=christmas(OnCalendarHit.SKIP))

    assert not timetable.is_open(utc("2025-12-25T12:00Z"))
    assert timetable.opens_at(utc("2025-12-24T21:30Z")) == utc("2025-12-29T06:00Z")


def test_a_calendar_that_holds_every_day_moves_nothing_and_hangs_nobody() -> None:
    closed = read_day_rule("closed", {"closed": lambda day: "Closed"}, OnCalendarHit.NEXT)
    for expression in ("* * * * *", "every 1 minute", "RRULE:FREQ=MINUTELY"):
        timetable = parse(expression, "UTC", days=closed)
        found: list[Instant] = []
        assert steps(lambda timetable=timetable, found=found: found.extend(timetable.upcoming(BEFORE, 100))) < 1_000_000
        assert {each.hit for each in found} == {"Closed (closed), and no other day within 100 days"}

    assert parse("@always_on", "UTC", days=closed).opens_at(BEFORE) is None


@pytest.mark.parametrize("expression", ["* * * * *", "every 1 minute", "0 6 * * *", "every 1 day", "RRULE:FREQ=HOURLY"])
@pytest.mark.parametrize("on_hit", OnCalendarHit)
def test_a_thousand_moments_are_found_at_once_with_a_calendar_too(expression: str, on_hit: OnCalendarHit) -> None:
    timetable = parse(expression, "Europe/Berlin", days=christmas(on_hit))

    found: list[Instant] = []
    assert steps(lambda: found.extend(timetable.upcoming(BEFORE, 1000))) < 1_000_000  # benchmarks: T3
    assert len(found) == 1000


# --- any expression, any zone, any days -------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, datetime, frozenset[int], OnCalendarHit]:
    """An expression, a zone, a moment, the days around it that are hits (0 is its own), and what becomes of them."""
    zone = draw(ZONES)
    moment = draw(moments(zone))
    hits = draw(st.frozensets(st.integers(-5, 7), max_size=8))
    return draw(EXPRESSIONS), zone, moment, hits, draw(MOVES)


def rule_around(moment: datetime, zone: str, hits: frozenset[int], on_hit: OnCalendarHit) -> DayRule:
    today = moment.astimezone(ZoneInfo(zone)).date()
    return read_day_rule("hits", {"hits": {today + number * DAY: "Hit" for number in hits}.get}, on_hit)


def plain_target(day: date, days: DayRule) -> date:
    while days.is_hit(day):
        day += DAY if days.on_hit is OnCalendarHit.NEXT else -DAY
    return day


@EXACT
@given(cases(), DST_RULES)
@example(
    ("30 2 * * *", "Europe/Berlin", utc("2025-03-29T12:00Z"), frozenset({0}), OnCalendarHit.NEXT),
    DstRule(Missing.SKIPPED),
)
@example(
    ("0,30 2 * * *", "Europe/Berlin", utc("2025-10-25T12:00Z"), frozenset({0}), OnCalendarHit.NEXT),
    DstRule(repeated=Repeated.BOTH),
)
@example(
    ("15 0 * * *", "Antarctica/Casey", utc("2018-10-06T12:00Z"), frozenset({1}), OnCalendarHit.PREVIOUS), DstRule()
)
def test_moved_moments_agree_with_a_walk_through_every_minute(
    case: tuple[str, str, datetime, frozenset[int], OnCalendarHit], dst: DstRule
) -> None:
    expression, zone, after, hits, on_hit = case
    days, until = rule_around(after, zone, hits, on_hit), after + 2 * DAY
    timetable = parse(expression, zone, dst=dst, days=days)
    cron, moved = read_cron(expression), set()
    for day in cron.days_from(after.date() - 12 * DAY):
        if day > after.date() + 13 * DAY:
            break
        target = plain_target(day, days)
        moved.update(datetime.combine(target, time(*divmod(minute, 60))) for minute in cron.times)

    found = between(timetable, after, until)

    elastic = timetable.is_elastic
    missing, repeated = ("skipped", "both") if elastic else (dst.missing, dst.repeated)
    assert found == walk(moved.__contains__, zone, after, until, missing, repeated)


INTERVALS = st.builds(
    lambda span, anchor: f"every {span} from {anchor}",
    st.sampled_from(["90 minutes", "7 hours", "1 day", "25 hours", "3 days"]),
    st.sampled_from(["2000-01-01T00:30", "06:00", "1999-12-31T23:45"]),
)
HOURS = st.one_of(st.none(), st.sampled_from([(time(7), time(22)), (time(22), time(6)), (time(23, 50), time(0, 40))]))


def timetable_of(
    expression: str, zone: str, hours: tuple[time, time] | None, dst: DstRule, days: DayRule | None
) -> Timetable | None:
    try:
        return parse(expression, zone, hours=hours, dst=dst, days=days)
    except InvalidSchedule:  # no moment within these hours
        return None


@EXACT
@given(cases(), st.one_of(EXPRESSIONS, INTERVALS), HOURS, DST_RULES, st.booleans())
def test_what_comes_next_depends_on_the_moment_alone(
    case: tuple[str, str, datetime, frozenset[int], OnCalendarHit],
    expression: str,
    hours: tuple[time, time] | None,
    dst: DstRule,
    skips: bool,
) -> None:
    _, zone, moment, hits, on_hit = case
    days = rule_around(moment, zone, hits, OnCalendarHit.SKIP if skips else on_hit)
    timetable = timetable_of(expression, zone, hours, dst, days)
    assume(timetable is not None)
    assert timetable is not None

    listed = timetable.upcoming(moment, 6)

    assert all(a.utc < b.utc for a, b in pairwise(listed))
    for last, instant in zip([moment, *(each.utc for each in listed)], listed, strict=False):
        fresh = timetable_of(expression, zone, hours, dst, days)  # one that remembers nothing
        assert fresh is not None
        for share in (0, 4, 9):
            assert fresh.next_after(last + (instant.utc - last) * share // 10) == instant
        assert timetable.next_after(instant.utc - timedelta(microseconds=1)) == instant
        assert hours is None or in_hours(instant.nominal.time(), hours)
        assert skips or not instant.hit


def in_hours(at: time, hours: tuple[time, time]) -> bool:
    begin, end = hours
    return begin <= at < end if begin < end else at >= begin or at < end


@EXACT
@given(INTERVALS, ZONES, st.integers(0, 20_000), st.frozensets(st.integers(-5, 7), max_size=8), MOVES)
def test_a_moved_interval_is_each_of_its_steps_moved(
    expression: str, zone: str, hour: int, hits: frozenset[int], on_hit: OnCalendarHit
) -> None:
    after = utc("2024-01-01T00:00Z") + timedelta(hours=hour)
    days, until = rule_around(after, zone, hits, on_hit), after + 2 * DAY
    plain = parse(expression, zone)

    expected = set()
    for step in plain.between(after - 12 * DAY, until + 12 * DAY, 10_000):
        target = plain_target(step.nominal.date(), days)
        if target == step.nominal.date():
            expected.add(step.utc)
        elif abs(target - after.date()) <= 4 * DAY:
            moved = parse(f"on {target}T{step.nominal:%H:%M}", zone).next_after(after - 20 * DAY)
            expected.update([moved.utc] if moved else [])

    found = between(parse(expression, zone, days=days), after, until)

    assert found == sorted(each for each in expected if after < each <= until)
