"""Following a run from the terminal that started it: keep its time, lend it hands, show it, until it is finished."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import psycopg2
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from runs import bell, kinship, lifecycle, logs, recovery
from runs.models import BlockRun, PipelineRun, Role, WorkerKind
from runs.progress import Display
from runs.states import BlockStatus
from runs.working import workers
from runs.working.crew import Crew
from runs.working.persisting import PATIENCE

SWEEP_EVERY = timedelta(seconds=2)
TIMERS_EVERY = timedelta(seconds=1)
OURS_AFTER = timedelta(milliseconds=200)  # a block is queued this long before one more of the crew is called
THEIRS_AFTER = timedelta(seconds=2)  # the same where the workers of a server should have taken it
LOOK_EVERY = 0.5  # seconds, when no bell rings
PAGES_AT_ONCE = 16  # of one log, before other blocks have their turn
CANCEL_IS_SEEN = 2.0  # seconds: a worker looks every second whether its block was cancelled
STOP_SECONDS = 0.5  # for our workers to go when nothing runs any more


class Follower:
    """Stays with one run until it and what is called after it are finished.

    `clock` is the command's; `stops` says how often the user asked to stop: the first time cancels the run.
    """

    def __init__(
        self,
        run: PipelineRun,
        display: Display,
        crew: Crew,
        *,
        clock: Callable[[], datetime],
        stops: Callable[[], int],
        user: str,
    ) -> None:
        self.run, self.display, self.crew = run, display, crew
        self.clock, self.stops, self.user = clock, stops, user
        self.is_cancelled = False
        self.timers_at = self.swept_at = clock()
        self.offsets: dict[tuple[int, int], int] = {}  # how far the log was read, by block run and attempt
        self.read: set[tuple[int, int]] = set()  # logs that were read to their end

    def follow(self) -> list[BlockRun]:
        """Return the block runs when the run is finished; the run is then as it ended. Outlives short outages."""
        failing_since: float | None = None
        while True:
            try:
                with bell.listen("live") as ear:
                    while not self.turn():
                        failing_since = None
                        self.rest(ear)
                    return self.finish()
            except (OperationalError, InterfaceError, psycopg2.Error, OSError):
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > PATIENCE:
                    raise
                connections.close_all()
                time.sleep(LOOK_EVERY)

    def turn(self) -> bool:
        """Look once; return whether the run is finished."""
        run, moment = self.run, self.clock()
        self.keep_time(moment)
        if self.stops() and not self.is_cancelled:
            self.cancel(moment)
        run.refresh_from_db(fields=["status", "attempt", "reason", "started_at", "completed_at"])
        block_runs = self.rows()
        self.call_hands(moment)
        self.pass_on_lines(block_runs)
        self.display.show(run, block_runs, moment)
        return run.is_finished and not any(self.is_called(row, moment) for row in block_runs)

    def rows(self) -> list[BlockRun]:
        """Return the blocks of the run, their members, and what is called after them."""
        called = list(self.run.block_runs.called_for_page()) if self.run.callbacks else []
        blocks = list(self.run.block_runs.for_page().exclude(role=Role.MEMBER))
        are_many = any(row.members_total is not None for row in blocks)
        members = list(self.run.block_runs.members_for_progress()) if are_many else []
        return [*blocks, *members, *called]

    def is_called(self, row: BlockRun, moment: datetime) -> bool:
        """Tell whether it is a callback that may still end in time: nobody waits longer than its timeout."""
        since = self.run.completed_at or moment
        return row.role == Role.CALLBACK and not row.is_finished and moment - since < (row.timeout or timedelta())

    def rest(self, ear: bell.Ear) -> None:
        """Sleep until something changed or it is time for another look; meanwhile the display may move."""
        until = time.monotonic() + LOOK_EVERY
        while not ear.wait(min(LOOK_EVERY, self.display.refresh_seconds)) and time.monotonic() < until:
            if self.stops() and not self.is_cancelled:
                return
            self.display.refresh(self.clock())

    def keep_time(self, moment: datetime) -> None:
        """Do what a scheduler would do for this run; harmless beside one."""
        if moment >= self.timers_at:
            latest = moment + TIMERS_EVERY
            self.timers_at = min(recovery.due_timers(moment) or latest, latest)
        if moment - self.swept_at >= SWEEP_EVERY:
            self.swept_at = moment
            self.crew.muster()
            workers.tidy_this_host(moment)
            recovery.sweep(moment)

    def call_hands(self, moment: datetime) -> None:
        """Have one more of the crew help when a block has waited and there is more to do at once than hands.

        What blocks of the run started is theirs to do as well; a block that waits for that takes no hand.
        """
        patience = OURS_AFTER if self.crew.is_at_work else THEIRS_AFTER
        rows = BlockRun.objects.filter(pipeline_run__in=kinship.family(self.run.pk))
        queued = [at for at in rows.filter(status=BlockStatus.QUEUED).values_list("queued_at", flat=True) if at]
        running = rows.filter(status=BlockStatus.RUNNING).exclude(worker__kind=WorkerKind.PARKED).count()
        if queued and moment - min(queued) > patience and len(queued) + running > len(self.crew):
            self.crew.add()

    def cancel(self, moment: datetime) -> None:
        self.is_cancelled = True
        running = self.run.block_runs.of_graph().filter(status=BlockStatus.RUNNING).count()
        blocks = f"{running} block{'' if running == 1 else 's'} running"
        self.display.warn(f"stopping, {blocks}; Ctrl-C again to end everything at once")
        lifecycle.cancel(self.run, moment=moment, reason=f"cancelled by {self.user} in the terminal", by=self.user)
        if not self.run.callbacks:
            self.crew.ask_to_stop()

    def finish(self) -> list[BlockRun]:
        """Let the crew go (a cancelled block has its grace first), then show what came last."""
        grace = settings.KILL_GRACE_SECONDS + CANCEL_IS_SEEN if self.is_cancelled else 0.0
        self.crew.close(grace + STOP_SECONDS)
        workers.tidy_this_host(self.clock())
        block_runs = self.rows()
        self.read.clear()
        while self.pass_on_lines(block_runs):
            pass
        self.display.show(self.run, block_runs, self.clock())
        for run in (
            PipelineRun.objects.unfinished().filter(pk__in=kinship.family(self.run.pk)).select_related("pipeline")
        ):
            self.display.warn(f"{run} of {run.pipeline.uuid}, which it started, is {run.status}: left to a server")
        return block_runs

    # --- logs

    def pass_on_lines(self, block_runs: Sequence[BlockRun]) -> int:
        """Hand new lines to the display, those of each attempt in order; return how many there were."""
        if not self.display.shows_lines:
            return 0
        return sum(
            self.read_on(block_run, attempt)
            for block_run in block_runs
            if block_run.first_started_at
            for attempt in range(1, block_run.attempt + 1)
            if (block_run.pk, attempt) not in self.read
        )

    def read_on(self, block_run: BlockRun, attempt: int) -> int:
        key = (block_run.pk, attempt)
        count = 0
        for _ in range(PAGES_AT_ONCE):
            page = logs.read(block_run, attempt, offset=self.offsets.get(key, 0))
            self.offsets[key] = page.next_offset
            count += len(page.lines)
            if page.lines:
                self.display.lines(block_run, attempt, page.lines)
            if page.at_end:
                break
        else:
            return count
        if attempt < block_run.attempt or block_run.is_finished:
            self.read.add(key)
        return count
