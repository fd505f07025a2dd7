"""The order of those that wait: who goes before whom, and who does not overtake. Pure: no Django, no clock.

The scheduler keeps it with the rows of the ledger (`starting`, `waiting`), the simulation with its own.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from heapq import merge
from typing import Protocol, TypeVar

from runs.limits import NO_LIMITS, Answer, Gate, Limits
from schedules.policies import Overlap, Settings

HEADS = 50  # of one schedule; of a backfill, as many as its limit


def keeps_a_queue(settings: Settings) -> bool:
    """Does it matter to new moments of a schedule whether earlier ones wait?"""
    return bool(settings.overlap is not None or settings.pipeline_run_limit or settings.run_limit_by_variable)


def behind(limits: Limits, waiting: int) -> Gate | None:
    """Return a shut gate for a new moment whose schedule has so many that wait for their turn; None to go on."""
    if limits == NO_LIMITS or not waiting:
        return None
    if limits.overlap == Overlap.WAIT_ONE:
        return Gate("overlap", Answer.SKIP, "The previous run goes on and another moment waits for it already.")
    if limits.overlap == Overlap.WAIT_ALL or limits.on_limit == "wait":
        return Gate("overlap", Answer.WAIT, "Earlier moments wait for their turn.")
    return None


def limits_of(settings: Settings) -> Limits:
    """Return what a schedule's settings say about the admission of its runs."""
    return Limits(
        overlap=settings.overlap_policy.value,
        run_limit=settings.pipeline_run_limit,
        on_limit=settings.on_pipeline_run_limit_reached.value,
        by_variable=settings.run_limit_by_variable,
    )


class Waiting(Protocol):
    """What waits: a row of the ledger, or of a simulated one."""

    @property
    def priority(self) -> int: ...

    @property
    def scheduled_for(self) -> datetime: ...


Row = TypeVar("Row", bound=Waiting)


def in_turn(rows: Iterable[Row], is_newest_first: Callable[[Row], bool] = lambda row: False) -> list[Row]:
    """Return the rows in the order in which they try to start: the most urgent, then the oldest.

    Backfills that begin with their newest slot come after what is equally urgent.
    """
    return sorted(rows, key=place_by(is_newest_first))


def in_turn_of(
    groups: Iterable[Iterable[Row]], is_newest_first: Callable[[Row], bool] = lambda row: False
) -> Iterator[Row]:
    """Yield the rows of groups, each of which is in turn already, in turn.

    A group is asked for its next row only when the one before has been dealt with.
    """
    return merge(*groups, key=place_by(is_newest_first))


def place_by(is_newest_first: Callable[[Row], bool]) -> Callable[[Row], tuple[int, bool, float]]:
    def place(row: Row) -> tuple[int, bool, float]:
        newest_first = is_newest_first(row)
        stamp = row.scheduled_for.timestamp()
        return (row.priority, newest_first, -stamp if newest_first else stamp)

    return place
