"""When an `@always_on` schedule, of which nothing runs, starts its next run: a pure function of its last runs.

At once after a success, but no sooner than ten seconds after the last start; after failures in a row later and later.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from schedules.timing import LOOK_AGAIN

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=10)
DOUBLINGS = 7  # after so many failures the delay is the longest: no need to look further back


@dataclass(frozen=True)
class Last:
    """A finished run of the schedule."""

    started_at: datetime
    ended_at: datetime
    has_failed: bool
    is_by_hand: bool = False


@dataclass(frozen=True)
class Trail:
    """What the runs of a schedule, which are all finished, say about the next one."""

    started_at: datetime
    ended_at: datetime
    failures: int = 0

    @property
    def next_try(self) -> datetime:
        return max(self.started_at + LOOK_AGAIN, self.ended_at + delay_after(self.failures))


def delay_after(failures: int) -> timedelta:
    """Return how long after the end of the last of so many failures in a row the next try is."""
    if not failures:
        return timedelta(0)
    doubled: int = 2 ** min(failures - 1, DOUBLINGS)
    return min(LONGEST_DELAY, FIRST_DELAY * doubled)


def trail_of(runs: Iterable[Last]) -> Trail | None:
    """Look at the last runs, the newest first; None if there are none.

    Failures count back to the last run that did not fail, or that somebody started by hand.
    """
    newest: Last | None = None
    failures = 0
    for run in runs:
        newest = newest or run
        if run.is_by_hand or not run.has_failed:
            break
        failures += 1
    return Trail(newest.started_at, newest.ended_at, failures) if newest else None
