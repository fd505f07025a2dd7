"""The instants of a schedule: (expression, zone, start, end) → moments. Pure: no Django, no database, no clock.

The rule for clock changes (docs of the UI say the same):

1. A schedule is elastic if its minute or hour field begins with `*`, or its hours cover all 24: it fires at every real
   minute whose local clock matches. Even spacing in real time, nothing to make up.
2. Any other schedule is fixed: each named local time fires once. A repeated time: in its first pass. A missing time: at
   the first instant after the gap, together with whatever else falls there.
3. Jumps of three hours or more (the date line, corrections) are not made up.
"""

import difflib
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from schedules.cron_fields import Cron, InvalidSchedule, read_cron, shown
from schedules.cron_words import describe_cron

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LARGEST_MADE_UP_JUMP = timedelta(hours=3)  # exclusive


class Kind(enum.StrEnum):
    CRON = "cron"
    ONCE = "@once"  # a single moment: `start`, or whenever it is activated
    ALWAYS_ON = "@always_on"  # no moments: a new run whenever none is unfinished


@dataclass(frozen=True)
class Instant:
    """One moment of a schedule. `local` is the wall clock at that moment, aware; `nominal` the time it stands for."""

    utc: datetime
    local: datetime
    nominal: datetime  # naive; differs from `local` when that time was missing
    is_elastic: bool = False

    @property
    def note(self) -> str | None:
        """What a clock change did to this moment, in words, or None."""
        wall = self.nominal.strftime("%H:%M")
        if self.local.replace(tzinfo=None, fold=0) != self.nominal:
            return f"{wall} does not exist on {self.nominal:%Y-%m-%d}: clocks go forward; runs at {self.local:%H:%M}."
        if self.local.replace(fold=1 - self.local.fold).utcoffset() == self.local.utcoffset():
            return None
        if self.is_elastic:
            return f"{wall} comes twice on {self.nominal:%Y-%m-%d}; this is the {('first', 'second')[self.local.fold]}."
        return f"{wall} comes twice on {self.nominal:%Y-%m-%d}; runs the first time only."


@dataclass(frozen=True)
class Timetable:
    """The rule of instants inside a schedule. Moments are aware; `start` and `end` are both included."""

    expression: str
    zone: ZoneInfo
    kind: Kind
    cron: Cron | None
    start: datetime | None = None
    end: datetime | None = None

    def next_after(self, moment: datetime) -> Instant | None:
        """Return the first instant strictly after `moment`, or None when there is none within fifty years."""
        return next(self.after(moment), None)

    def between(self, after: datetime, until: datetime, limit: int) -> list[Instant]:
        """Return the instants of `after` < t <= `until`, the earliest `limit` of them."""
        found = []
        for instant in islice(self.after(after), limit):
            if instant.utc > until:
                break
            found.append(instant)
        return found

    def latest(self, after: datetime, until: datetime, count: int) -> list[Instant]:
        """Return the last `count` instants of `after` < t <= `until`, in order, however long that span is."""
        span = timedelta(hours=1)
        while until - span > after:
            found = self.between(until - span, until, limit=MANY)
            if len(found) >= count:
                return found[-count:]
            span *= 2
        return self.between(after, until, limit=MANY)[-count:]

    def upcoming(self, after: datetime, count: int) -> list[Instant]:
        """Return the next `count` instants strictly after `after`."""
        return list(islice(self.after(after), count))

    def after(self, moment: datetime) -> Iterator[Instant]:
        """Yield the instants strictly after `moment`, in order."""
        moment = moment.astimezone(UTC)
        if self.kind is Kind.ONCE and self.start and moment < self.start:
            yield self.at(self.start)
        if self.cron is None:
            return
        if self.start and moment < self.start:
            moment = self.start.astimezone(UTC) - timedelta(microseconds=1)
        find = next_elastic if self.cron.is_elastic else next_fixed
        while (found := find(self.cron, self.zone, moment)) and (self.end is None or found[0] <= self.end):
            moment, nominal = found
            yield Instant(moment, moment.astimezone(self.zone), nominal, self.cron.is_elastic)

    def is_over(self, moment: datetime) -> bool:
        return self.end is not None and moment > self.end

    def at(self, moment: datetime) -> Instant:
        """Return any moment as an instant of this schedule: for the kinds that have no rule of instants."""
        local = moment.astimezone(self.zone)
        return Instant(moment.astimezone(UTC), local, local.replace(tzinfo=None, fold=0), is_elastic=True)

    def describe(self) -> str:
        """Return the rule in words, for example "at 06:00 on Monday to Friday"."""
        if self.kind is Kind.ONCE:
            start = self.start and self.start.astimezone(self.zone)
            return f"once, at {start:%Y-%m-%d %H:%M}" if start else "once, as soon as it is switched on"
        if self.cron is None:
            return "always on: a new run whenever none is unfinished"
        return describe_cron(self.cron)


