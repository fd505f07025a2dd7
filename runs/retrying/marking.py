"""Ending a block run by hand: completed, failed or skipped, whatever it was, with a reason. The run then goes on."""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any

from django.db import transaction

from pipelines.refusal import Refusal
from runs import callbacks, events, history
from runs.admission import Door
from runs.advancing import lock
from runs.lifecycle import go_on, see_to_what_it_held
from runs.models import BlockRun, PipelineRun, Role
from runs.retrying.regrouping import blocks_below
from runs.retrying.repeating import reopen, restart
from runs.setting_back import FRESH, set_back
from runs.states import BLOCK_FINISHED, BlockStatus, RunStatus

MARKS = {
    "completed": BlockStatus.COMPLETED,
    "failed": BlockStatus.FAILED,
    "skipped": BlockStatus.CONDITION_FAILED,
}
LONGEST_REASON = 500
MARKED = "marked "  # how the reason of a marked block run begins
KEPT_FROM_RUNNING = (BlockStatus.UPSTREAM_FAILED, BlockStatus.CONDITION_FAILED, BlockStatus.CANCELLED)
TRIES = 5  # workers and timers move a block run on without the run's lock


def mark(block_run: BlockRun, outcome: str, *, moment: datetime, by: str, reason: str) -> BlockRun:
    """End a block run as `outcome` ("completed", "failed" or "skipped") says, and let its run go on; return the row.

    One that runs is fenced and its process ended. A finished run is opened again as by a retry: what was cancelled in
    it, and what did not run because of this block, is set back. Whoever takes a marked block's output gets None.
    Raises Refusal for a wrong outcome or reason, for what is so already, for a callback; NotAdmitted when the run's
    limits leave no room for it now.
    """
    status, reason = checked(outcome, reason)
    with transaction.atomic():
        run = block_run.pipeline_run
        gate = Door.open([run], moment, but=run).admit(run)
        run = lock(run.pk)
        row = find(run, block_run.pk)
        refuse_what_cannot_be(row, status, outcome)
        if run.is_finished:
            reopen(run, gate, moment)
        was = row.status
        row = end(run, row, status, moment, told(outcome, by, reason))
        set_back(run, kept_from_running(run, row), moment)
        if run.is_finished and not restart(run, moment):
            raise changed(row)
        message = f"was {was.replace('_', ' ')}, is {outcome} by {by}: {reason}"
        data = {"by": by, "reason": reason, "was": was, "outcome": outcome}
        events.note(run, "marked", moment, message, block_run=row, **data)
        follow(run, row, moment)
    return row


def checked(outcome: str, reason: str) -> tuple[BlockStatus, str]:
    if outcome not in MARKS:
        raise Refusal(
            f"A block run cannot be marked {outcome[:80]!r}.", field="status", hint=f"Allowed: {', '.join(MARKS)}."
        )
    reason = reason.strip()
    if not 1 <= len(reason) <= LONGEST_REASON or "\x00" in reason:
        raise Refusal(
            "A mark needs a reason.",
            field="reason",
            hint=f"Say in 1 to {LONGEST_REASON} characters why.",
            code="invalid_reason",
        )
    return MARKS[outcome], reason


def find(run: PipelineRun, block_run_id: int) -> BlockRun:
    """Read the row as it is under the run's lock; it may be gone since."""
    row = run.block_runs.filter(pk=block_run_id).first()
    if row is None:
        raise Refusal(f"Run {run.pk} has no such block any more.", code="conflict")
    return row


def refuse_what_cannot_be(row: BlockRun, status: BlockStatus, outcome: str) -> None:
    if row.role == Role.CALLBACK:
        raise Refusal(
            f"{row.block_uuid} is a callback.", hint="Nothing depends on how it ends; there is nothing to mark."
        )
    if row.status == status:
        raise Refusal(f"{row.block_uuid} is {outcome} already.", code="conflict")


def told(outcome: str, by: str, reason: str) -> str:
    return f"{MARKED}{outcome} by {by}: {reason}"[:LONGEST_REASON]


def is_marked(row: BlockRun) -> bool:
    return row.is_finished and row.reason.startswith(MARKED)


# --- the block run --------------------------------------------------------------------------------------------------


def end(run: PipelineRun, row: BlockRun, status: BlockStatus, moment: datetime, reason: str) -> BlockRun:
    """Move the row to its end by legal moves only, whatever it was; return it as it is then."""
    for _ in range(TRIES):
        if row.members_total is not None and not row.is_finished:
            end_members(run, row, moment, reason)
        if end_from(run, row, status, moment, reason):
            return row
        row = find(run, row.pk)
    raise changed(row)


