"""What a worker process does: claim a block run, have it executed, record the outcome, go on with what became ready."""

import logging
import signal
import time
from collections.abc import Callable
from copy import copy
from datetime import datetime
from typing import Any

from executors import registry
from executors.base import CannotStart, Executor, Failure, Outcome, Parked, Verdict, Work
from executors.forking import ForkServerGone
from pipelines.refusal import Refusal
from runs import events, kinship, lifecycle, logs, recovery
from runs.masking import mask_outcome, maskable
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind
from runs.restarts import is_stream
from runs.storing import keeping
from runs.working import jobs, unwell, workers
from runs.working.hosting import BlockHost
from runs.working.parking import Parking, Task
from runs.working.persisting import persist
from runs.working.stop_ear import StopEar

logger = logging.getLogger(__name__)
HOPS = 8  # blocks of one run in a row before other runs have their turn
STOP_SHOWS_AFTER = 0.5  # seconds


class WorkerProcess:
    """This process as a worker. `clock` is the edge's; `stopping` says: claim no more; `draining`: give back now."""

    def __init__(
        self, clock: Callable[[], datetime], stopping: Callable[[], bool], draining: Callable[[], bool]
    ) -> None:
        self.clock, self.stopping, self.draining = clock, stopping, draining
        self.executors: dict[str, Executor] = {}
        self.parking = Parking(clock, stopping, draining)
        self.ear = StopEar()
        self.row: Worker | None = None
        self.known_run: PipelineRun | None = None
        self.known_outputs: dict[str, list[Any]] = {}  # of its blocks that this worker has just done

    @property
    def worker(self) -> Worker:
        """Its row, with a lease that holds for a claim made now."""
        if self.row is None:
            self.row = workers.register(WorkerKind.WORKER, self.clock())
        workers.renew_if_due(self.row, self.clock())
        return self.row

    def sign_on(self) -> None:
        """Be seen among the workers before there is work."""
        workers.renew_if_due(self.worker, self.clock())

    def work(self, block_run_id: int, attempt: int) -> int:
        """Do the block run that a hint named, if it is still to be had, and all that can be done after it."""
        if self.stopping():  # what is handed back while everything stops is not taken again
            return 0
        return self.go_on(self.claim(lambda: lifecycle.claim(block_run_id, attempt, self.worker, self.clock())))

    def work_on_anything(self, run: PipelineRun | None = None) -> int:
        """Do what is queued (of one run and those it started, if given); return how many block runs were done."""
        return self.go_on(None, run)

    def go_on(self, block_run: BlockRun | None, only: PipelineRun | None = None) -> int:
        done = hops = 0
        self.known_run = None
        try:
            while not self.stopping():
                if block_run is None:
                    hops, self.known_run = 0, None
                    block_run = self.claim(lambda: self.claim_next(only))
                if block_run is None:
                    break
                hops += 1
                block_run = self.execute(block_run, hops)
                done += 1
            if block_run is not None:
                self.give_back(block_run)
        except BaseException:
            self.let_go()
            raise
        for executor in self.executors.values():
            executor.end_session()
        return done

    def claim_next(self, only: PipelineRun | None) -> BlockRun | None:
        runs = None if only is None else kinship.family(only.pk)
        return lifecycle.claim_next(self.worker, self.clock(), runs=runs)

    def claim(self, action: Callable[[], BlockRun | None]) -> BlockRun | None:
        """Claim; after trouble as another worker: the first try may have claimed what we were not told of."""
        return persist(action, after_trouble=self.resign)

    def resign(self) -> None:
        """Go on under a new row: recovery takes up what the old one still holds, as of a worker that died."""
        self.row = None

    def let_go(self) -> None:
        """Something unforeseen came between: end whatever this worker holds, and leave it to recovery."""
        self.resign()
        for executor in self.executors.values():
            executor.close()

    def execute(self, block_run: BlockRun, hops: int = 1) -> BlockRun | None:
        """Execute a claimed block run; return the block run claimed next (work-first), if any."""
        try:
            run, work, worker = persist(lambda: self.prepare(block_run))
        except (Refusal, registry.UnknownExecutor) as refusal:
            return self.finish(block_run, refused(refusal), more=not self.stopping())
        secrets = maskable(work.job["secrets"])
        place = logs.path(run.pk, block_run.pk, block_run.attempt)
        log = logs.Writer(place, self.clock, secrets, goes_on=block_run.pokes > 0)
        keeping.began(block_run)
        task = Task(block_run, log, secrets, stops_at_once=is_stream(block_run))
        host = BlockHost(block_run, worker, log, self.clock, self.draining, self.parking, self.ear)
        try:
            outcome = self.executor(block_run.executor).launch(work, host)
        except ForkServerGone:
            self.parking.close_books(task, host)
            self.lost(block_run)
            return None
        except CannotStart as error:
            host.record("system", "WARNING", f"this worker could not start it, and gives it back: {error}")
            self.parking.close_books(task, host)
            self.could_not_start(block_run, work, str(error))
            return None
        except BaseException:
            log.close()
            raise
        if isinstance(outcome, Parked):
            del self.executors[block_run.executor]
            self.parking.take(task, outcome, host)
            return None
        self.parking.close_books(task, host, outcome)
        if outcome is None:  # it goes on elsewhere and reports by itself
            return None
        if outcome.exit == -signal.SIGTERM and outcome.verdict is Verdict.FAILED and self.stops_now():
            outcome = Outcome(verdict=Verdict.HANDED_BACK)
        more = (run.in_one_process or hops < HOPS) and not self.stopping()
        outcome = mask_outcome(outcome, secrets)
        following = self.finish(block_run, outcome, more)
        if outcome.verdict is Verdict.COMPLETED:
            self.known_outputs[block_run.block_uuid] = outcome.result.get("outputs", [])
        if log.size:
            events.publish_log(block_run.pk, log.size)  # open pages read on to the end
        return following

    def prepare(self, block_run: BlockRun) -> tuple[PipelineRun, Work, Worker]:
        registry.canonical(block_run.executor)
        run = self.run_of(block_run)
        return run, jobs.work_for(block_run, run, self.known_outputs), self.worker

    def run_of(self, block_run: BlockRun) -> PipelineRun:
        """Its run, read once for blocks in a row: what a block needs of it does not change while it goes on."""
        if self.known_run is None or self.known_run.pk != block_run.pipeline_run_id:
            self.known_outputs = {}
            self.known_run = jobs.runs().get(pk=block_run.pipeline_run_id)
        return self.known_run

    def finish(self, block_run: BlockRun, outcome: Outcome, more: bool) -> BlockRun | None:
        """Record the outcome and claim on, if there shall be more; after trouble nothing is claimed on."""
        had_trouble = False

        def record() -> BlockRun | None:
            row = copy(block_run)  # as it was claimed: a try that is rolled back leaves its traces on it
            next_for = self.worker if more and not had_trouble else None
            return lifecycle.finish_block(row, outcome, moment=self.clock(), next_for=next_for)

        def note_trouble() -> None:
            nonlocal had_trouble
            had_trouble = True

        following = persist(record, after_trouble=note_trouble)
        if had_trouble:  # a commit of which we were not told may have claimed on
            self.resign()
        return following

    def executor(self, name: str) -> Executor:
        if name not in self.executors:
            self.executors[name] = registry.make(name)
        return self.executors[name]

    def stops_now(self) -> bool:
        """Tell whether a SIGTERM that a block died of was meant for all of us: then it did not fail."""
        time.sleep(STOP_SHOWS_AFTER)
        return self.stopping()

    def lost(self, block_run: BlockRun) -> None:
        """The process that forks our children died under the block: as if this worker had."""
        if self.stopping():
            self.give_back(block_run)
            return
        logger.warning("the fork server ended while block run %s ran", block_run.pk)
        persist(lambda: recovery.take_back(copy(block_run), self.clock()))

    def could_not_start(self, block_run: BlockRun, work: Work, reason: str) -> None:
        """Nothing has happened to the block: somebody else shall have it, and this worker nothing until it is well."""
        self.give_back(block_run)
        unwell.wait_until_well(
            lambda: self.executor(block_run.executor).make_ready(work.config),
            block_run.executor,
            reason,
            row=lambda: self.worker,
            clock=self.clock,
            stopping=self.stopping,
        )

    def give_back(self, block_run: BlockRun) -> None:
        """Claimed, but this worker stops or can start nothing: somebody else shall have it, no attempt charged."""
        self.finish(block_run, Outcome(verdict=Verdict.HANDED_BACK), more=False)

    def close(self) -> None:
        self.parking.close()
        for executor in self.executors.values():
            executor.close()
        self.ear.close()
        if self.row is not None:
            workers.retire(self.row, self.clock())


def refused(refusal: Refusal | registry.UnknownExecutor) -> Outcome:
    """The block cannot even be given its work: a failure of the block, with the reason."""
    return Outcome(verdict=Verdict.FAILED, failure=Failure(type="Refusal", message=str(refusal)))
