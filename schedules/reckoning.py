"""What of a schedule is due and undecided, what is decided about it, and how its plan moves on. Pure.

The scheduler writes it down (`accounting`), the simulation plays it through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from schedules.decisions import Due, Ruling, rule
from schedules.policies import Settings
from schedules.timetable import Instant, Kind
from schedules.timing import Timing

TICK = timedelta(microseconds=1)
LISTED_AT_MOST = 101  # overdue moments of one schedule: a hundred, and one that stands for the rest


class Entry(NamedTuple):
    """A moment that has come, and what time says about it."""

    instant: Instant
    due: Due
    ruling: Ruling


@dataclass(frozen=True)
class Reckoning:
    """The moments, and the plan from here on. `is_spent`: it has had its only one.

    `starts_when_idle`: its moment counts only if nothing of it runs or waits.
    """

    entries: list[Entry]
    decided_until: datetime
    next_due: datetime | None
    is_spent: bool = False
    starts_when_idle: bool = False


def reckon(
    timing: Timing,
    settings: Settings,
    decided_until: datetime,
    moment: datetime,
    *,
    planned: datetime | None = None,
    is_edited: bool = False,
) -> Reckoning:
    """Rule on every moment that is due by now; it was `planned` to look at them then.

    Of a rule that `is_edited` the moments count that have come but are to start later (jitter): the new one will not
    know them.
    """
    if timing.timetable.kind is Kind.ALWAYS_ON:
        return look_if_idle(timing, settings, moment)
    limit = max(LISTED_AT_MOST, settings.catchup_max + 1)
    horizon = max(moment, moment + timing.shift) if is_edited else moment
    instants = timing.due(decided_until, horizon, limit)
    unlisted_since = first_of(timing, decided_until) if len(instants) == limit else None
    entries = ruled(timing, settings, instants, moment, unlisted_since, planned)
    decided = timing.decided_by(decided_until, horizon)
    if timing.timetable.kind is Kind.ONCE and entries:
        return Reckoning(entries, decided, None, is_spent=True)
    return Reckoning(entries, decided, timing.next_due(decided))


def look_if_idle(timing: Timing, settings: Settings, moment: datetime) -> Reckoning:
    decided = moment + TICK  # past the first look, which is at once
    is_open = timing.timetable.is_open(moment) and not timing.timetable.is_over(moment)
    instants = [timing.timetable.at(moment)] if is_open else []
    return Reckoning(
        ruled(timing, settings, instants, moment), decided, timing.next_due(decided), starts_when_idle=True
    )


def first_of(timing: Timing, begun: datetime) -> datetime | None:
    first = timing.next_after(begun)
    return first.utc if first else None


def ruled(
    timing: Timing,
    settings: Settings,
    instants: Sequence[Instant],
    moment: datetime,
    unlisted_since: datetime | None = None,
    planned: datetime | None = None,
) -> list[Entry]:
    # Nothing is late for having been planned later: the forecast of a landing time may have grown since.
    starts = [max(filter(None, [instant.utc + timing.shift, planned])) for instant in instants]
    due = [Due(instant.utc, start, instant.hit) for instant, start in zip(instants, starts, strict=True)]
    rulings = rule(due, settings, moment, paused_until=timing.enabled_at, unlisted_since=unlisted_since)
    return [Entry(*each) for each in zip(instants, due, rulings, strict=True)]


def expiry(due_at: datetime, settings: Settings) -> datetime | None:
    """Return until when a moment may wait for its start."""
    return due_at + settings.start_deadline if settings.start_deadline else None
