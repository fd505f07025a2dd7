"""Moments that a calendar moves: the same local time, on the nearest day before or after that is no hit. Pure.

Days are worked out one at a time: the moments of a day are its own, and those of the hits that move to it. So what
comes after a moment depends on that moment alone, whoever asks and whatever was asked before.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from schedules.rules.active_hours import Hours, next_within
from schedules.rules.clock_changes import Rule, instant_of
from schedules.rules.cron_fields import Cron
from schedules.rules.day_rules import DAY, DayRule
from schedules.rules.intervals import Interval
from schedules.rules.recurrences import Recurrence

KEPT = 16  # days that are remembered
MIDNIGHT = time()
MOST_MINUTES = 1440
MARGIN = timedelta(hours=3)  # around midnight, for changes of the clock there


def midnight(day: date) -> datetime:
    return datetime.combine(day, MIDNIGHT)


@dataclass(frozen=True)
class MovedTimes:
    """The local times of a rule, those on a hit moved."""

    rule: Rule
    days: DayRule
    covers_every_hour: bool = False
    known: dict[date, dict[time, date]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_elastic(self) -> bool:
        return self.rule.is_elastic

    def first_from(self, local: datetime) -> datetime | None:
        day, since = first_target(self.days, local.date()), local
        if day == since.date() and self.is_spent(day, since.time()):
            day = first_target(self.days, day + DAY)
        while found := self.rule.first_from(midnight(self.days.sources(day)[0])):
            day = self.days.target(found.date())
            times = list(self.times_of(day))
            at = bisect_left(times, since.time()) if day == since.date() else 0
            if at < len(times):
                return datetime.combine(day, times[at])
            day = first_target(self.days, day + DAY)
        return None

    def is_spent(self, day: date, at: time) -> bool:
        """Is a day that is remembered over by then? Then nothing needs to be asked about it."""
        return day in self.known and next(reversed(self.known[day]), MIDNIGHT) < at

    def times_of(self, target: date) -> dict[time, date]:
        """Return the times of one day, in order, and the day that each comes from: its own if there is a choice."""
        if target not in self.known:
            if len(self.known) >= KEPT:
                self.known.clear()
            found: dict[time, date] = {}
            for source in self.days.sources(target):
                if source != target and len(found) < MOST_MINUTES:
                    found |= dict.fromkeys(times_on(self.rule, source), source) | found
            found |= dict.fromkeys(times_on(self.rule, target), target)
            self.known[target] = {at: found[at] for at in sorted(found)}
        return self.known[target]

    def source_of(self, nominal: datetime) -> date:
        """Return the day from which one of these local times was moved, or its own."""
        return self.times_of(nominal.date())[nominal.time()]


def first_target(days: DayRule, day: date) -> date:
    """Return the first day at or after this one on which moments run."""
    while days.target(day) != day:
        day += DAY
    return day


def times_on(rule: Rule, day: date) -> list[time]:
    """Return the times of a rule on one day."""
    if isinstance(rule, Recurrence):
        return rule.times_on(day)
    found = rule.first_from(midnight(day))
    if isinstance(rule, Cron):
        is_named = found is not None and found.date() == day
        return [time(*divmod(minute, 60)) for minute in rule.times] if is_named else []
    times = []
    while found is not None and found.date() == day:
        times.append(found.time())
        found = rule.first_from(found + timedelta(minutes=1))
    return times


@dataclass(frozen=True)
class Moment:
    """A step of an interval where it was moved to: when, the local time there (naive), and the day it comes from."""

    utc: datetime
    nominal: datetime
    source: date


@dataclass(frozen=True)
class MovedSteps:
    """The steps of an interval, those on a hit moved. What stays where it is keeps its instant."""

    interval: Interval
    zone: ZoneInfo
    hours: Hours | None
    days: DayRule
    known: dict[date, list[Moment]] = field(default_factory=dict, compare=False, repr=False)

    def next_after(self, moment: datetime) -> Moment | None:
        """Return the next step after `moment`, or None within fifty years."""
        best: Moment | None = None
        # Around midnight a change of the clock can bring back the day before: one day more on either side.
        day = first_target(self.days, moment.astimezone(self.zone).date() - DAY)
        while step := self.step_after(edge_of(self.days.sources(day)[0], self.zone) - MARGIN):
            day = max(day, self.days.target(step.astimezone(self.zone).date()))
            if best and day > best.utc.astimezone(self.zone).date() + DAY:
                break
            found = self.moments_of(day)
            at = bisect_right(found, moment, key=lambda each: each.utc)
            best = min(filter(None, [best, *found[at : at + 1]]), key=lambda each: each.utc, default=None)
            day = first_target(self.days, day + DAY)
        return best

    def step_after(self, moment: datetime) -> datetime | None:
        if self.hours is None:
            return self.interval.next_after(moment)
        return next_within(self.interval, self.zone, self.hours, moment)

    def moments_of(self, target: date) -> list[Moment]:
        """Return what happens on one day, in order: its own steps, and those that move to it."""
        if target not in self.known:
            if len(self.known) >= KEPT:
                self.known.clear()
            found: dict[datetime, Moment] = {}
            for source in self.days.sources(target):
                for moment in self.moved_from(source, target):
                    if source == target or moment.utc not in found:
                        found[moment.utc] = moment
            self.known[target] = sorted(found.values(), key=lambda each: each.utc)
        return self.known[target]

    def moved_from(self, source: date, target: date) -> Iterator[Moment]:
        step = self.step_after(edge_of(source, self.zone) - MARGIN)
        end = edge_of(source + DAY, self.zone) + MARGIN
        while step and step < end:
            local = step.astimezone(self.zone).replace(tzinfo=None, fold=0)
            nominal = datetime.combine(target, local.time())
            utc = step if source == target else instant_of(nominal, self.zone)
            if local.date() == source and utc:
                yield Moment(utc, nominal, source)
            step = self.step_after(step)


@lru_cache(maxsize=4096)
def edge_of(day: date, zone: ZoneInfo) -> datetime:
    """Return about when a day begins, in UTC."""
    return midnight(day).replace(tzinfo=zone).astimezone(UTC)
