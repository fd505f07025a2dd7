"""The life of a run: created, advanced block by block, finished or cancelled. Every state change of a run is here."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from executors.base import Outcome, Verdict
from pipelines.models import Pipeline
from runs import admission, callbacks, events, kinship, slas
from runs.admission import Answer, Door, Gate, NotAdmitted
from runs.advancing import Step, advance, end_blocks, lock, take
from runs.many_rows import insert_all
from runs.models import BlockRun, Origin, PipelineRun, Role, Worker
from runs.planning import Draft, RunSettings, draft_run
from runs.restarts import record
from runs.states import BlockStatus, RunStatus

CLAIM_TRIES = 5
URGENCY = ("priority", "execution_date", "id")
GOES_ON = (Verdict.COMPLETED, Verdict.NOT_YET, Verdict.HANDED_BACK)
HELD_AT_A_TIME, HELD_AT_MOST = 200, 5000


def create_run(
    pipeline: Pipeline,
    *,
    moment: datetime,
    origin: Origin,
    execution_date: datetime | None = None,
    interval_end: datetime | None = None,
    variables: Mapping[str, Any] | None = None,
    event: Mapping[str, Any] | None = None,
    settings: RunSettings | None = None,
    idempotency_key: str | None = None,
    request_digest: str = "",
    started_by: str = "",
    only_block: str | None = None,
    skip_sensors: bool = False,
    parent_block_run: BlockRun | None = None,
    is_awaited: bool = False,
) -> PipelineRun:
    """Accept a run: when this returns (and its transaction is committed), the run will happen.

    `parent_block_run`, as it was claimed, asks for it, and waits for its end if it `is_awaited`.
    Raises Refusal for a broken pipeline, an unknown block or executor, variables that are no object; NotAdmitted when
    a limit says skip; IntegrityError when the idempotency key is taken: the caller then reads the run that has it.
    """
    draft = draft_run(
        pipeline,
        settings or RunSettings(),
        variables,
        only_block=only_block,
        skip_sensors=skip_sensors,
        moment=moment,
        origin=origin,
        execution_date=execution_date or moment,
        interval_end=interval_end,
        event=dict(event or {}),
        idempotency_key=idempotency_key,
        request_digest=request_digest,
        started_by=started_by,
        parent_block_run=parent_block_run,
        is_awaited=is_awaited,
    )
    with transaction.atomic():
        gate = Door.open([draft.run], moment).admit(draft.run)
        if gate.answer is Answer.SKIP:
            raise NotAdmitted(f"{pipeline.uuid} does not start", gate)
        cancel_for(draft.run, gate, moment)
        accept([draft], moment, waits_for=gate.reason)
        if parent_block_run is not None:
            kinship.check(draft.run, parent_block_run)
    return draft.run


def accept(drafts: Sequence[Draft], moment: datetime, *, waits_for: str = "") -> None:
    """Store admitted runs, any number in three inserts; they start at once unless they have to wait for something."""
    for draft in drafts:
        if waits_for:
            draft.run.reason = f"waits: {waits_for}"[:500]
        else:
            start_at_once(draft.run, draft.block_runs, moment)
    insert_all([draft.run for draft in drafts])
    for draft in drafts:
        for block_run in draft.block_runs:
            block_run.pipeline_run_id = draft.run.pk
    insert_all([block_run for draft in drafts for block_run in draft.block_runs])
    events.note_all(
        [draft.run for draft in drafts],
        "created",
        moment,
        [draft.run.reason or f"started by {draft.run.started_by or draft.run.origin}" for draft in drafts],
    )
    if drafts:
        events.publish_run(drafts[-1].run.pk)  # nobody looks at a new run's own page yet: one ring tells the lists
        events.publish_work()


def cancel_for(run: PipelineRun, gate: Gate, moment: datetime) -> None:
    """End the runs that have to go before this one may start."""
    if not gate.cancels:  # as for nearly every start
        return
    by = f" by {run.trigger_name}" if run.trigger_name else ""
    for other in PipelineRun.objects.unfinished().filter(pk__in=gate.cancels).order_by("pk"):
        cancel(other, moment=moment, reason=f"a newer run was started{by} (overlap: cancel_other)")


def start_held(pipeline_id: int, moment: datetime) -> int:
    """Start the runs of a pipeline that had to wait and may start by now, the most urgent first; return how many."""
    waiting = PipelineRun.objects.filter(pipeline_id=pipeline_id, status=RunStatus.INITIAL)
    if not waiting.exists():
        return 0
    in_turn = waiting.select_related("version").defer("version__files").order_by(*URGENCY)
    # Where the first of them all have to wait on, there may be room for others: of another trigger, another customer.
    for begin in range(0, HELD_AT_MOST, HELD_AT_A_TIME):
        with transaction.atomic():
            runs = list(in_turn[begin : begin + HELD_AT_A_TIME])
            door = Door.open(runs, moment)
            started = sum(start(run, gate, moment) for run in runs if (gate := door.admit(run, is_new=False)).is_open)
        if started or len(runs) < HELD_AT_A_TIME:
            return started
    return 0


def start(run: PipelineRun, gate: Gate, moment: datetime) -> bool:
    """Start an admitted run that had to wait; False if it was cancelled meanwhile."""
    run = lock(run.pk)
    if run.status != RunStatus.INITIAL:
        return False
    cancel_for(run, gate, moment)
    deadline = moment + run.timeout if run.timeout else None
    if not run.move_to(RunStatus.RUNNING, started_at=moment, deadline_at=deadline, reason=""):
        return False
    slas.restart(run, moment)
    events.note(run, "started", moment)
    events.publish_run(run.pk)
    go_on(run, moment)
    return True


def claim(block_run_id: int, attempt: int, worker: Worker, moment: datetime) -> BlockRun | None:
    """Take a queued block run for this worker, whose lease is fresh; None when somebody else has it."""
    block_run = BlockRun.objects.filter(pk=block_run_id, attempt=attempt, status=BlockStatus.QUEUED).first()
    return block_run if block_run and take(block_run, worker, moment) else None


def claim_next(
    worker: Worker,
    moment: datetime,
    *,
    run: PipelineRun | None = None,
    runs: Collection[int] | None = None,
    only_graph: bool = False,
) -> BlockRun | None:
    """Take the most urgent queued block run (of one run or of some, if given; no callback, if so asked), if any."""
    wanted = BlockRun.objects.all()
    if run is not None:
        wanted = wanted.filter(pipeline_run=run)
    if runs is not None:
        wanted = wanted.filter(pipeline_run__in=runs)
    if only_graph:  # a callback between two blocks would end the process that they share
        wanted = wanted.of_graph()
    for _ in range(CLAIM_TRIES):
        block_run = wanted.next_queued()
        if block_run is None or take(block_run, worker, moment):
            return block_run
    return None  # many are taking at once: the next look finds what they leave


def finish_block(
    block_run: BlockRun, outcome: Outcome, *, moment: datetime, next_for: Worker | None = None
) -> BlockRun | None:
    """Record how a block run's attempt ended and queue what became ready: once, whoever else tries.

    One transaction under the run's lock. With `next_for`, one block run that became ready (of the same run) is
    claimed for that worker in the same transaction and returned: work-first, no queue hop. Returns None when there
    is none, and also when the attempt was taken away meanwhile (fenced): then nothing was written.
    """
    with transaction.atomic():
        run = lock(block_run.pipeline_run_id)
        if not record(run, block_run, outcome, moment):
            if run.callbacks:
                callbacks.release(run, block_run, moment)
            return None
        see_to_what_it_held(run, block_run, moment, waits_on=outcome.verdict in GOES_ON)
        step = go_on(run, moment, finished=block_run, taker=next_for)
        events.publish_run(run.pk)
        if step.taken is None and next_for is not None and run.status == RunStatus.RUNNING:
            return claim_next(next_for, moment, run=run, only_graph=run.in_one_process)
        return step.taken


def cancel(run: PipelineRun, *, moment: datetime, reason: str, by: str = "") -> bool:
    """Stop a run: nothing of it starts any more, what runs is ended by its worker. False if it was finished."""
    return stop(run, RunStatus.CANCELLED, moment=moment, reason=reason, kind="cancelled", by=by)


def time_out(run: PipelineRun, *, moment: datetime) -> bool:
    """End a run that is past its deadline with the status its trigger asked for."""
    reason = f"did not finish within {run.timeout}"
    return stop(run, RunStatus(run.timeout_status), moment=moment, reason=reason, kind="timed_out")


# --- creating -------------------------------------------------------------------------------------------------------


def start_at_once(run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
    """Make the new rows as if the run had just been started: its roots are born queued."""
    run.be_born_running(moment)
    slas.set_deadlines(block_runs, moment)
    roots = [block_run for block_run in block_runs if block_run.pending == 0]
    for block_run in roots[: admission.first_slots(run)]:
        block_run.be_born_queued(moment)


# --- going on -------------------------------------------------------------------------------------------------------


def go_on(run: PipelineRun, moment: datetime, *, finished: BlockRun | None = None, taker: Worker | None = None) -> Step:
    """Advance a run under its lock and see to what follows: work to be taken, callbacks, room for the next run."""
    if finished is not None and finished.role == Role.CALLBACK:  # nothing comes after it
        return Step()
    if run.callbacks and finished is not None and callbacks.follow_block(run, finished, moment):
        taker = taker if run.in_one_process else None  # who has come to an end here takes the callback first
    step = advance(run, moment, finished=finished, taker=taker)
    if step.queued:  # a worker needs no bell for what it takes itself
        events.publish_work()
    if step.has_ended:
        has_ended(run, moment)
    return step


def see_to_what_it_held(run: PipelineRun, block_run: BlockRun, moment: datetime, *, waits_on: bool = False) -> None:
    """An attempt at a block is over: see to the runs that it waited for, to its time, to those who want its pool."""
    if not waits_on:
        cancel_awaited(Q(parent_block_run=block_run.pk), moment, "the block that waited for it has ended")
    if block_run.is_finished and slas.has_ended_late(block_run, moment):
        slas.say_late(run, moment, block_run)
    if block_run.pool:
        events.publish_work()


def has_ended(run: PipelineRun, moment: datetime) -> None:
    """A run has just ended: see to its callbacks, to what it waited for, and to what has waited for its place."""
    if run.status != RunStatus.COMPLETED:
        reason = f"run {run.pk}, which waited for it, has ended"
        cancel_awaited(Q(parent_block_run__pipeline_run=run.pk), moment, reason)
    if run.callbacks:
        callbacks.follow_run(run, moment)
    make_room(run, moment)


def make_room(run: PipelineRun, moment: datetime) -> None:
    """A run ended: let those that waited for its place start, after the commit."""
    pipeline_id = run.pipeline_id
    events.publish_end()
    transaction.on_commit(lambda: start_held(pipeline_id, moment) and None)


def cancel_awaited(children: Q, moment: datetime, reason: str) -> None:
    """Cancel runs for which nobody waits any more; those that were not waited for go on."""
    for run in PipelineRun.objects.unfinished().filter(children, is_awaited=True).order_by("pk"):
        cancel(run, moment=moment, reason=reason)


# --- stopping -------------------------------------------------------------------------------------------------------


def stop(run: PipelineRun, status: RunStatus, *, moment: datetime, reason: str, kind: str, by: str = "") -> bool:
    """End a run and whatever of it is unfinished, under its lock; False if it was finished before."""
    with transaction.atomic():
        run = lock(run.pk)
        if run.is_finished:
            return False
        end_blocks(run, moment, reason)
        if not run.move_to(status, completed_at=moment, reason=reason[:500], deadline_at=None):
            return False
        events.note(run, kind, moment, reason, by=by)
        if slas.has_ended_late(run, moment):
            slas.say_late(run, moment)
        events.publish_run(run.pk)
        has_ended(run, moment)
    return True
