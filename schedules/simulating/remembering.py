"""Timetables that remember their instants, for whoever asks about the same ones again and again. Pure."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

from schedules.timetable import Instant, Timetable
from schedules.timing import Timing

CATCHES_UP = 1000  # instants that are worked out only to get to the one that is asked for


@dataclass
class Memory:
    """The instants after a moment, as far as they were asked for."""

    stream: Iterator[Instant]
    instants: list[Instant] = field(default_factory=list)
    stamps: list[datetime] = field(default_factory=list)

    def grow(self) -> bool:
        """Remember one more; False if there is none."""
        found = next(self.stream, None)
        if found is None:
            return False
        self.instants.append(found)
        self.stamps.append(found.utc)
        return True


@dataclass(frozen=True, kw_only=True)
class Remembered(Timetable):
    """A timetable whose instants after `since` are each worked out once."""

    since: datetime
    memory: Memory = field(compare=False, repr=False)

    def after(self, moment: datetime) -> Iterator[Instant]:
        if moment < self.since:
            yield from super().after(moment)
            return
        place, behind = bisect_right(self.memory.stamps, moment), 0
        while place < len(self.memory.instants) or self.memory.grow():
            found = self.memory.instants[place]
            if found.utc > moment:
                yield found
            elif (behind := behind + 1) > CATCHES_UP:  # too far ahead of what is remembered
                yield from super().after(moment)
                return
            place += 1


class Almanac:
    """The timetables of a batch: those that are written alike share one memory."""

    def __init__(self) -> None:
        self.known: dict[object, Remembered] = {}

    def remember(self, timing: Timing, since: datetime) -> Timing:
        """Let a timing remember its instants; the first that asks says since when."""
        key = spelling(timing.timetable)
        memory = self.known.get(key) if key else None
        if memory is None:
            memory = self.known[key] = remembered(timing.timetable, since)
        return replace(timing, timetable=memory)


def remembered(timetable: Timetable, since: datetime) -> Remembered:
    since = since.astimezone(UTC)
    own = {each.name: getattr(timetable, each.name) for each in fields(Timetable)}
    return Remembered(**own, since=since, memory=Memory(timetable.after(since)))


def spelling(timetable: Timetable) -> tuple[object, ...] | None:
    """Return what a timetable was read from; None for one with a calendar, whose days nobody compares."""
    if timetable.days is not None:
        return None
    return (timetable.expression, timetable.zone.key, timetable.start, timetable.end, timetable.dst, timetable.hours)
