"""Retention as a duty of the scheduler: a little at each turn, so that nothing it is really there for comes late.

Rows go in short transactions, as many as fit into a fifth of a second. Files are removed in a thread that knows no
database: a storage that is slow, or hangs, holds up nothing but itself.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from runs.models import Removal
from runs.retaining import leavings, removing, retention
from runs.retaining.leavings import Leaving, Result

logger = logging.getLogger(__name__)
TURN = 0.15  # seconds of a turn after which no further step is begun
SOON = timedelta(seconds=1)  # until the next turn, when there is more to do
FILES_OF = 50  # removals handed over at a time
TRY_AGAIN = timedelta(hours=1)  # what could not be removed
TIDY_EVERY = timedelta(hours=1)  # rows of workers and versions


class Remover:
    """Removes files in a thread of its own, which begins with the first of them and ends with the process."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Leaving] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.outstanding = 0

    def give(self, jobs: Sequence[Leaving]) -> None:
        if jobs and self.thread is None:
            self.thread = threading.Thread(target=self.work, name="retention", daemon=True)
            self.thread.start()
        self.outstanding += len(jobs)
        for job in jobs:
            self.jobs.put(job)

    def work(self) -> None:
        while True:
            self.results.put(leavings.remove(self.jobs.get()))

    def finished(self) -> list[Result]:
        """Return what was done since the last call."""
        found = [self.results.get() for _ in range(self.results.qsize())]
        self.outstanding -= len(found)
        return found


class Janitor:
    """What one scheduler process knows of its share of the work; any number of them may be at it."""

    def __init__(self) -> None:
        self.remover = Remover()
        self.pass_: Iterator[None] | None = None
        self.tidied_at: datetime | None = None
        self.went: Counter[str] = Counter()
        self.told: set[str] = set()

    def turn(self, moment: datetime) -> datetime | None:
        """Do what there is to do for at most about 200 ms; return when to come again, None: when it is time."""
        until = time.monotonic() + TURN
        if self.pass_ is None:
            self.pass_ = self.steps(moment)
        while time.monotonic() < until:
            if next(self.pass_, self) is self:
                self.pass_ = None
                break
        has_files = self.see_to_files(moment)
        return moment + SOON if has_files or self.pass_ is not None else None

    def steps(self, moment: datetime) -> Iterator[None]:
        """Go once through all that has rules."""
        policies = retention.policies()
        for done in removing.steps(policies, moment):
            if done is not None:
                self.went[done.cut.kind] += done.runs
            yield
        if self.tidied_at is None or not self.tidied_at <= moment < self.tidied_at + TIDY_EVERY:
            while removing.forget_workers(moment):
                yield
            while removing.forget_versions(policies, moment):
                yield
            self.tidied_at = moment
        if self.went:
            words = ", ".join(f"{kind} of {count}" for kind, count in sorted(self.went.items()) if kind != "runs")
            logger.info("retention removed %d runs%s", self.went["runs"], f"; {words}" if words else "")
            self.went.clear()

    def see_to_files(self, moment: datetime) -> bool:
        """Note what the thread has done and give it more; tell whether there is more to come."""
        settle(self.remover.finished(), moment, self.told)
        if not self.remover.outstanding:
            self.remover.give(open_leavings(moment))
        return self.remover.outstanding > 0


def open_leavings(moment: datetime, limit: int = FILES_OF) -> list[Leaving]:
    """Return what is to be removed next. Two processes may get the same: who comes second finds nothing."""
    ready = Removal.objects.filter(Q(try_after=None) | Q(try_after__lte=moment)).order_by("pk")
    return leavings.leavings(list(ready[:limit]))


def settle(results: Sequence[Result], moment: datetime, told: set[str]) -> None:
    """Strike out what is gone; put off what is not, and say why, each reason once until something goes well again."""
    gone = [result.leaving.removal_id for result in results if not result.problem]
    if gone:
        Removal.objects.filter(pk__in=gone).delete()
    for result in results:
        if not result.problem:
            continue
        Removal.objects.filter(pk=result.leaving.removal_id).update(
            problem=result.problem[:500], try_after=moment + TRY_AGAIN
        )
        reason = result.problem.rpartition(": ")[2]
        if reason not in told:
            told.add(reason)
            logger.warning("retention cannot remove %s, trying again in an hour", result.problem)
    if gone and not any(result.problem for result in results):
        told.clear()
