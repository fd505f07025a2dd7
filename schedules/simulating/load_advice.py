"""What to do about load: which triggers pile up, when it is quiet, what spreading them out would bring. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.decisions import Verdict
from schedules.simulating.loads import by_hour
from schedules.simulating.simulation import Result, Trigger, simulate
from schedules.timing import steady_jitter

MINUTE = timedelta(minutes=1)
DAY_MINUTES = 1440
CROWD = 5  # triggers that start together before anybody is advised to spread them
ADVISED_JITTER = timedelta(minutes=30)


@dataclass(frozen=True)
class Collision:
    """Triggers that start in the same minute: at `at`, on `days` days of the span, and `also_at` other times."""

    at: str  # local, "02:00"
    most: int  # at once
    days: int
    triggers: tuple[Trigger, ...]
    also_at: tuple[str, ...] = ()


def collisions(result: Result, zone: ZoneInfo, count: int = 10) -> list[Collision]:
    """Return the crowds that start together, the largest first; each with the minutes of the day at which it does."""
    minutes: dict[datetime, list[Trigger]] = defaultdict(list)
    for moment in result.moments:
        if moment.decision not in (Verdict.SKIPPED, Verdict.MISSED):
            minutes[moment.due_at.replace(second=0, microsecond=0)].append(moment.trigger)
    by_time: dict[str, list[list[Trigger]]] = defaultdict(list)
    for minute, triggers in minutes.items():
        if len(triggers) > 1:
            by_time[f"{minute.astimezone(zone):%H:%M}"].append(triggers)
    found = [
        Collision(
            at, max(map(len, groups)), len(groups), tuple({each.pk: each for each in max(groups, key=len)}.values())
        )
        for at, groups in by_time.items()
    ]
    crowds: dict[frozenset[int], Collision] = {}
    for each in sorted(found, key=lambda each: (-each.most, -each.days, each.at)):
        crowd = frozenset(trigger.pk for trigger in each.triggers)
        known = crowds.setdefault(crowd, each)
        if known is not each:
            crowds[crowd] = replace(known, also_at=(*known.also_at, each.at))
    return list(crowds.values())[:count]


def different(triggers: Iterable[Trigger]) -> tuple[Trigger, ...]:
    return tuple({trigger.pk: trigger for trigger in triggers}.values())


@dataclass(frozen=True)
class QuietSlot:
    """A time of the day at which a run of some minutes finds at most `peak` others on any day of the span."""

    at: str  # local
    peak: int
    average: float


def quiet_slots(result: Result, zone: ZoneInfo, minutes: int, count: int = 3) -> list[QuietSlot]:
    """Return the quietest times of the day, on quarters of an hour, for a run that takes so many minutes."""
    peaks, sums = [0] * DAY_MINUTES, [0.0] * DAY_MINUTES
    levels = by_minute(result)
    first = result.begin.replace(second=0, microsecond=0)
    for number, level in enumerate(levels):
        local = (first + number * MINUTE).astimezone(zone)
        minute = local.hour * 60 + local.minute
        peaks[minute], sums[minute] = max(peaks[minute], level), sums[minute] + level
    days = max(1.0, len(levels) / DAY_MINUTES)
    span = range(min(minutes, DAY_MINUTES))
    found = [
        QuietSlot(
            f"{start // 60:02}:{start % 60:02}",
            max(peaks[(start + each) % DAY_MINUTES] for each in span),
            sum(sums[(start + each) % DAY_MINUTES] for each in span) / days / len(span),
        )
        for start in range(0, DAY_MINUTES, 15)
    ]
    return sorted(found, key=lambda slot: (slot.peak, slot.average, slot.at))[:count]


def by_minute(result: Result) -> list[int]:
    """Return how many runs go on in each minute of the span, at any time of it."""
    first = result.begin.replace(second=0, microsecond=0)
    changes = [0] * (int((result.end - first) / MINUTE) + 2)
    for run in result.moments:
        if run.began_at and run.ended_at and run.began_at < result.end:
            changes[int((run.began_at - first) / MINUTE)] += 1
            changes[min(int((run.ended_at - first) / MINUTE) + 1, len(changes) - 1)] -= 1
    level, levels = 0, []
    for change in changes[:-1]:
        level += change
        levels.append(level)
    return levels


@dataclass(frozen=True)
class Advice:
    """What a jitter of so many seconds would do for triggers that start together at a minute of the hour."""

    triggers: tuple[Trigger, ...]
    minute: int
    jitter: timedelta
    peak: int
    peak_then: int


def advice(result: Result) -> Advice | None:
    """Simulate one day again with the largest crowd of plain triggers spread out; None when none is large."""
    crowd, minute = crowd_of(result)
    if len(crowd) < CROWD:
        return None
    end = min(result.end, result.begin + timedelta(days=1))
    chosen = {trigger.pk for trigger in crowd}
    spread = [spread_out(each) if each.pk in chosen else each for each in result.triggers]
    now, then = (peak_of(simulate(triggers, result.begin, end)) for triggers in (result.triggers, spread))
    return Advice(tuple(crowd), minute, ADVISED_JITTER, now, then) if then < now else None


def crowd_of(result: Result) -> tuple[list[Trigger], int]:
    """Return the largest group of triggers without shift that only ever start at one minute of the hour."""
    minutes: dict[int, set[int]] = defaultdict(set)
    for moment in result.moments:
        minutes[moment.trigger.pk].add(moment.due_at.minute)
    groups: dict[int, list[Trigger]] = defaultdict(list)
    for trigger in result.triggers:
        if len(minutes[trigger.pk]) == 1 and not trigger.timing.shift and not trigger.settings.landing_time_enabled:
            groups[next(iter(minutes[trigger.pk]))].append(trigger)
    minute = max(groups, key=lambda each: len(groups[each]), default=0)
    return groups[minute], minute


def spread_out(trigger: Trigger) -> Trigger:
    timing = replace(trigger.timing, shift=steady_jitter(trigger.pk, ADVISED_JITTER))
    return replace(trigger, timing=timing, settings=replace(trigger.settings, jitter=ADVISED_JITTER))


def peak_of(result: Result) -> int:
    return max((hour.peak for hour in by_hour(result)), default=0)