def end_from(run: PipelineRun, row: BlockRun, status: BlockStatus, moment: datetime, reason: str) -> bool:
    """End the row from the state that it was read in; False if it has left that meanwhile."""
    error = {"type": "MarkedFailed", "message": reason} if status == BlockStatus.FAILED else {}
    ended: dict[str, Any] = {"completed_at": moment, "next_attempt_at": None, "reason": reason, "error": error}
    if row.status == BlockStatus.RUNNING:
        return end_running(run, row, status, moment, ended)
    if row.status in BLOCK_FINISHED:
        set_back(run, [row], moment)
        row.refresh_from_db()
    elif row.status == BlockStatus.QUEUED and not unqueue(row, moment):
        return False
    elif row.pk in history.unbegun_among([row]):  # it waits for the next attempt: that one has used nothing yet
        ended |= {"started_at": None, "metrics": {}}
    return row.move_to(status, output=[], **ended)


def end_running(run: PipelineRun, row: BlockRun, status: BlockStatus, moment: datetime, ended: dict[str, Any]) -> bool:
    """Take the attempt away from its worker, who ends its process at the next look; keep it as a cancelled one."""
    was = copy(row)
    fresh: dict[str, Any] = {"queued_at": None, "started_at": None, "metrics": {}, "external_id": "", "output": []}
    if not row.move_to(status, next_attempt=True, worker_id=None, **fresh, **ended):
        return False
    history.keep([was], moment, run_attempt=run.attempt, ended_as="cancelled", reason=ended["reason"])
    events.publish_stop(run.pk)
    return True


def unqueue(row: BlockRun, moment: datetime) -> bool:
    """Take a row out of the queue, back to where it began; False if a worker was faster."""
    return row.move_to(BlockStatus.CANCELLED, completed_at=moment) and row.move_to(BlockStatus.INITIAL, **FRESH)


def end_members(run: PipelineRun, row: BlockRun, moment: datetime, reason: str) -> None:
    """Cancel what is unfinished of a block that was expanded; workers end the processes."""
    members = run.block_runs.filter(parent=row, role=Role.MEMBER)
    for status in (BlockStatus.INITIAL, BlockStatus.WAITING, BlockStatus.QUEUED, BlockStatus.RUNNING):
        moved = members.move_to(status, BlockStatus.CANCELLED, completed_at=moment, reason=reason)
    if moved:  # they were at work
        events.publish_stop(run.pk)
    callbacks.follow_cancelled(run, moment)


# --- what follows ---------------------------------------------------------------------------------------------------


def kept_from_running(run: PipelineRun, marked: BlockRun) -> list[BlockRun]:
    """Return what may run now: what did not because of the marked block and, in a finished run, what was cancelled.

    What decided for itself (a condition, a sensor) or was marked stays as it is. A block that ended as its members did
    is open again with any of them.
    """
    rows = {row.block_uuid: row for row in run.block_runs.of_graph()}
    whole = {row.pk for row in rows.values() if is_marked(row)}  # of these the members are left as they are
    held = {uuid: row for uuid, row in rows.items() if was_kept_from_running(row) and row.parent_id not in whole}
    held.pop(marked.block_uuid, None)
    seeds = [marked.block_uuid]
    if run.is_finished:
        seeds += [uuid for uuid, row in held.items() if row.status == BlockStatus.CANCELLED]
    after = {*seeds, *descendants(blocks_below(rows.values(), {}), seeds)}
    found = {row.pk: row for uuid, row in held.items() if uuid in after}
    parents = {row.parent_id for row in [marked, *found.values()] if row.role == Role.MEMBER}
    found |= {row.pk: row for row in rows.values() if row.pk in parents and row.is_finished and not is_marked(row)}
    return list(found.values())


def was_kept_from_running(row: BlockRun) -> bool:
    if row.status not in KEPT_FROM_RUNNING or is_marked(row):
        return False
    return row.status != BlockStatus.CONDITION_FAILED or row.first_started_at is None


def descendants(below: Mapping[str, Sequence[str]], seeds: Sequence[str]) -> set[str]:
    found: set[str] = set()
    todo = list(seeds)
    while todo:
        for name in below.get(todo.pop(), ()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found


def follow(run: PipelineRun, row: BlockRun, moment: datetime) -> None:
    """See to what follows every end of a block run: its callbacks, its lateness, the run going on."""
    see_to_what_it_held(run, row, moment)
    if run.callbacks:
        callbacks.follow_block(run, row, moment)
    if run.status == RunStatus.RUNNING:
        go_on(run, moment)
    events.publish_run(run.pk)
    events.publish_stop(run.pk)  # it may have been at work


def changed(row: BlockRun) -> Refusal:
    return Refusal(f"{row.block_uuid} has changed meanwhile.", hint="Look again, then decide.", code="conflict")
