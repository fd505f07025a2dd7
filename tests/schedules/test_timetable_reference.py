"""The timetable against a slow reference, and what must hold for any expression in any zone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.rules.cron_fields import InvalidSchedule
from schedules.timetable import Timetable, parse
from tests.schedules.reference import instants

ODD_ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Easter",
)
ZONES = st.one_of(st.sampled_from(ODD_ZONES), st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})))
DST_RULES = st.builds(DstRule, st.sampled_from(Missing), st.sampled_from(Repeated))
FIRST, LAST = datetime(1975, 1, 1, tzinfo=UTC), datetime(2037, 12, 1, tzinfo=UTC)
EXACT = settings(deadline=None, max_examples=150, derandomize=True)


def one_field(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    spread = st.tuples(value, value).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, max(2, high // 2))
    item = st.one_of(
        value.map(str), spread, st.tuples(spread, step).map(lambda pair: f"{pair[0]}/{pair[1]}"), *map(st.just, more)
    )
    return st.one_of(
        st.just("*"), step.map(lambda every: f"*/{every}"), st.lists(item, min_size=1, max_size=3).map(",".join)
    )


def one_weekday_field() -> st.SearchStrategy[str]:
    special = st.sampled_from(["1#1", "sun#5", "5L", "0#2,3#4"])
    return st.one_of(st.just("*"), one_field(0, 7, "mon", "mon-fri", "7"), special)


ANY_EXPRESSIONS = st.tuples(
    one_field(0, 59),
    st.one_of(one_field(0, 23), st.sampled_from(["2", "0", "1,2,3", "23", "0-23"])),
    st.one_of(st.just("*"), one_field(1, 28, "L")),
    st.one_of(st.just("*"), one_field(1, 12, "mar", "oct")),
    one_weekday_field(),
).map(" ".join)


def fires_at_all(expression: str) -> bool:
    try:
        parse(expression, "UTC")
    except InvalidSchedule:  # for example the fifth Sunday, but only on days of */8
        return False
    return True


EXPRESSIONS = ANY_EXPRESSIONS.filter(fires_at_all)


@st.composite
def moments(draw: st.DrawFn, zone: str) -> datetime:
    """A moment of this century or the last; every other time shortly before a change of the zone's clocks."""
    moment = draw(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None))).replace(tzinfo=UTC)
    if draw(st.booleans()) and (change := next_change(zone, moment)):
        return change - draw(st.timedeltas(timedelta(0), timedelta(days=1)))
    return moment


def next_change(zone: str, after: datetime) -> datetime | None:
    """The hour-exact start of the zone's next change of clocks within a year, if there is one."""
    place = parse("@daily", zone).zone
    hours = (after + timedelta(hours=step) for step in range(0, 24 * 366, 6))
    offsets = ((hour, hour.astimezone(place).utcoffset()) for hour in hours)
    return next((hour for (hour, offset), (_, then) in pairwise(offsets) if offset != then), None)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, datetime]:
    zone = draw(ZONES)
    return draw(EXPRESSIONS), zone, draw(moments(zone))


def between(timetable: Timetable, after: datetime, until: datetime) -> list[datetime]:
    return [instant.utc for instant in timetable.between(after, until, limit=10**6)]


