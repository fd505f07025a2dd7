"""What the page of a run says in figures: of the run and of the chosen block, beside what is usual for them."""

from typing import Any

from runs import logs
from runs.figures import history_of_blocks, metrics
from runs.models import BlockRun, PipelineRun


def figures(run: PipelineRun, chosen: BlockRun | None) -> dict[str, Any]:
    """Return metrics and history of both. Three queries, however many blocks and runs there are."""
    of_block = history_of_blocks.of_blocks(run.pipeline_id, chosen.block_uuid) if chosen else []
    return {
        "totals": metrics.of_run(run),
        "usual_run": history_of_blocks.of_runs(run.pipeline_id),
        "used": metrics.of_block(chosen) if chosen else None,
        "usual": of_block[0] if of_block else None,
    }


def log_is_gone(block_run: BlockRun, attempt: int) -> bool:
    """Tell whether an attempt that is over must have had a log and has none: it was removed."""
    has_ended = attempt < block_run.attempt or block_run.is_finished
    began = attempt < block_run.attempt or block_run.started_at is not None
    return has_ended and began and not logs.exists(block_run, attempt)
