"""The life of a run: created, advanced block by block, finished or cancelled. Every state change of a run is here."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F

from executors.base import Outcome
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import admission, events
from runs.admission import Answer, Door, Gate, NotAdmitted
from runs.attempts import record
from runs.many_rows import insert_all
from runs.models import BlockRun, Origin, PipelineRun, Worker
from runs.planning import Draft, RunSettings, draft_run
from runs.readiness import Node, settle
from runs.states import BLOCK_FINISHED, RUN_FINISHED, BlockStatus, RunStatus

CLAIM_TRIES = 5
URGENCY = ("priority", "execution_date", "id")
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
) -> PipelineRun:
    """Accept a run: when this returns (and its transaction is committed), the run will happen.

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
    )
    with transaction.atomic():
        gate = Door.open([draft.run], moment).admit(draft.run)
        if gate.answer is Answer.SKIP:
            raise NotAdmitted(f"{pipeline.uuid} does not start", gate)
        cancel_for(draft.run, gate, moment)
        accept([draft], moment, waits_for=gate.reason)
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
    events.note(run, "started", moment)
    events.publish_run(run.pk)
    if advance(run, moment).queued:
        events.publish_work()
    return True


def claim(block_run_id: int, attempt: int, worker: Worker, moment: datetime) -> BlockRun | None:
    """Take a queued block run for this worker, whose lease is fresh; None when somebody else has it."""
    block_run = BlockRun.objects.filter(pk=block_run_id, attempt=attempt, status=BlockStatus.QUEUED).first()
    return block_run if block_run and take(block_run, worker, moment) else None


def claim_next(worker: Worker, moment: datetime, *, run: PipelineRun | None = None) -> BlockRun | None:
    """Take the most urgent queued block run (of one run, if given); None when there is none."""
    queued = BlockRun.objects.queued()
    if run is not None:
        queued = queued.filter(pipeline_run=run)
    for _ in range(CLAIM_TRIES):
        block_run = queued.first()
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
            return None
        step = advance(run, moment, finished=block_run, taker=next_for)
        events.publish_run(run.pk)
        if step.queued:  # this worker needs no bell for what it takes itself
            events.publish_work()
        if step.taken is None and next_for is not None and run.status == RunStatus.RUNNING:
            return claim_next(next_for, moment, run=run)
        return step.taken


def cancel(run: PipelineRun, *, moment: datetime, reason: str, by: str = "") -> bool:
    """Stop a run: nothing of it starts any more, what runs is ended by its worker. False if it was finished."""
    return stop(run, RunStatus.CANCELLED, moment=moment, reason=reason, kind="cancelled", by=by)


def time_out(run: PipelineRun, *, moment: datetime) -> bool:
    """End a run that is past its deadline with the status its trigger asked for."""
    reason = f"did not finish within {run.timeout}"
    return stop(run, RunStatus(run.timeout_status), moment=moment, reason=reason, kind="timed_out")


def retry(
    run: PipelineRun, *, moment: datetime, by: str = "", from_block: str | None = None, incomplete: bool = True
) -> bool:
    """Run a failed or cancelled run again: its incomplete blocks, all of them, or a block and its descendants.

    False if it is neither. Raises NotAdmitted when its limits leave no room for it now.
    """
    with transaction.atomic():
        gate = Door.open([run], moment, but=run).admit(run)
        run = lock(run.pk)
        if run.status not in (RunStatus.FAILED, RunStatus.CANCELLED):
            return False
        if not gate.is_open:
            raise NotAdmitted(f"Run {run.pk} cannot start again", gate)
        cancel_for(run, gate, moment)
        chosen = blocks_to_repeat(run, from_block, incomplete)
        for status in BlockStatus:
            if status not in (BlockStatus.INITIAL, BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING):
                again = run.block_runs.filter(block_uuid__in=chosen)
                again.move_to(status, BlockStatus.INITIAL, attempt=F("attempt") + 1, **FRESH)
        deadline = moment + run.timeout if run.timeout else None
        fields = {"attempt": run.attempt + 1, "started_at": moment, "completed_at": None, "deadline_at": deadline}
        if not run.move_to(RunStatus.RUNNING, reason="", **fields):
            return False
        events.note(run, "retried", moment, f"by {by}" if by else "", blocks=sorted(chosen))
        settle_all(run, moment)
        if queue_ready(run, moment).queued:
            events.publish_work()
        events.publish_run(run.pk)
    return True


