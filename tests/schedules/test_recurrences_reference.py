"""RRULEs against python-dateutil counting from DTSTART, and their instants against a walk through every minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import assume, example, given
from hypothesis import strategies as st

from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.rules.cron_fields import InvalidSchedule
from schedules.rules.recurrence_text import read_recurrence
from schedules.rules.recurrences import Recurrence
from schedules.timetable import parse
from tests.schedules.reference import walk
from tests.schedules.test_timetable_reference import DST_RULES, EXACT, ZONES, between, moments

UTC_ZONE = ZoneInfo("UTC")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MANY_DAYS = timedelta(days=900)


def some(low: int, high: int, most: int = 3, *, negative: bool = False) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    either = st.one_of(value, value.map(lambda number: -number)) if negative else value
    return st.lists(either.map(str), min_size=1, max_size=most).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """A rule of any frequency with a few of the parts that make sense there."""
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]))
    weekdays = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3).map(",".join)
    nth = st.tuples(st.sampled_from(["1", "2", "-1", "5", "-2"]), st.sampled_from(WEEKDAYS)).map("".join)
    optional = {
        "INTERVAL": st.integers(1, 40).map(str),
        "WKST": st.sampled_from(WEEKDAYS),
        "BYMONTH": some(1, 12),
        "BYMONTHDAY": some(1, 31, negative=True),
        "BYDAY": st.one_of(weekdays, nth) if frequency in ("YEARLY", "MONTHLY") else weekdays,
        "BYHOUR": some(0, 23),
        "BYMINUTE": some(0, 59),
    }
    if frequency == "YEARLY":
        optional |= {"BYYEARDAY": some(1, 366, negative=True)}
        optional |= {"BYWEEKNO": some(1, 53, negative=True), "BYDAY": weekdays} if draw(st.booleans()) else {}
    if frequency not in ("HOURLY", "MINUTELY"):
        optional["BYSETPOS"] = some(1, 4, negative=True)
    names = draw(st.sets(st.sampled_from(sorted(optional)), max_size=4))
    return ";".join([f"FREQ={frequency}", *(f"{name}={draw(optional[name])}" for name in sorted(names))])


PLACES = ZONES.flatmap(lambda zone: st.tuples(st.just(zone), moments(zone)))
STARTS = st.datetimes(datetime(1999, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(second=0, microsecond=0))


@EXACT
@given(rules(), STARTS, st.timedeltas(timedelta(0), timedelta(days=300)))
@example("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;BYMINUTE=0", datetime(2025, 1, 1), timedelta(0))
@example("FREQ=YEARLY;BYWEEKNO=1,-1;BYDAY=MO,SU", datetime(2019, 12, 1), timedelta(0))
@example("FREQ=YEARLY;BYWEEKNO=53;WKST=SU", datetime(2020, 6, 1), timedelta(0))
@example("FREQ=YEARLY;BYDAY=20MO", datetime(2020, 6, 1, 6, 30), timedelta(0))
@example("FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU", datetime(1997, 8, 5, 9), timedelta(0))
@example("FREQ=MINUTELY;INTERVAL=37;BYHOUR=2,9", datetime(2025, 1, 1), timedelta(0))
@example("FREQ=HOURLY;INTERVAL=36;BYMINUTE=5,10", datetime(2025, 1, 1, 7), timedelta(hours=30))
@example("FREQ=DAILY;INTERVAL=3;BYHOUR=6,18;BYSETPOS=-1", datetime(2025, 1, 1), timedelta(0))
def test_the_local_times_are_those_that_dateutil_counts(text: str, start: datetime, later: timedelta) -> None:
    rule = readable(text, start)
    since = (start + later).replace(second=0, microsecond=0)
    if "WEEKLY" in text and "BYSETPOS" in text:
        # dateutil counts positions of the first week from DTSTART on; the RFC, and we, those of the whole week.
        since += timedelta(days=7)
    until = since + MANY_DAYS

    found, local = [], since
    while (named := rule.first_from(local)) and named <= until and len(found) < 60:
        found.append(named)
        local = named + timedelta(minutes=1)

    counted = rrulestr(text, dtstart=start).xafter(since, inc=True)
    assert found == list(takewhile(lambda at: at <= until, (at for at, _ in zip(counted, range(60), strict=False))))


def readable(text: str, start: datetime) -> Recurrence:
    """Leave out rules that never fire, and those for which dateutil would search for minutes."""
    try:
        rule = read_recurrence(text, UTC_ZONE, start.replace(tzinfo=UTC), start)
    except InvalidSchedule:
        assume(False)
        raise
    gaps = pairwise([start, *(rule.nth(count) or datetime.max for count in (1, 2, 4, 8, 40))])
    assume(all(b - a < timedelta(days=400 * 8) for a, b in gaps))
    assume(rule.first_from(start + timedelta(days=300 + 7) + MANY_DAYS) is not None)
    return rule


@EXACT
@given(rules().filter(lambda text: "MINUTELY" not in text), PLACES, DST_RULES)
@example(
    "FREQ=DAILY;BYHOUR=2;BYMINUTE=0,30",
    ("Europe/Berlin", datetime(2025, 10, 25, 23, tzinfo=UTC)),
    DstRule(Missing.SKIPPED, Repeated.BOTH),
)
@example("FREQ=HOURLY", ("Europe/Berlin", datetime(2025, 10, 25, 23, tzinfo=UTC)), DstRule())
@example("FREQ=HOURLY;INTERVAL=2", ("Europe/Berlin", datetime(2025, 3, 29, 20, tzinfo=UTC)), DstRule())
def test_the_instants_agree_with_a_walk_through_every_minute(
    text: str, place: tuple[str, datetime], dst: DstRule
) -> None:
    zone, after = place
    start = after.astimezone(ZoneInfo(zone)).replace(tzinfo=None, second=0, microsecond=0) - timedelta(days=60)
    rule = readable(text, start)
    until = after + timedelta(days=2)
    began = start.replace(tzinfo=ZoneInfo(zone))
    assume(began.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == start)

    found = between(parse(f"RRULE:{text}", zone, start=began, dst=dst), after, until)

    named, local = set(), start + timedelta(days=50)
    while (each := rule.first_from(local)) and each < start + timedelta(days=70):
        named.add(each)
        local = each + timedelta(minutes=1)
    missing, repeated = ("skipped", "both") if rule.is_elastic else (dst.missing.value, dst.repeated.value)
    assert found == walk(named.__contains__, zone, after, until, missing, repeated)


@EXACT
@given(rules(), PLACES, DST_RULES)
def test_the_next_instant_is_later_and_a_list_is_asking_again_and_again(
    text: str, place: tuple[str, datetime], dst: DstRule
) -> None:
    zone, moment = place
    try:
        timetable = parse(f"RRULE:{text}", zone, dst=dst)
    except InvalidSchedule:
        assume(False)
        raise

    listed = timetable.upcoming(moment, 8)

    assert all(a < b for a, b in pairwise([moment, *(each.utc for each in listed)]))
    for last, instant in zip([moment, *(each.utc for each in listed)], listed, strict=False):
        assert timetable.next_after(last) == instant
        assert timetable.next_after(instant.utc - timedelta(microseconds=1)) == instant
