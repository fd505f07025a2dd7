"""What is called after a block, or after the run: rows of their own, queued in the transaction of the end they follow.

A run knows its callbacks from its start (`PipelineRun.callbacks`, {} for nearly all): "success", "failure" and
"cancelled" hold the entries to call after the run, "blocks" those that its blocks name. They count neither for the
run's end nor for its limits. One that follows a cancelled block waits until that block's process is gone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from pipelines.models import PipelineVersion
from pipelines.refusal import Refusal
from runs import events
from runs.callback_rows import place, row_of
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus, RunStatus

SUCCESS, FAILURE, CANCELLED = "success", "failure", "cancelled"
OUTCOMES = (SUCCESS, FAILURE, CANCELLED)
OF_BLOCK = {BlockStatus.COMPLETED: SUCCESS, BlockStatus.FAILED: FAILURE, BlockStatus.CANCELLED: CANCELLED}
OF_RUN = {RunStatus.COMPLETED: SUCCESS, RunStatus.FAILED: FAILURE, RunStatus.CANCELLED: CANCELLED}
SLACK = timedelta(seconds=5)  # for a worker to say that a cancelled block's process is gone


# --- what a run is given at its start -------------------------------------------------------------------------------


def entries_of(version: PipelineVersion, *, whole: bool = True) -> dict[str, Any]:
    """Return what `PipelineRun.callbacks` holds for a run of this version; not `whole`: of one block of it only."""
    graph = {entry["uuid"]: entry for entry in version.graph["blocks"]}
    named = {uuid for entry in graph.values() if entry["executable"] for uuid in entry.get("callbacks") or ()}
    of_run = {outcome: found for outcome, found in (version.settings.get("callbacks") or {}).items() if found}
    entries: dict[str, Any] = of_run if whole else {}
    if named:
        entries["blocks"] = {uuid: graph[uuid] for uuid in sorted(named) if uuid in graph}
    return entries


# --- what follows an end --------------------------------------------------------------------------------------------


def follow_block(run: PipelineRun, ended: BlockRun, moment: datetime) -> int:
    """Queue what is to be called after a block run that has ended for good; return how many. Under the run's lock."""
    return put(run, rows_after(run, ended), moment)


def follow_cancelled(run: PipelineRun, moment: datetime) -> None:
    """Queue what is to be called after the block runs that were cancelled at this moment after they had begun."""
    if run.callbacks.get("blocks"):
        begun = run.block_runs.of_graph().filter(
            status=BlockStatus.CANCELLED, completed_at=moment, first_started_at__isnull=False
        )
        put(run, [row for ended in begun.order_by("position", "id") for row in rows_after(run, ended)], moment)


def follow_run(run: PipelineRun, moment: datetime) -> None:
    """Queue what is to be called after the run, which has just ended. Under its lock."""
    outcome = OF_RUN[RunStatus(run.status)]
    if entries := run.callbacks.get(outcome):
        going = ending(run.block_runs.of_graph().filter(completed_at=moment))
        call = {"outcome": outcome, "of": run.attempt, "error": error_of(run, outcome), "ending": going}
        put(run, [row_of(run, entry, None, call) for entry in entries], moment)


def rows_after(run: PipelineRun, ended: BlockRun) -> list[BlockRun]:
    """Return the rows, not stored yet, of the callbacks of a block run that has ended."""
    names, outcome = ended.config.get("callbacks"), OF_BLOCK.get(BlockStatus(ended.status))
    if not names or outcome is None or ended.members_total is not None:
        return []  # one that was expanded leaves it to its members
    known = run.callbacks.get("blocks") or {}
    call = {"outcome": outcome, "of": ended.attempt, "error": ended.error if outcome == FAILURE else None}
    call["outputs"] = [{key: meta[key] for key in meta if key != "preview"} for meta in ended.output]
    call["ending"] = ending([ended])
    entries = [known[uuid] for uuid in names if uuid in known]
    return [row_of(run, entry, ended, call) for entry in entries if outcome in (entry.get("outcomes") or OUTCOMES)]


def ending(block_runs: Sequence[BlockRun] | QuerySet[BlockRun]) -> list[str]:
    """Name those among block runs that have ended whose process may still be there: cancelled while they ran."""
    cancelled = [row for row in block_runs if row.status == BlockStatus.CANCELLED and row.worker_id is not None]
    return [key(row) for row in cancelled]


def key(block_run: BlockRun) -> str:
    return f"{block_run.pk}.{block_run.attempt}"


def error_of(run: PipelineRun, outcome: str) -> dict[str, Any] | None:
    """Return the error of the block that failed first, or else why the run failed; None if it did not."""
    if outcome != FAILURE:
        return None
    failed = run.block_runs.of_graph().filter(status=BlockStatus.FAILED).order_by("completed_at", "position")
    first = failed.values_list("error", flat=True).first()
    return first or {"type": "RunFailed", "message": run.reason}


def put(run: PipelineRun, rows: Sequence[BlockRun], moment: datetime) -> int:
    """Store the callbacks, each once for an end, and tell those who have to do something about them."""
    if not rows:
        return 0
    until = moment + timedelta(seconds=settings.KILL_GRACE_SECONDS) + SLACK
    placed = place(run, rows, moment, until)
    if any(row.status == BlockStatus.QUEUED for row in placed):
        events.publish_work()
    if any(row.status == BlockStatus.WAITING for row in placed):
        events.publish_timer()
    return len(placed)


# --- what waits for a process to end --------------------------------------------------------------------------------


def release(run: PipelineRun, gone: BlockRun, moment: datetime) -> None:
    """The process of a cancelled block run is gone: queue what has waited for that. Under the run's lock."""
    waiting = run.block_runs.filter(role=Role.CALLBACK, status=BlockStatus.WAITING, first_started_at=None)
    for row in waiting.filter(Q(parent=gone) | Q(parent=None)):
        left = [name for name in row.config["call"]["ending"] if name != key(gone)]
        config = row.config | {"call": row.config["call"] | {"ending": left}}
        if left:
            BlockRun.objects.filter(pk=row.pk).update(config=config)
        elif row.move_to(BlockStatus.QUEUED, queued_at=moment, next_attempt_at=None, config=config, reason=""):
            events.publish_work()


# --- stopping one by hand -------------------------------------------------------------------------------------------


def stop(callback: BlockRun, *, moment: datetime, by: str) -> None:
    """End a callback that waits, is queued or at work; raise Refusal for a finished one and for a block."""
    if callback.role != Role.CALLBACK:
        hint = f"Cancel its run, {callback.pipeline_run_id}, instead."
        raise Refusal(f"{callback.block_uuid} is no callback: it is not stopped alone.", hint=hint, code="conflict")
    with transaction.atomic():
        run = PipelineRun.objects.select_for_update(no_key=True).only("status").get(pk=callback.pipeline_run_id)
        callback = BlockRun.objects.get(pk=callback.pk)
        reason = f"stopped by {by}"[:500]
        if callback.is_finished or not callback.move_to(
            BlockStatus.CANCELLED, completed_at=moment, reason=reason, next_attempt_at=None
        ):
            raise Refusal(f"{callback.block_uuid} is {callback.status} already.", code="conflict")
        events.note(run, "callback_stopped", moment, callback.block_uuid, block_run=callback, by=by)
        events.publish_run(run.pk)
        events.publish_stop(run.pk)
