"""When a schedule is due next: a pure function of its rule, its settings and the moment up to which all is decided.

A moment of the timetable and the time at which its run is to start differ by a fixed shift: jitter puts the start
off, landing time brings it forward so that the run is finished by the moment.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from schedules.timetable import Instant, Kind, Timetable

LOOK_AGAIN = timedelta(seconds=10)  # at an @always_on schedule; also the least time between two of its starts


@dataclass(frozen=True)
class Timing:
    """A timetable and the shift of its starts; `enabled_at` is when the schedule was switched on."""

    timetable: Timetable
    shift: timedelta = timedelta(0)
    enabled_at: datetime | None = None

    def next_after(self, decided_until: datetime) -> Instant | None:
        """Return the first moment that is not decided yet."""
        if self.timetable.kind is Kind.ONCE:
            return self.once(decided_until)
        return self.timetable.next_after(decided_until)

    def next_due(self, decided_until: datetime) -> datetime | None:
        """Return when something is to be decided next, or None if never again."""
        if self.timetable.kind is Kind.ALWAYS_ON:
            is_first = self.enabled_at is None or decided_until <= self.enabled_at
            look = max(decided_until, self.enabled_at or decided_until)
            look = max(look if is_first else look + LOOK_AGAIN, self.timetable.start or look)
            opens = look if self.timetable.is_open(look) else self.timetable.opens_at(look)
            return None if opens is None or self.timetable.is_over(opens) else opens
        following = self.next_after(decided_until)
        return following.utc + self.shift if following else None

    def due(self, decided_until: datetime, moment: datetime, limit: int) -> list[Instant]:
        """Return the undecided moments whose start has come by `moment`, the latest `limit` of them, in order."""
        if self.timetable.kind is Kind.ONCE:
            instant = self.once(decided_until)
            return [instant] if instant and instant.utc + self.shift <= moment else []
        found = self.timetable.between(decided_until, moment - self.shift, limit + 1)
        return found if len(found) <= limit else self.timetable.latest(decided_until, moment - self.shift, limit)

    def once(self, decided_until: datetime) -> Instant | None:
        """Return the one moment of `@once`: its start, or when it was switched on."""
        at = max(filter(None, [self.timetable.start, self.enabled_at]), default=None)
        if at is None or at < decided_until or self.timetable.is_over(at):
            return None
        return self.timetable.at(at)

    def decided_by(self, decided_until: datetime, moment: datetime) -> datetime:
        """Return up to which moment all is decided once what is due at `moment` is."""
        return max(decided_until, moment - self.shift)


def steady_jitter(key: int, longest: timedelta) -> timedelta:
    """Return how much later than its moments a schedule starts: always the same for one, spread out among many."""
    seconds = int(longest.total_seconds())
    digest = hashlib.blake2b(str(key).encode(), digest_size=8).digest()
    return timedelta(seconds=int.from_bytes(digest) % (seconds + 1)) if seconds else timedelta(0)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the values that at least `share` of them do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
