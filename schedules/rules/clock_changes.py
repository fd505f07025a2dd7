"""Local times to instants, across changes of the clock. Pure: no Django, no database, no clock.

The rule (docs/schedules.md says the same):

1. An elastic rule (`*/15 * * * *`, hourly) fires at every real minute whose local clock matches. Even spacing in real
   time, nothing to make up and nothing to choose.
2. Any other rule is fixed: each named local time fires once. A missing time: at the first instant after the gap,
   together with whatever else falls there, or not at all. A repeated time: in its first pass, its second, or both.
3. Jumps of three hours or more (the date line, corrections) are not made up.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from schedules.rules.cron_fields import HORIZON_YEARS

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LARGEST_MADE_UP_JUMP = timedelta(hours=3)  # exclusive


class Missing(enum.StrEnum):
    """What becomes of a local time that a change of the clock leaves out."""

    AT_NEXT_VALID = "at_next_valid"
    SKIPPED = "skipped"


class Repeated(enum.StrEnum):
    """In which pass a local time fires that a change of the clock brings twice."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


@dataclass(frozen=True)
class DstRule:
    """The choices of a schedule. Elastic rules know none."""

    missing: Missing = Missing.AT_NEXT_VALID
    repeated: Repeated = Repeated.FIRST


DEFAULT = DstRule()


class Rule(Protocol):
    """Local times, on whole minutes and in order."""

    @property
    def is_elastic(self) -> bool: ...

    @property
    def covers_every_hour(self) -> bool:
        """Does each hour of its days look the same? Then an elastic rule never notices a change of the clock."""

    def first_from(self, local: datetime) -> datetime | None:
        """Return the first named time at or after `local` (naive), or None within fifty years."""


Found = tuple[datetime, datetime]  # instant in UTC, the local time (naive) that it stands for


def next_fixed(rule: Rule, zone: ZoneInfo, after: datetime, dst: DstRule) -> Found | None:
    """Return the next named time whose instant is after `after`, or None within fifty years."""
    if dst.repeated is Repeated.BOTH:
        # Both passes mix in real time ("02:00, 02:30, 02:00, 02:30"), but each by itself is in order.
        ways = ONE_PASS if is_near_a_change(zone, after) else ONE_PASS[:1]
        passes = [next_fixed(rule, zone, after, replace(dst, repeated=each)) for each in ways]
        return min((found for found in passes if found), default=None)
    here = after.astimezone(zone)
    local = here.replace(tzinfo=None, fold=0, second=0, microsecond=0)
    if dst.repeated is Repeated.SECOND and here.fold == 0:
        local -= max(offset_of(here) - offset_of(here.replace(fold=1)), timedelta(0))
    local += MINUTE  # what the clock shows at `after` has had its moment
    # Instants never run backwards while named times go forward, so the first one that is late enough is the next.
    while (named := rule.first_from(local)) and named.year <= here.year + HORIZON_YEARS:
        instant = instant_of(named, zone, dst)
        if instant and instant > after:
            return instant, named
        local = named + MINUTE
    return None


ONE_PASS = (Repeated.FIRST, Repeated.SECOND)


def is_near_a_change(zone: ZoneInfo, moment: datetime) -> bool:
    """May a local time be on its way to its second pass? Always within a day of a change."""
    return len({(moment + step).astimezone(zone).utcoffset() for step in (-DAY, timedelta(0), DAY)}) > 1


def instant_of(named: datetime, zone: ZoneInfo, dst: DstRule = DEFAULT) -> datetime | None:
    """Return when a local time happens (of a repeated one: the first pass unless `second`); None if it does not."""
    there = named.replace(tzinfo=zone, fold=0)
    if not does_exist(there):
        return None if dst.missing is Missing.SKIPPED else end_of_gap(named, zone)
    return there.replace(fold=int(dst.repeated is Repeated.SECOND)).astimezone(UTC)


def does_exist(local: datetime) -> bool:
    """Is this a time that the clocks of its zone show?"""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0)


def end_of_gap(missing: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant after the gap that a local time falls into, or None for too large a jump."""
    # In a gap fold=0 counts with the offset before the jump, fold=1 with the one after it.
    before, then = (offset_of(missing.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if then - before >= LARGEST_MADE_UP_JUMP:
        return None
    return first_change(zone, (missing - then).replace(tzinfo=UTC), (missing - before).replace(tzinfo=UTC))


def next_elastic(rule: Rule, zone: ZoneInfo, after: datetime) -> Found | None:
    """Return the next real minute whose local clock matches, or None within fifty years."""
    cursor, named = after + timedelta(microseconds=1), None
    while True:
        # As long as the offset stays what it is, local time is plain arithmetic.
        local = cursor.astimezone(zone)
        named = named or rule.first_from(whole_minute_from(local))
        instant = (named - offset_of(local)).replace(tzinfo=UTC) if named else None
        # No zone has two changes within a day, and none changes by more than a day.
        if change := first_change(zone, cursor, min(instant or cursor + DAY, cursor + DAY)):
            cursor, named = change, None
        elif named is None or instant is None:
            return None
        elif instant <= cursor + DAY:
            return instant, named
        else:
            cursor = max(cursor, instant - 2 * DAY) + DAY


@dataclass(frozen=True)
class ClockChange:
    """A change of a zone's clocks: `before` and `then` are what they show (naive) up to it, and from it on."""

    utc: datetime
    before: datetime
    then: datetime

    @property
    def goes_forward(self) -> bool:
        return self.then > self.before


def clock_changes(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[ClockChange]:
    """Yield the changes of `after` < t <= `until`, in order."""
    low = after.astimezone(UTC)
    while low < until:
        high = min(low + DAY, until)
        if change := first_change(zone, low, high):
            old, new = (moment.astimezone(zone) for moment in (change - timedelta(seconds=1), change))
            yield ClockChange(change, (change + offset_of(old)).replace(tzinfo=None), new.replace(tzinfo=None, fold=0))
        low = high


def first_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime | None:
    """Return the first instant after `low` and up to `high` with another offset, if the two ends differ."""
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    offset = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == offset:
        return None
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def whole_minute_from(local: datetime) -> datetime:
    """Return the wall clock, without zone, at the first whole minute at or after `local`."""
    minute = local.replace(tzinfo=None, fold=0, second=0, microsecond=0)
    return minute + MINUTE if local.second or local.microsecond else minute


def offset_of(local: datetime) -> timedelta:
    offset = local.utcoffset()
    assert offset is not None
    return offset
