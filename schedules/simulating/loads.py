"""What a simulation says about load: runs at a time, what queues and for what, what comes too late. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.decisions import Verdict
from schedules.simulating.simulation import Moment, Result, Trigger

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY_MINUTES = 1440
CROWD = 5  # triggers that start together before anybody is advised to spread them
ADVISED_JITTER = timedelta(minutes=30)


@dataclass
class Hour:
    """One hour of real time. Runs that hold a worker, on average and at most; moments that wait, on average."""

    begin: datetime
    average: float = 0.0
    peak: int = 0
    starts: int = 0
    waiting_for_limits: float = 0.0
    waiting_for_workers: float = 0.0


def by_hour(result: Result) -> list[Hour]:
    """Return every hour that the span touches."""
    begin = result.begin.replace(minute=0, second=0, microsecond=0)
    count = max(1, -(-(result.end - begin) // HOUR))
    hours = [Hour(begin + number * HOUR) for number in range(count)]
    changes: list[tuple[datetime, int]] = []
    for run in result.moments:
        for since, until, name in waits_of(run, result.end):
            spread_over(hours, since, until, name)
        if run.began_at and run.ended_at and run.began_at < result.end:
            spread_over(hours, run.began_at, min(run.ended_at, result.end), "average")
            changes += [(run.began_at, 1), (run.ended_at, -1)]
        if run.began_at and run.began_at < result.end:
            hours[(run.began_at - begin) // HOUR].starts += 1
    find_peaks(hours, sorted(changes))
    return hours


def waits_of(run: Moment, end: datetime) -> Iterator[tuple[datetime, datetime, str]]:
    """Yield since when, until when and for what a moment waited."""
    admitted = run.started_at or (end if run.decision == "waiting" else None)
    if run.decision == Verdict.EXPIRED:
        admitted = run.expires_at
    if admitted and admitted > run.due_at:
        yield run.due_at, min(admitted, end), "waiting_for_limits"
    if run.started_at and (began := run.began_at or run.ended_at or end) > run.started_at:
        yield run.started_at, min(began, end), "waiting_for_workers"


def spread_over(hours: Sequence[Hour], since: datetime, until: datetime, name: str) -> None:
    """Add a span to the average of each hour that it touches."""
    since = max(since, hours[0].begin)
    number = (since - hours[0].begin) // HOUR
    while since < until and number < len(hours):
        hour = hours[number]
        part = min(until, hour.begin + HOUR)
        setattr(hour, name, getattr(hour, name) + (part - since) / HOUR)
        since, number = part, number + 1


def find_peaks(hours: Sequence[Hour], changes: Sequence[tuple[datetime, int]]) -> None:
    """Walk through begins and ends in order; what ends at a moment makes room for what begins then."""
    level, place = 0, 0
    for hour in hours:
        hour.peak = level
        while place < len(changes) and changes[place][0] < hour.begin + HOUR:
            level += changes[place][1]
            place += 1
            hour.peak = max(hour.peak, level)


# --- what comes too late ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Miss:
    """A deadline that is missed. `kind`: sla, start_deadline or landing_time; `by` is None where it never starts."""

    trigger: Trigger
    scheduled_for: datetime
    kind: str
    by: timedelta | None


def misses(result: Result) -> list[Miss]:
    """Return every missed deadline, in the order in which the moments were decided."""
    return [miss for moment in result.moments for miss in misses_of(moment, result.end)]


def misses_of(moment: Moment, end: datetime) -> Iterator[Miss]:
    trigger, due = moment.trigger, moment.scheduled_for
    if moment.decision == Verdict.EXPIRED:
        yield Miss(trigger, due, "start_deadline", None)
    if moment.decision not in (Verdict.START, "waiting"):
        return
    ended = moment.ended_at or end
    if trigger.sla and ended > due + trigger.sla:
        yield Miss(trigger, due, "sla", ended - due - trigger.sla)
    if trigger.settings.landing_time_enabled and ended > due:
        yield Miss(trigger, due, "landing_time", ended - due)


@dataclass
class Queueing:
    """How many moments waited for something, for how long together and at most."""

    count: int = 0
    total: timedelta = timedelta(0)
    longest: timedelta = timedelta(0)

    def add(self, span: timedelta) -> None:
        self.count, self.total, self.longest = self.count + 1, self.total + span, max(self.longest, span)


def queueing(result: Result) -> dict[str, Queueing]:
    """Return what waited for limits (and windows), and what for workers."""
    found = {"limits": Queueing(), "workers": Queueing()}
    for moment in result.moments:
        for since, until, name in waits_of(moment, result.end):
            found[name.rpartition("_")[2]].add(until - since)
    return found


def decisions(result: Result) -> dict[str, int]:
    """Return how many moments came to which decision; those still waiting at the end are `waiting`."""
    return dict(Counter(moment.decision for moment in result.moments))


# --- a week on a page -------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """One hour of one local day; of an hour that a change of the clock repeats, both together."""

    average: float = 0.0
    peak: int = 0
    hours: int = 0


@dataclass
class Day:
    date: datetime
    cells: list[Cell] = field(default_factory=lambda: [Cell() for _ in range(24)])


def by_day(hours: Iterable[Hour], zone: ZoneInfo) -> list[Day]:
    """Return the hours as local days of 24 cells; a cell with `hours` 0 is not in the span or does not exist."""
    days: dict[object, Day] = {}
    for hour in hours:
        local = hour.begin.astimezone(zone)
        cell = days.setdefault(local.date(), Day(local)).cells[local.hour]
        cell.average = (cell.average * cell.hours + hour.average) / (cell.hours + 1)
        cell.peak, cell.hours = max(cell.peak, hour.peak), cell.hours + 1
    return list(days.values())
