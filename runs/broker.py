"""How django-q2 finds work: the block-run table is the queue, a message is only a hint to look at a row."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.signing import SignedPackage

from runs import bell, clock, recovery
from runs.models import BlockRun
from runs.working import workers

logger = logging.getLogger(__name__)
LOOK_EVERY = 1.0  # seconds, when no bell rings
HINT_AGAIN_AFTER = 10.0  # seconds until a row that nobody claimed is named again
TIDY_EVERY = 2.0
PLAIN_TASKS_EVERY = 5.0
HINTED = ("pk", "attempt", "queued_at")
# Of what is above, which this does not know: what a cluster of workers does besides running blocks, whether they are
# busy or not. Called at least once a second and after each ring; has to return at once and never raises.
ERRANDS: list[Callable[[], None]] = []


class BlockRunBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """Hands out hints to queued block runs; other `async_task` calls still go through django-q2's own table.

    Nothing is taken here: workers claim rows themselves, so a lost, doubled or stale hint costs nothing.
    """

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self.forget()

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self.forget()

    def forget(self) -> None:
        self.ear: bell.Ear | None = None
        self.hinted: dict[tuple[int, int, datetime | None], float] = {}
        self.tidied_at = self.plain_at = 0.0
        self.neighbours: list[int] = []  # process ids of this host's workers
        self.is_away = False  # the database, and that was said

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """Return hints, at once if something is queued, else after a ring or a second. Never raises."""
        try:
            if self.ear is None:  # listen before looking, so that nothing slips between
                self.ear = bell.open_ear("queue")
            self.tidy()
            for errand in ERRANDS:
                errand()
            hints = self.look()
            self.is_away = False
            if not hints:
                self.ear.wait(LOOK_EVERY)
                hints = self.look()
            return hints or self.plain_tasks()
        except (DatabaseError, OSError) as error:
            if not self.is_away:  # once per outage
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                logger.warning("cannot look for work, trying again: %s", reason)
            self.is_away = True
            self.start_over()
            return None

    def look(self) -> list[tuple[Any, str]]:
        now = time.monotonic()
        self.hinted = {key: at for key, at in self.hinted.items() if now - at < HINT_AGAIN_AFTER}
        # A sensor is queued again and again under one attempt: the time of queueing tells its turns apart.
        most = Conf.WORKERS + len(self.hinted)
        rows: list[Any] = list(BlockRun.objects.in_turn().values_list(*HINTED, "pool")[:most])
        if any(row[-1] for row in rows):  # a pool is in question: asked about only then, that takes its time
            rows = list(BlockRun.objects.queued().values_list(*HINTED, "pool")[:most])
        rows = [row[:-1] for row in rows]
        fresh = [row for row in rows if row not in self.hinted][: Conf.WORKERS]
        self.hinted.update(dict.fromkeys(fresh, now))
        return [(None, hint(block_run_id, attempt)) for block_run_id, attempt, _ in fresh]

    def plain_tasks(self) -> list[tuple[Any, str]] | None:
        now = time.monotonic()
        if now - self.plain_at < PLAIN_TASKS_EVERY:
            return None
        self.plain_at = now
        if self.queue_size() == 0:
            return None
        tasks: list[tuple[Any, str]] | None = super().dequeue()
        return tasks

    def tidy(self) -> None:
        """See who of this host is there. What a dead worker held is queued again at once, not at the next sweep."""
        now = time.monotonic()
        if now - self.tidied_at >= TIDY_EVERY or not all(map(workers.is_alive, self.neighbours)):
            self.tidied_at, moment = now, clock.now()
            if workers.tidy_this_host(moment):
                recovery.take_back_lost(moment)
            self.neighbours = workers.pids_of_this_host()

    def start_over(self) -> None:
        if self.ear is not None:
            self.ear.close()
        self.ear = None
        connections.close_all()
        time.sleep(0.2)


def hint(block_run_id: int, attempt: int) -> str:
    """Make django-q2's signed message: two integers for one fixed function."""
    name = f"{block_run_id}.{attempt}"
    package: str = SignedPackage.dumps(
        {
            "id": name,
            "name": name,
            "func": "runs.tasks.execute",
            "args": (block_run_id, attempt),
            "kwargs": {},
            "save": False,
            "ack_failure": True,
            "timeout": -1,
            "started": None,
        }
    )
    return package