# --- creating -------------------------------------------------------------------------------------------------------

FRESH: dict[str, Any] = {
    "retries": 0,
    "losses": 0,
    "pokes": 0,
    "queued_at": None,
    "started_at": None,
    "first_started_at": None,
    "completed_at": None,
    "next_attempt_at": None,
    "output": [],
    "metrics": {},
    "error": {},
    "reason": "",
}


def start_at_once(run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
    """Make the new rows as if the run had just been started: its roots are born queued."""
    run.be_born_running(moment)
    roots = [block_run for block_run in block_runs if block_run.pending == 0]
    for block_run in roots[: admission.first_slots(run)]:
        block_run.be_born_queued(moment)


# --- advancing ------------------------------------------------------------------------------------------------------


# What a hop needs of a run; anything else is read when it is asked for.
ADVANCED_BY = (
    "status",
    "attempt",
    "pipeline_id",
    "allow_blocks_to_fail",
    "in_one_process",
    "block_run_limit",
    "timeout",
)


def lock(run_id: int) -> PipelineRun:
    """Return the run, its row held until the commit: blocks of one run finish in turn."""
    return PipelineRun.objects.select_for_update().only(*ADVANCED_BY).get(pk=run_id)


def take(block_run: BlockRun, worker: Worker, moment: datetime) -> bool:
    queued_at = block_run.queued_at if block_run.status == BlockStatus.QUEUED else moment
    return block_run.move_to(
        BlockStatus.RUNNING,
        worker_id=worker.pk,
        queued_at=queued_at,
        started_at=moment,
        first_started_at=block_run.first_started_at or moment,
    )


class Step(NamedTuple):
    """How many block runs were queued for whoever comes, and the one that was taken at once."""

    queued: int = 0
    taken: BlockRun | None = None


def advance(
    run: PipelineRun, moment: datetime, *, finished: BlockRun | None = None, taker: Worker | None = None
) -> Step:
    """Queue every block whose time has come and end the run after its last block. Under the run's lock.

    With `taker`, the first of them is claimed for that worker at once. The caller rings for the others.
    """
    if run.status in RUN_FINISHED or (finished is not None and not finished.is_finished):
        return Step()
    is_open = False  # something is known to be still to run
    if finished is not None and finished.status == BlockStatus.COMPLETED and finished.config.get("plain_below"):
        below = run.block_runs.filter(block_uuid__in=finished.downstream, status=BlockStatus.INITIAL, pending__gt=0)
        is_open = bool(finished.downstream and below.update(pending=F("pending") - 1))
    else:
        settle_all(run, moment)
    step = queue_ready(run, moment, taker, one_was_freed=finished is not None)
    if not is_open and step == Step():
        finish_if_done(run, moment)
    return step


def settle_all(run: PipelineRun, moment: datetime) -> None:
    """Look at the whole graph: carry failures down, count what each block still waits for, stop a failed run."""
    rows = {row.block_uuid: row for row in run.block_runs.all()}
    moves = settle({uuid: Node(row.status, row.upstream, row.trigger_rule) for uuid, row in rows.items()})
    by_status: dict[BlockStatus, list[int]] = {}
    for uuid, move in moves.items():
        by_status.setdefault(move, []).append(rows[uuid].pk)
    for status, ids in by_status.items():
        if status == BlockStatus.QUEUED:
            run.block_runs.filter(pk__in=ids).update(pending=0)  # waits for nothing more
        else:
            run.block_runs.filter(pk__in=ids).move_to(BlockStatus.INITIAL, status, completed_at=moment)
    for uuid, row in rows.items():
        if row.status == BlockStatus.INITIAL and uuid not in moves:
            waits_for = [name for name in row.upstream if name in rows and name not in moves]
            pending = sum(not rows[name].is_finished for name in waits_for)
            pending += sum(moves.get(name) == BlockStatus.QUEUED for name in row.upstream)
            if pending != row.pending:
                run.block_runs.filter(pk=row.pk).update(pending=pending)
    failed = any(row.status == BlockStatus.FAILED for row in rows.values())
    still_open = [row for uuid, row in rows.items() if moves.get(uuid, row.status) not in BLOCK_FINISHED]
    if failed and not run.allow_blocks_to_fail and not any(asks_for_failures(row) for row in still_open):
        end_blocks(run, moment, "another block of the run failed")


def asks_for_failures(row: BlockRun) -> bool:
    """A block that is to run after failures keeps the run going until it has."""
    return row.trigger_rule not in ("all_success", "none_failed")


def queue_ready(
    run: PipelineRun, moment: datetime, taker: Worker | None = None, *, one_was_freed: bool = False
) -> Step:
    """Queue the blocks that wait for nothing more, as far as there are slots."""
    ready = run.block_runs.filter(status=BlockStatus.INITIAL, pending=0).order_by("priority", "position")
    if taker is None:
        ready = ready.only("pk")
    rows = list(ready[: admission.free_slots(run, one_was_freed=one_was_freed)])
    taken = rows.pop(0) if rows and taker is not None and take(rows[0], taker, moment) else None
    if not rows:
        return Step(0, taken)
    others = BlockRun.objects.filter(pk__in=[row.pk for row in rows])
    return Step(others.move_to(BlockStatus.INITIAL, BlockStatus.QUEUED, queued_at=moment), taken)


def finish_if_done(run: PipelineRun, moment: datetime) -> None:
    """End a run whose blocks are all finished, with the status and the reason that they give it."""
    if run.block_runs.unfinished().exists():
        return
    failed = run.block_runs.filter(status__in=(BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED))
    names = list(failed.filter(status=BlockStatus.FAILED).order_by("completed_at").values_list("block_uuid", flat=True))
    status = RunStatus.FAILED if failed.exists() else RunStatus.COMPLETED
    if status == RunStatus.COMPLETED and run.block_runs.filter(status=BlockStatus.CANCELLED).exists():
        status = RunStatus.CANCELLED
    reason = f"failed: {', '.join(names)}"[:500] if names else ""
    if run.move_to(status, completed_at=moment, reason=reason, deadline_at=None):
        events.note(run, status, moment, reason)
        make_room(run, moment)


def make_room(run: PipelineRun, moment: datetime) -> None:
    """A run ended: let those that waited for its place start, after the commit."""
    pipeline_id = run.pipeline_id
    events.publish_end()
    transaction.on_commit(lambda: start_held(pipeline_id, moment) and None)


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
        events.publish_run(run.pk)
        make_room(run, moment)
    return True


def end_blocks(run: PipelineRun, moment: datetime, reason: str) -> None:
    """Cancel every unfinished block run; workers see it at their next look and end the processes."""
    # In the order in which block runs move on, some without the run's lock: none slips past from one to the next.
    for status in (BlockStatus.INITIAL, BlockStatus.WAITING, BlockStatus.QUEUED, BlockStatus.RUNNING):
        run.block_runs.move_to(status, BlockStatus.CANCELLED, completed_at=moment, reason=reason[:500])


def blocks_to_repeat(run: PipelineRun, from_block: str | None, incomplete: bool) -> set[str]:
    """Return the uuids of the blocks that a retry runs again; raise Refusal for an unknown `from_block`."""
    rows = {row.block_uuid: row for row in run.block_runs.all()}
    unfinished = {uuid for uuid, row in rows.items() if row.status != BlockStatus.COMPLETED}
    if from_block is None:
        return unfinished if incomplete else set(rows)
    if from_block not in rows:
        raise Refusal(f"Run {run.pk} has no block {from_block!r}.", field="from_block", code="unknown_block")
    chosen, todo = set(unfinished), [from_block]
    while todo:
        uuid = todo.pop()
        chosen.add(uuid)
        todo += [name for name in rows[uuid].downstream if name not in chosen]
    return chosen