@EXACT
@given(cases())
@example(("30 2 * * *", "Europe/Berlin", datetime(2025, 3, 29, 12, tzinfo=UTC)))
@example(("*/20 2 26 10 *", "Europe/Berlin", datetime(2025, 10, 26, 0, 50, tzinfo=UTC)))
@example(("0 9 * * *", "Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)))
@example(("15 0 * * *", "Antarctica/Casey", datetime(2018, 10, 6, 12, tzinfo=UTC)))
@example(("10 1 * * *", "Antarctica/Casey", datetime(2019, 3, 16, 12, tzinfo=UTC)))
def test_the_timetable_agrees_with_a_walk_through_every_minute(case: tuple[str, str, datetime]) -> None:
    expression, zone, after = case
    until = after + timedelta(days=2)

    found = between(parse(expression, zone), after, until)

    assert found == instants(expression, zone, after, until)


@EXACT
@given(cases(), DST_RULES)
@example(("30 2 * * *", "Europe/Berlin", datetime(2025, 10, 25, 23, 30, tzinfo=UTC)), DstRule(repeated=Repeated.SECOND))
@example(("*/30 2 * * *", "Europe/Berlin", datetime(2025, 3, 29, 12, tzinfo=UTC)), DstRule(Missing.SKIPPED))
@example(("0,40 1 * * *", "Australia/Lord_Howe", datetime(2025, 4, 5, 13, tzinfo=UTC)), DstRule(repeated=Repeated.BOTH))
@example(("0 9 * * *", "America/Juneau", datetime(1983, 10, 30, 8, tzinfo=UTC)), DstRule(repeated=Repeated.BOTH))
@example(("15,45 0,23 * * *", "America/Havana", datetime(2025, 11, 1, 18, tzinfo=UTC)), DstRule(repeated=Repeated.BOTH))
def test_each_choice_about_dst_agrees_with_that_walk(case: tuple[str, str, datetime], dst: DstRule) -> None:
    expression, zone, after = case
    until = after + timedelta(days=2)

    found = between(parse(expression, zone, dst=dst), after, until)

    assert found == instants(expression, zone, after, until, dst.missing, dst.repeated)


@EXACT
@given(cases(), DST_RULES)
def test_a_list_is_what_asking_again_and_again_gives_for_each_choice(
    case: tuple[str, str, datetime], dst: DstRule
) -> None:
    expression, zone, moment = case
    timetable = parse(expression, zone, dst=dst)

    listed = timetable.upcoming(moment, 8)

    assert all(a.utc < b.utc for a, b in pairwise(listed))
    for last, instant in zip([moment, *(each.utc for each in listed)], listed, strict=False):
        assert timetable.next_after(last) == instant
        assert timetable.next_after(instant.utc - timedelta(microseconds=1)) == instant


@EXACT
@given(cases())
def test_the_next_instant_is_later_and_stays_the_next_until_it_comes(case: tuple[str, str, datetime]) -> None:
    expression, zone, moment = case
    timetable = parse(expression, zone)

    instant = timetable.next_after(moment)

    assert instant is not None
    assert instant.utc > moment
    for share in (0, 3, 9):
        between_them = moment + (instant.utc - moment) * share // 10
        assert timetable.next_after(between_them) == instant
    assert timetable.next_after(instant.utc - timedelta(microseconds=1)) == instant
    assert timetable.latest(moment, instant.utc, 1) == [instant]


@EXACT
@given(cases())
def test_a_list_is_what_asking_again_and_again_gives(case: tuple[str, str, datetime]) -> None:
    expression, zone, moment = case
    timetable = parse(expression, zone)

    listed = timetable.upcoming(moment, 8)

    asked, last = [], moment
    for _ in listed:
        step = timetable.next_after(last)
        assert step is not None
        asked.append(step)
        last = step.utc
    assert listed == asked
    assert timetable.between(moment, last, limit=8) == listed
    assert timetable.latest(moment, last, 3) == listed[-3:]


@EXACT
@given(EXPRESSIONS, st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)))
def test_aliases_of_a_zone_give_the_same_instants(expression: str, moment: datetime) -> None:
    after = moment.replace(tzinfo=UTC)

    old, new = (parse(expression, zone).upcoming(after, 5) for zone in ("US/Eastern", "America/New_York"))

    assert [instant.utc for instant in old] == [instant.utc for instant in new]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.sampled_from(ODD_ZONES), st.integers(0, 23), st.integers(0, 59), st.integers(1980, 2036))
def test_a_daily_job_runs_once_on_each_calendar_day_that_there_is(zone: str, hour: int, minute: int, year: int) -> None:
    timetable = parse(f"{minute} {hour} * * *", zone)
    place = timetable.zone
    first = datetime(year, 1, 1, tzinfo=place)

    days = [instant.nominal.date() for instant in timetable.between(first, first + timedelta(days=400), limit=1000)]

    assert len(days) == len(set(days))
    steps = {(b - a).days for a, b in pairwise(days)}
    assert steps <= {1, 2}
    for a, b in pairwise(days):
        if (b - a).days == 2:  # a day that does not exist, or whose hours were jumped over for good
            jump = datetime.combine(a, datetime.min.time(), place), datetime.combine(b, datetime.max.time(), place)
            assert jump[1].utcoffset() - jump[0].utcoffset() >= timedelta(hours=3)  # type: ignore[operator]
