"""Timetables that remember their instants, for whoever asks about the same ones again and again. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

from schedules.timetable import Instant, Timetable
from schedules.timing import Timing


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
        place = bisect_right(self.memory.stamps, moment)
        while place < len(self.memory.instants) or self.memory.grow():
            found = self.memory.instants[place]
            if found.utc > moment:  # not so while the memory catches up
                yield found
            place += 1


def remembered(timetable: Timetable, since: datetime) -> Remembered:
    since = since.astimezone(UTC)
    own = {each.name: getattr(timetable, each.name) for each in fields(Timetable)}
    return Remembered(**own, since=since, memory=Memory(timetable.after(since)))


def remember_all(timings: Iterable[Timing], since: datetime) -> list[Timing]:
    """Let timings remember; those with the same rule share one memory."""
    known: dict[object, Remembered] = {}
    found = []
    for timing in timings:
        key = spelling(timing.timetable)
        if key is None or key not in known:
            known[key] = remembered(timing.timetable, since)
        found.append(replace(timing, timetable=known[key]))
    return found


def spelling(timetable: Timetable) -> tuple[object, ...] | None:
    """Return what a timetable was read from; None for one with a calendar, whose days nobody compares."""
    if timetable.days is not None:
        return None
    return (timetable.expression, timetable.zone.key, timetable.start, timetable.end, timetable.dst, timetable.hours)
