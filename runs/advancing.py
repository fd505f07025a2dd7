"""How a run goes on: which blocks are queued, which never will be, when it is over. Under the lock of its row."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F

from runs import admission, events, pools, slas
from runs.models import BlockRun, BlockRunQuerySet, PipelineRun, Role, Worker
from runs.settling import asks_for_failures, end_blocks, settle_after, settle_all
from runs.states import BLOCK_ENDED_BADLY, RUN_FINISHED, BlockStatus, RunStatus

# What a hop needs of a run; anything else is read when it is asked for.
ADVANCED_BY = (
    "status",
    "attempt",
    "pipeline_id",
    "allow_blocks_to_fail",
    "in_one_process",
    "block_run_limit",
    "timeout",
    "sla_at",
    "passed_sla",
    "callbacks",
)


def lock(run_id: int) -> PipelineRun:
    """Return the run, its row held until the commit: blocks of one run finish in turn.

    What only refers to the run (an event about it) may be written meanwhile; else who holds a block run and writes one
    would wait for who holds the run and wants that block run.
    """
    return PipelineRun.objects.select_for_update(no_key=True).only(*ADVANCED_BY).get(pk=run_id)


def take(block_run: BlockRun, worker: Worker, moment: datetime) -> bool:
    """Claim a block run for a worker; False when somebody else was first, or its pool has no room."""
    if not block_run.pool:
        return own(block_run, worker, moment)
    with transaction.atomic():
        return pools.has_room(block_run) and own(block_run, worker, moment)


def own(block_run: BlockRun, worker: Worker, moment: datetime) -> bool:
    queued_at = block_run.queued_at if block_run.status == BlockStatus.QUEUED else moment
    fresh: dict[str, Any] = {"is_aside": False} if block_run.pool else {}
    if block_run.attempt > 1 and (block_run.error or block_run.external_id):  # they are the attempt before's
        fresh |= {"error": {}, "external_id": ""}
    return block_run.move_to(
        BlockStatus.RUNNING,
        worker_id=worker.pk,
        queued_at=queued_at,
        started_at=moment,
        first_started_at=block_run.first_started_at or moment,
        **fresh,
    )


class Step(NamedTuple):
    """How many block runs were queued for whoever comes, the one that was taken at once, and whether the run ended."""

    queued: int = 0
    taken: BlockRun | None = None
    has_ended: bool = False


def advance(
    run: PipelineRun, moment: datetime, *, finished: BlockRun | None = None, taker: Worker | None = None
) -> Step:
    """Queue every block whose time has come and end the run after its last block. Under the run's lock.

    With `taker`, the first of them is claimed for that worker at once. The caller rings for the others and sees to what
    follows the end of a run: `lifecycle.go_on` does both.
    """
    if run.status in RUN_FINISHED or (finished is not None and not finished.is_finished):
        return Step()
    is_open = False  # something is known to be still to run
    if finished is not None and finished.role == Role.MEMBER:
        is_open = settle_after(run, finished, moment)
    elif finished is not None and changes_nothing_else(finished):
        below = run.block_runs.filter(block_uuid__in=finished.downstream, status=BlockStatus.INITIAL, pending__gt=0)
        is_open = bool(finished.downstream and below.update(pending=F("pending") - 1))
    else:
        settle_all(run, moment)
    step = queue_ready(run, moment, taker, one_was_freed=finished is not None)
    if not is_open and step == Step():
        return Step(has_ended=finish_if_done(run, moment))
    return step


def changes_nothing_else(finished: BlockRun) -> bool:
    """Tell whether counting is all that has to follow: it completed, nothing below asks for failures, nor did it.

    The run may have gone on after a failure only for the sake of a block that asks for some: after that, it stops.
    """
    is_plain = finished.status == BlockStatus.COMPLETED and finished.config.get("plain_below")
    return bool(is_plain) and not asks_for_failures(finished.trigger_rule)


def queue_ready(
    run: PipelineRun, moment: datetime, taker: Worker | None = None, *, one_was_freed: bool = False
) -> Step:
    """Queue the blocks that wait for nothing more, as far as there are slots."""
    waits = run.block_runs.filter(pending=0)
    ready = waits.filter(status=BlockStatus.INITIAL).order_by("priority", "position", "id")
    room = admission.free_slots(run, one_was_freed=one_was_freed)
    if taker is None and room is None:
        return Step(waits.move_to(BlockStatus.INITIAL, BlockStatus.QUEUED, queued_at=moment))
    rows = list((ready if taker else ready.only("pk", "pipeline_run"))[: 2 if taker and room is None else room])
    taken = rows.pop(0) if rows and taker is not None and take(rows[0], taker, moment) else None
    if not rows:
        return Step(0, taken)
    others = waits if room is None else BlockRun.objects.filter(pk__in=[row.pk for row in rows])
    return Step(others.move_to(BlockStatus.INITIAL, BlockStatus.QUEUED, queued_at=moment), taken)


def finish_if_done(run: PipelineRun, moment: datetime) -> bool:
    """End a run whose blocks are all finished, with the status and the reason that they give it."""
    blocks = run.block_runs.of_graph()
    if blocks.unfinished().exists():
        return False
    statuses = statuses_of(blocks)
    if statuses & BLOCK_ENDED_BADLY:  # some may be of members that do not count
        blocks = run.block_runs.that_count()
        statuses = statuses_of(blocks)
    status = RunStatus.COMPLETED
    if statuses & {BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED}:
        status = RunStatus.FAILED
    elif BlockStatus.CANCELLED in statuses:
        status = RunStatus.CANCELLED
    names = failed_names(blocks) if BlockStatus.FAILED in statuses else []
    reason = f"failed: {', '.join(names)}"[:500] if names else ""
    if run.move_to(status, completed_at=moment, reason=reason, deadline_at=None):
        events.note(run, status, moment, reason)
        if slas.has_ended_late(run, moment):
            slas.say_late(run, moment)
        return True
    return False


def statuses_of(blocks: BlockRunQuerySet) -> set[str]:
    return set(blocks.order_by().values_list("status", flat=True).distinct())


def failed_names(blocks: BlockRunQuerySet) -> list[str]:
    """Name the blocks that failed, in the order in which they did; one with members says what became of those."""
    named = blocks.filter(status=BlockStatus.FAILED).exclude(role=Role.MEMBER).order_by("completed_at")
    return [
        uuid if total is None or not reason else f"{uuid} ({reason})"
        for uuid, total, reason in named.values_list("block_uuid", "members_total", "reason")
    ]


__all__ = ["Step", "advance", "end_blocks", "lock", "queue_ready", "settle_all", "take"]
