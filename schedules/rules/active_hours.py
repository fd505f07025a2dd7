"""The hours of the day within which a schedule has moments: 07:00 to 22:00, or across midnight. Pure.

A moment is judged by the local time it stands for, so that a change of the clock takes none away.
"""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from schedules.rules.clock_changes import Rule
from schedules.rules.cron_fields import HORIZON_YEARS, Cron
from schedules.rules.intervals import Interval

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Hours:
    """Local times from `begin`, included, to `end`, excluded."""

    begin: time
    end: time

    def contain(self, at: time) -> bool:
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end

    def opening(self, local: datetime) -> datetime:
        """Return the first time at or after `local` (naive) that is within the hours."""
        if self.contain(local.time()):
            return local
        opening = datetime.combine(local.date(), self.begin)
        return opening if opening >= local else opening + DAY

    def describe(self) -> str:
        return f"between {self.begin:%H:%M} and {self.end:%H:%M}"


@dataclass(frozen=True)
class WithinHours:
    """The local times of a rule that are within the hours."""

    rule: Rule
    hours: Hours
    covers_every_hour: bool = False

    @property
    def is_elastic(self) -> bool:
        return self.rule.is_elastic

    def first_from(self, local: datetime) -> datetime | None:
        last = None
        while (found := self.rule.first_from(local)) and found.year <= (last := last or found.year + HORIZON_YEARS):
            local = self.hours.opening(found)
            if local == found:
                return found
        return None


def within(rule: Rule, hours: Hours) -> Rule:
    """Return the rule without the times outside the hours."""
    if not isinstance(rule, Cron):
        return WithinHours(rule, hours)
    inside = (minute for minute in rule.times if hours.contain(time(*divmod(minute, 60))))
    return replace(rule, times=tuple(inside))


def next_within(interval: Interval, zone: ZoneInfo, hours: Hours, moment: datetime) -> datetime | None:
    """Return the first step of an interval after `moment` that is within the hours, or None within fifty years."""
    last = moment.year + HORIZON_YEARS
    while (found := interval.next_after(moment)) and found.year <= last:
        local = found.astimezone(zone)
        if hours.contain(local.time()):
            return found
        # While the offset stays what it is, local time is plain arithmetic; around a change every step is looked at.
        naive = local.replace(tzinfo=None, fold=0)
        opening = found + (hours.opening(naive) - naive)
        is_plain = opening.astimezone(zone).utcoffset() == local.utcoffset()
        moment = max(found, opening - MICROSECOND) if is_plain else found
    return None
