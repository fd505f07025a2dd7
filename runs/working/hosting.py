"""The worker's side of one running block: log it, keep its lease, see when it must stop."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from executors.base import Answer, Later, Reply, Stop
from runs import asking, events
from runs.logs import Writer
from runs.models import BlockRun, Worker
from runs.states import BlockStatus
from runs.working import workers
from runs.working.heartbeats import Health, health_of
from runs.working.stop_ear import StopEar

FLUSH_SECONDS = 0.1
LOOK_SECONDS = 1.0


def tell_of_lost_lines(block_run: BlockRun, log: Writer, moment: datetime) -> None:
    """Leave an event where a log could not be written: the outcome is the block's own all the same."""
    message = f"the log of {block_run.block_uuid} is not whole: {log.trouble}"
    events.note(block_run.pipeline_run, "log_lost", moment, message, block_run=block_run, attempt=block_run.attempt)


class WaitingRoom(Protocol):
    """Where questions are kept whose answers depend on other work."""

    def wait_for(self, wait: asking.Wait, host: "BlockHost", answer: Callable[[Answer], None]) -> Later:
        """Answer when it is time; say whether the block should be parked meanwhile."""

    def keep(self, host: "BlockHost", answer: Callable[[Answer], None]) -> Later:
        """Have room for a block that lives long: answer at once, and say whether it should be parked from now on."""


class BlockHost:
    """Implements `executors.base.Host` for a claimed block run. `clock` is the edge's; `draining` says to give back."""

    def __init__(
        self,
        block_run: BlockRun,
        worker: Worker,
        log: Writer,
        clock: Callable[[], datetime],
        draining: Callable[[], bool],
        room: WaitingRoom,
        ear: StopEar | None = None,
    ) -> None:
        self.block_run, self.worker, self.log = block_run, worker, log
        self.clock, self.draining, self.room = clock, draining, room
        self.ear = ear
        self.flushed_at = 0.0
        self.looked_at = time.monotonic()
        self.renewed_at = self.looked_at - (clock() - worker.seen_at).total_seconds()
        self.health = health_of(block_run.config, self.looked_at)
        self.is_named = False  # in the database: a block that ends within a second is named by its end

    def started(self, external_id: str) -> None:
        self.block_run.external_id = external_id

    def output(self, stream: str, data: bytes) -> None:
        self.log.output(stream, data)
        self.flush_soon()

    def record(self, stream: str, level: str, text: str) -> None:
        self.log.write(stream, level, text)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Show the first line at once, then at most ten times a second."""
        now = time.monotonic()
        if now - self.flushed_at >= FLUSH_SECONDS:
            self.flushed_at = now
            self.flush()

    def flush(self) -> None:
        if self.log.flush():
            events.publish_log(self.block_run.pk, self.log.size)

    def ask(self, request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        if self.health is not None and request.get("verb") == "long_lived":
            return self.room.keep(self, answer)
        if self.health is not None and request.get("verb") == "beat":
            self.beat(self.health, request)
            return {"value": None}
        reply = asking.reply_to(self.block_run, request, self.clock())
        return self.room.wait_for(reply, self, answer) if isinstance(reply, asking.Wait) else reply

    def beat(self, health: Health, request: Mapping[str, Any]) -> None:
        health.take(request, time.monotonic())
        with suppress(DatabaseError):  # away: a later beat is written down
            self.write_down()

    def write_down(self) -> None:
        """Write down what the last beat said, if it is time to."""
        figures = self.health.news(time.monotonic()) if self.health else None
        if figures is not None:
            self.block_run.metrics = figures
            held = BlockRun.objects.filter(pk=self.block_run.pk, attempt=self.block_run.attempt)
            held.filter(status=BlockStatus.RUNNING).update(heartbeat_at=self.clock(), metrics=figures)
            events.publish_run(self.block_run.pipeline_run_id)

    def is_silent(self) -> bool:
        """Tell, once, that a long-lived block has given no sign of health for too long; say so in its log."""
        if self.health is None or not self.health.is_silent(time.monotonic()):
            return False
        self.health.is_given_up = True
        self.record(
            "system", "WARNING", f"no sign of health for {self.health.timeout:g} s: it is ended, to start again"
        )
        return True

    def should_stop(self) -> Stop | None:
        self.flush()
        if self.is_silent():
            return Stop.SILENT
        now = time.monotonic()
        if now - self.looked_at >= LOOK_SECONDS or self.is_called():
            self.looked_at = now
            try:
                return self.look(now)
            except DatabaseError:
                close_old_connections()
                if now - self.renewed_at > settings.SELF_FENCE_SECONDS:
                    return Stop.FENCED  # somebody else may have it by now
        return Stop.HAND_BACK if self.draining() else None

    def is_called(self) -> bool:
        """Tell whether a ring says that something of the run was stopped."""
        return self.ear is not None and str(self.block_run.pipeline_run_id) in self.ear.heard()

    def look(self, now: float) -> Stop | None:
        if now - self.renewed_at >= settings.HEARTBEAT_SECONDS:
            workers.renew(self.worker, self.clock())
            self.renewed_at = now
        if not self.is_named:
            self.is_named = bool(name_process(self.block_run))
        row = BlockRun.objects.filter(pk=self.block_run.pk).values_list("status", "attempt").first()
        return stop_for(self.block_run, row) or (Stop.HAND_BACK if self.draining() else None)


def name_process(block_run: BlockRun) -> int:
    """Write down by what process this attempt is run, for those who look, and for an attempt that will not end well."""
    this = BlockRun.objects.filter(pk=block_run.pk, attempt=block_run.attempt)
    return this.update(external_id=block_run.external_id)


def stop_for(block_run: BlockRun, row: tuple[str, int] | None) -> Stop | None:
    """Say whether to stop, given the status and the attempt that the block run has by now."""
    if row is None or row[1] != block_run.attempt:
        return Stop.FENCED
    if row[0] != BlockStatus.RUNNING:
        return Stop.CANCEL if row[0] == BlockStatus.CANCELLED else Stop.FENCED
    return None
