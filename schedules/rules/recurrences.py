"""RRULEs of RFC 5545 ("RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18") as local times. Pure: no Django, no clock, no zone.

python-dateutil says which days of a year a rule names. Which of its years, months, weeks, days, hours and minutes
count, and in what order they come, is worked out here: dateutil counts from DTSTART every time, and looks for a day
that never comes until the year 9999. `recurrence_text` reads the words; here they are already checked.
"""

import calendar
import enum
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import groupby

from dateutil.rrule import YEARLY, rrule, weekday

from schedules.rules.cron_fields import HORIZON_YEARS

LAST_YEAR = 9999  # exclusive
DAY_MINUTES = 1440
Slot = tuple[int, int]  # day (ordinal), minute after midnight


@dataclass(frozen=True)
class Named:
    """The named days of a year, counted from 0."""

    days: tuple[int, ...]

    @cached_property
    def members(self) -> frozenset[int]:
        return frozenset(self.days)


class Frequency(enum.IntEnum):
    """From the longest period to the shortest; each names its unit."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5

    @property
    def unit(self) -> str:
        return ("year", "month", "week", "day", "hour", "minute")[self]


@dataclass(frozen=True, kw_only=True)
class DayFilter:
    """The BY… parts about days; an empty one does not restrict. Weekdays count from Monday = 0."""

    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    nth_weekdays: tuple[tuple[int, int], ...] = ()  # (weekday, n), counted within the month or the year
    counts_within_year: bool = False
    week_start: int = 0

    def days_of(self, year: int) -> Named:
        """Return the days of a year, counted from 0."""
        begin = date(year, 1, 1).toordinal()
        lists = [[weekday(day) for day in self.weekdays], [weekday(day, n) for day, n in self.nth_weekdays]]
        found: set[int] = set()
        # dateutil wants a day to suit both kinds of BYDAY, the RFC either.
        for weekdays in [days for days in lists if days] or [[]]:
            found.update(moment.toordinal() - begin for moment in self.rule(year, weekdays))
        return Named(tuple(sorted(found)))

    def rule(self, year: int, weekdays: list[weekday]) -> rrule:
        """Return dateutil's rule for the days of this one year: the next of its periods is past the calendar."""
        names_days = bool(self.month_days or self.year_days or self.weeks or weekdays)
        return rrule(
            YEARLY,
            dtstart=datetime.combine(date(year, 1, 1), datetime.min.time()),
            interval=LAST_YEAR,
            wkst=self.week_start,
            bymonth=self.months or (None if self.counts_within_year else range(1, 13)),
            bymonthday=(self.month_days or None) if names_days else range(1, 32),
            byyearday=self.year_days or None,
            byweekno=self.weeks or None,
            byweekday=weekdays or None,
        )


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """A checked rule, counted from `start` (naive, on a whole minute); `until` is its last moment (naive), included."""

    frequency: Frequency
    start: datetime
    days: DayFilter
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    interval: int = 1
    positions: tuple[int, ...] = ()
    count: int | None = None
    until: datetime | None = None
    layouts: dict[tuple[int, bool, bool], Named] = field(default_factory=dict, compare=False, repr=False)
    residues: dict[int, list[int]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_elastic(self) -> bool:
        return len(self.hours) == 24

    @property
    def covers_every_hour(self) -> bool:
        return self.is_elastic and (self.interval == 1 or self.frequency < Frequency.HOURLY)

    def first_from(self, local: datetime) -> datetime | None:
        """Return the first moment at or after `local` (naive), or None within fifty years."""
        since = max(local, self.start)
        for day, minute in self.slots_from(since.toordinal(), since.hour * 60 + since.minute):
            found = datetime.fromordinal(day) + timedelta(minutes=minute)
            return None if self.until and found > self.until else found
        return None

    def times_on(self, day: date) -> list[time]:
        """Return the times of one day, in order."""
        since, found = max(datetime.combine(day, time()), self.start), []
        if since.date() != day:
            return []
        for at, minute in self.slots_from(day.toordinal(), since.hour * 60 + since.minute):
            moment = datetime.fromordinal(at) + timedelta(minutes=minute)
            if moment.date() != day or (self.until and moment > self.until):
                break
            found.append(moment.time())
        return found

    def nth(self, count: int) -> datetime | None:
        """Return the moment that ends a rule with a COUNT; None if there are not so many."""
        found, since = None, self.start
        for _ in range(count):
            found = self.first_from(since)
            if found is None:
                return None
            since = found + timedelta(minutes=1)
        return found

    def slots_from(self, first: int, minute: int) -> Iterator[Slot]:
        if self.positions:
            for begin, days in self.periods_from(first):
                yield from (slot for slot in self.picked(begin, days) if slot >= (first, minute))
            return
        for day in self.days_from(first):
            times = self.times_of(day)
            skipped = bisect_left(times, minute) if day == first else 0
            for at in range(skipped, len(times)):
                yield day, times[at]

    def periods_from(self, first: int) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield each period from that of the day `first` on: a day, and the named days counted from it."""
        if self.frequency is Frequency.YEARLY:
            return ((begin, named.days) for begin, named in self.years_from(first))
        days = self.days_from(self.start_of_period(first))
        return ((0, list(period)) for _, period in groupby(days, self.start_of_period))

    def picked(self, begin: int, days: Sequence[int]) -> list[Slot]:
        """Return what BYSETPOS picks from a period: its days, each with all times."""
        times, total = self.times, len(days) * len(self.times)
        places = {place - 1 if place > 0 else total + place for place in self.positions}
        return [(begin + days[at // len(times)], times[at % len(times)]) for at in sorted(places) if 0 <= at < total]

    def days_from(self, first: int) -> Iterator[int]:
        """Yield the days that the rule names, for fifty years."""
        for begin, named in self.years_from(first):
            days = named.days
            skipped = bisect_left(days, first - begin)
            if self.interval == 1 or self.frequency is Frequency.YEARLY:
                yield from (begin + days[at] for at in range(skipped, len(days)))
            elif self.frequency is Frequency.MONTHLY:
                yield from (day for day in self.in_step_of_months(begin, days) if day >= first)
            else:
                steps = self.in_step(max(begin, first), begin + days[-1])
                yield from (day for day in steps if day >= first and day - begin in named.members)

    def years_from(self, first: int) -> Iterator[tuple[int, Named]]:
        """Yield the first day of each year and its named days, counted from it."""
        first_year = date.fromordinal(first).year
        for year in range(first_year, min(first_year + HORIZON_YEARS + 1, LAST_YEAR)):
            if self.frequency is Frequency.YEARLY and (year - self.start.year) % self.interval:
                continue
            new_year = date(year, 1, 1)
            if (named := self.days_of_layout(new_year)).days:
                yield new_year.toordinal(), named

    def days_of_layout(self, new_year: date) -> Named:
        """Return the named days of a year, from 0. Years come in 28 layouts, weeks included: each is asked for once."""
        year = new_year.year
        layout = new_year.weekday(), calendar.isleap(year), calendar.isleap(year - 1)
        if layout not in self.layouts:
            self.layouts[layout] = self.days.days_of(year)
        return self.layouts[layout]

    def in_step_of_months(self, begin: int, days: tuple[int, ...]) -> Iterator[int]:
        year = date.fromordinal(begin).year
        months = range(((self.start.year - year) * 12 + self.start.month - 1) % self.interval + 1, 13, self.interval)
        for month in months:
            low = date(year, month, 1).toordinal() - begin
            high = low + calendar.monthrange(year, month)[1]
            yield from (begin + day for day in days[bisect_left(days, low) : bisect_left(days, high)])

    def in_step(self, low: int, high: int) -> Iterator[int]:
        """Yield the days of every nth week, day, hour or minute between two days, and perhaps some before or after."""
        length = MINUTES[self.frequency]
        step, days = length * self.interval, max(length // DAY_MINUTES, 1)
        if step <= DAY_MINUTES:
            yield from range(low, high + 1)
            return
        origin = self.start_of_period(self.start.toordinal()) * DAY_MINUTES
        if self.frequency in WITHIN_A_DAY:
            origin += (self.start.hour * 60 + self.start.minute) // length * length
        begin = low * DAY_MINUTES
        for minute in range(begin - (begin - origin) % step, (high + 1) * DAY_MINUTES, step):
            yield from range(minute // DAY_MINUTES, minute // DAY_MINUTES + days)

    def start_of_period(self, day: int) -> int:
        """Return the first day of the month or week that a day is in; shorter periods are within the day."""
        if self.frequency is Frequency.MONTHLY:
            return day - date.fromordinal(day).day + 1
        if self.frequency is Frequency.WEEKLY:
            return day - (day - 1 - self.days.week_start) % 7  # ordinal 1 is a Monday
        return day

    def times_of(self, day: int) -> list[int]:
        """Return the minutes of a day; every nth hour or minute falls differently on each."""
        if self.interval == 1 or self.frequency not in WITHIN_A_DAY:
            return self.times
        length = MINUTES[self.frequency]
        origin = self.start.toordinal() * DAY_MINUTES + self.start.hour * 60 + self.start.minute
        residue = (origin // length - day * DAY_MINUTES // length) % self.interval
        if residue not in self.residues:
            self.residues[residue] = [time for time in self.times if (time // length - residue) % self.interval == 0]
        return self.residues[residue]

    @cached_property
    def times(self) -> list[int]:
        return [hour * 60 + minute for hour in self.hours for minute in self.minutes]


WITHIN_A_DAY = (Frequency.HOURLY, Frequency.MINUTELY)
MINUTES = {Frequency.WEEKLY: 7 * DAY_MINUTES, Frequency.DAILY: DAY_MINUTES, Frequency.HOURLY: 60, Frequency.MINUTELY: 1}