MANY = 100_000


def parse(expression: str, zone: str, *, start: datetime | None = None, end: datetime | None = None) -> Timetable:
    """Read a schedule as typed; raise `InvalidSchedule` naming the field, what is wrong and what would be right."""
    if not isinstance(expression, str):
        raise InvalidSchedule(f"A schedule interval is text; {shown(repr(expression))} is not.")
    place = read_zone(zone)
    if start and end and start >= end:
        raise InvalidSchedule("Start must be before end.", field="end_time", code="invalid_range")
    word = expression.strip().lower()
    kind = Kind(word) if word in {Kind.ONCE, Kind.ALWAYS_ON} else Kind.CRON
    cron = read_cron(expression) if kind is Kind.CRON else None
    return Timetable(expression, place, kind, cron, start, end)


def read_zone(name: str) -> ZoneInfo:
    """Return the IANA zone; suggest the nearest name for one that does not exist."""
    if isinstance(name, str) and name in zone_names():
        return ZoneInfo(name)
    typed = str(name).strip().replace(" ", "_")
    by_lower = {zone.lower(): zone for zone in zone_names()}
    by_city = {zone.lower().rpartition("/")[2]: zone for zone in sorted(zone_names(), reverse=True)}
    near = difflib.get_close_matches(typed.lower()[:64], by_lower, n=1, cutoff=0.7)
    city = difflib.get_close_matches(typed.lower().rpartition("/")[2][:64], by_city, n=1, cutoff=0.8)
    guess = by_lower[near[0]] if near else by_city[city[0]] if city else ""
    hint = f"Did you mean {guess}?" if guess else "Use an IANA name such as Europe/Berlin, or UTC."
    raise InvalidSchedule("Unknown time zone.", hint=hint, field="timezone", code="unknown_timezone")


@cache
def zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def next_fixed(cron: Cron, zone: ZoneInfo, after: datetime) -> tuple[datetime, datetime] | None:
    """Return (instant, named local time) of the next named time whose one instant is after `after`."""
    local = after.astimezone(zone).replace(tzinfo=None, fold=0, second=0, microsecond=0)
    # Instants never run backwards while named times go forward, so the first one that is late enough is the next.
    while named := cron.first_from(local):
        instant = instant_of(named, zone)
        if instant and instant > after:
            return instant, named
        local = named + MINUTE
    return None


def instant_of(named: datetime, zone: ZoneInfo) -> datetime | None:
    """Return when a local time happens: in its first pass, or at the end of its gap; None if it is not made up."""
    first = named.replace(tzinfo=zone, fold=0)
    instant = first.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None, fold=0) == named:
        return instant
    # In a gap fold=0 counts with the offset before the jump, fold=1 with the one after it.
    before, then = offset_of(first), offset_of(named.replace(tzinfo=zone, fold=1))
    if then - before >= LARGEST_MADE_UP_JUMP:
        return None
    return first_change(zone, (named - then).replace(tzinfo=UTC), (named - before).replace(tzinfo=UTC))


def next_elastic(cron: Cron, zone: ZoneInfo, after: datetime) -> tuple[datetime, datetime] | None:
    """Return (instant, local time) of the next real minute whose local clock matches."""
    cursor = after + timedelta(microseconds=1)
    while True:
        # As long as the offset stays what it is, local time is plain arithmetic.
        local = cursor.astimezone(zone)
        named = cron.first_from(whole_minute_from(local))
        if named is None:
            return None
        instant = (named - offset_of(local)).replace(tzinfo=UTC)
        # No zone has two changes within a day, and none changes by more than a day.
        if change := first_change(zone, cursor, min(instant, cursor + DAY)):
            cursor = change
        elif instant <= cursor + DAY:
            return instant, named
        else:
            cursor = max(cursor, instant - 2 * DAY) + DAY


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
