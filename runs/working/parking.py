"""Blocks that a worker process watches beside the one it does: they wait for other runs, or live long.

Each is watched by a thread of its own. One more thread, the attendant, does what can be done for all of them at once:
it keeps their lease, looks whether they must stop and whether what they wait for is there. So a process with many of
them needs two connections, not as many as there are blocks.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connections

from executors.base import Answer, Later, Outcome, Parked, Reply, Stop, Verdict
from executors.forking import ForkServerGone
from runs import asking, events, lifecycle, pools, recovery
from runs.logs import Writer
from runs.masking import mask_outcome
from runs.models import BlockRun
from runs.states import BlockStatus
from runs.storing import keeping
from runs.working.attending import Attendant
from runs.working.heartbeats import Health
from runs.working.hosting import BlockHost, tell_of_lost_lines
from runs.working.persisting import persist

logger = logging.getLogger(__name__)
CLOSE_SECONDS = 5.0  # for parked blocks to be handed back when their process ends


@dataclass(frozen=True)
class Task:
    """A block run that is being worked on, and what its end needs."""

    block_run: BlockRun
    log: Writer
    secrets: tuple[str, ...]
    stops_at_once: bool = False  # when its worker is asked to stop: it would not end by itself


class ParkedHost(BlockHost):
    """The host of a parked block. The attendant looks for it; of the database it needs nothing but what is asked."""

    def __init__(self, parking: "Parking", task: Task, before: BlockHost | None = None) -> None:
        row = parking.attendant.row
        assert row is not None
        super().__init__(task.block_run, row, task.log, parking.clock, parking.draining, parking)
        self.task, self.parking = task, parking
        if before is not None:
            self.health = before.health
        self.told: Stop | None = None  # by the attendant
        self.has_grown = False  # its log, since the attendant last told pages

    def flush(self) -> None:
        if self.log.flush():
            self.has_grown = True

    def ask(self, request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        try:
            reply = super().ask(request, answer)
        finally:
            connections.close_all()
        return Later.LATER if isinstance(reply, Later) else reply

    def beat(self, health: Health, request: Mapping[str, Any]) -> None:
        health.take(request, time.monotonic())  # the attendant writes it down

    def should_stop(self) -> Stop | None:
        self.flush()
        if self.told:
            return self.told
        if self.is_silent():
            return Stop.SILENT
        if time.monotonic() - self.parking.attendant.renewed_at > settings.SELF_FENCE_SECONDS:
            return Stop.FENCED  # somebody else may have it by now
        return Stop.HAND_BACK if self.is_to_be_handed_back() else None

    def is_to_be_handed_back(self) -> bool:
        """One that waits is at once: what it waits for is not worked on while everything stops."""
        if self.draining() or self.parking.is_closing:
            return True
        return self.parking.stopping() and (self.task.stops_at_once or self.parking.attendant.has_question_of(self))


class Parking:
    """The parked blocks of one worker process, and the questions of all its blocks that are answered later."""

    def __init__(
        self, clock: Callable[[], datetime], stopping: Callable[[], bool], draining: Callable[[], bool]
    ) -> None:
        self.clock, self.stopping, self.draining = clock, stopping, draining
        self.attendant = Attendant(clock)
        self.threads: dict[threading.Thread, Parked] = {}
        self.lock = threading.Lock()
        self.is_closing = False

    def __len__(self) -> int:
        return len(self.threads)

    # --- the waiting room (runs.working.hosting.WaitingRoom)

    def wait_for(self, wait: asking.Wait, host: BlockHost, answer: Callable[[Answer], None]) -> Later:
        """Have the attendant answer when it is time. Where there is no place to park the block keeps its worker."""
        pools.step_aside(host.block_run)
        self.attendant.expect(wait, host, answer)
        if self.has_room():
            return Later.PARK
        if not isinstance(host, ParkedHost):
            host.record(
                "system",
                "WARNING",
                f"{len(self)} blocks of this worker wait for other runs, as many as may "
                "(PARKED_BLOCKS_PER_WORKER): this one keeps the worker while it waits",
            )
        return Later.LATER

    def keep(self, host: BlockHost, answer: Callable[[Answer], None]) -> Later:
        """Park a block that lives long. Where there is no place for it, it keeps its worker."""
        answer({"value": None})
        if self.has_room():
            return Later.PARK
        if not isinstance(host, ParkedHost):
            message = f"{len(self)} blocks are parked with this worker, as many as may (PARKED_BLOCKS_PER_WORKER)"
            host.record("system", "WARNING", f"{message}: this one keeps the worker")
        return Later.LATER

    def has_room(self) -> bool:
        return len(self) < settings.PARKED_BLOCKS_PER_WORKER

    # --- parked blocks

    def take(self, task: Task, parked: Parked, before: BlockHost | None = None) -> None:
        """Watch a block on in a thread, until it has ended, and record its outcome. `before`: its host until now."""
        thread = threading.Thread(target=self.watch, args=(task, parked, before), daemon=True, name="parked block")
        with self.lock:
            self.threads[thread] = parked
        self.attendant.announce(task.block_run.pk)
        thread.start()

    def watch(self, task: Task, parked: Parked, before: BlockHost | None) -> None:
        try:
            self.adopt(task.block_run)
            host = ParkedHost(self, task, before)
            self.attendant.attend_to(host, before)
            self.see_to_its_end(task, parked, host)
        except Exception:  # the thread's own edge: recovery takes up what is left, when the lease has run out
            logger.exception("the parked block run %s could not be seen to its end", task.block_run.pk)
            self.attendant.resign()
            parked.kill()
        finally:
            with self.lock:
                del self.threads[threading.current_thread()]
            self.attendant.leave(task.block_run.pk)
            connections.close_all()

    def adopt(self, block_run: BlockRun) -> None:
        """Have the block run belong to the row of what is parked here: its lease is then kept by the attendant."""
        row = persist(self.attendant.sign_on)
        held = BlockRun.objects.filter(pk=block_run.pk, status=BlockStatus.RUNNING, attempt=block_run.attempt)
        # If it is no longer so (cancelled, taken back), the attendant's first look says it.
        named = {"external_id": block_run.external_id}
        persist(lambda: held.filter(worker=block_run.worker_id).update(worker=row, **named))
        block_run.worker_id = row.pk

    def see_to_its_end(self, task: Task, parked: Parked, host: ParkedHost) -> None:
        block_run = task.block_run
        try:
            outcome = parked.go_on(host)
        except ForkServerGone:
            self.close_books(task, host)
            self.lost(block_run)
            return
        if is_of_a_stop(outcome) and self.stopping():
            outcome = Outcome(verdict=Verdict.HANDED_BACK)
        self.close_books(task, host, outcome)
        self.finish(block_run, mask_outcome(outcome, task.secrets))
        if task.log.size:
            events.publish_log(block_run.pk, task.log.size)

    def close_books(self, task: Task, host: BlockHost, outcome: Outcome | None = None) -> None:
        """Its process has ended: say in its log of what it failed, close it, forget what it asked."""
        self.attendant.forget(host)
        if outcome is not None and outcome.failure is not None:
            task.log.write("system", "ERROR", f"{outcome.failure.type}: {outcome.failure.message}")
        task.log.close()
        if outcome is None or outcome.verdict is not Verdict.NOT_YET:  # a sensor's next look goes on in this log
            keeping.ended(task.block_run, task.log.size)
        if task.log.trouble:
            persist(lambda: tell_of_lost_lines(task.block_run, task.log, self.clock()))

    def finish(self, block_run: BlockRun, outcome: Outcome) -> None:
        persist(lambda: lifecycle.finish_block(copy(block_run), outcome, moment=self.clock()))

    def lost(self, block_run: BlockRun) -> None:
        """Its fork server died under it: as if its worker had."""
        if self.stopping() or self.is_closing:
            self.finish(block_run, Outcome(verdict=Verdict.HANDED_BACK))
            return
        logger.warning("the fork server ended while the parked block run %s ran", block_run.pk)
        persist(lambda: recovery.take_back(copy(block_run), self.clock()))

    def close(self) -> None:
        """Hand back whatever is parked: the process ends. Takes a few seconds at most."""
        self.is_closing = True
        until = time.monotonic() + CLOSE_SECONDS
        with self.lock:
            threads = dict(self.threads)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        for thread, parked in threads.items():
            if thread.is_alive():  # recovery takes up what it held
                parked.kill()
        self.attendant.close()


def is_of_a_stop(outcome: Outcome) -> bool:
    """Tell whether a block died of a SIGTERM, which may have been meant for everything here."""
    return outcome.exit == -signal.SIGTERM and outcome.verdict is Verdict.FAILED
