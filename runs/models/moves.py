"""The only code that assigns a status.

Each move is a conditional UPDATE that names the old status (and, for a block run, the attempt). An illegal move raises
`IllegalMove`; a lost race returns False (a count for many rows).
"""

from typing import TYPE_CHECKING, Any

from django.db.models import F

from runs.states import BlockStatus, RunStatus, check_block_move, check_run_move

if TYPE_CHECKING:
    from runs.models.blocks import BlockRun, BlockRunQuerySet
    from runs.models.runs import PipelineRun


def bear(row: "PipelineRun | BlockRun", status: RunStatus | BlockStatus) -> None:
    """Give a row the status that it is to be stored with; only before it is stored."""
    row.status = status


def move_run(run: "PipelineRun", status: RunStatus, fields: dict[str, Any]) -> bool:
    """Move a run from the status it was read with to `status`; False if someone else moved it first."""
    check_run_move(run.status, status)
    moved = type(run).objects.filter(pk=run.pk, status=run.status).update(status=status, **fields)
    if moved:
        run.__dict__.update(status=status, **fields)
    return bool(moved)


def move_block_run(block_run: "BlockRun", status: BlockStatus, next_attempt: bool, fields: dict[str, Any]) -> bool:
    """Move from the status and attempt it was read with; False if either is no longer so (fenced, or a lost race).

    `next_attempt` raises the attempt in the same statement, which fences whoever still holds the old one.
    """
    check_block_move(block_run.status, status)
    changes = dict(fields)
    if next_attempt:
        changes["attempt"] = F("attempt") + 1
    held = type(block_run).objects.filter(pk=block_run.pk, status=block_run.status, attempt=block_run.attempt)
    if block_run.status == BlockStatus.RUNNING:  # a sensor is run again and again under one attempt
        held = held.filter(worker=block_run.worker_id)  # (None stands for NULL)
    moved = held.update(status=status, **changes)
    if moved:
        block_run.__dict__.update(status=status, **fields)
        block_run.attempt += next_attempt
    return bool(moved)


def move_block_runs(rows: "BlockRunQuerySet", old: BlockStatus, new: BlockStatus, fields: dict[str, Any]) -> int:
    """Move every row that is still in `old`; return how many were moved."""
    check_block_move(old, new)
    return rows.filter(status=old).update(status=new, **fields)
