"""A streaming pipeline as a run has it: one block run, that of its source, in whose process all its blocks live."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pipelines.refusal import Refusal
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus

STREAMING = "streaming"


def as_one(entries: Sequence[Mapping[str, Any]], *, only_block: str | None = None) -> list[dict[str, Any]]:
    """Return the one entry that is run: the source's, with those of all blocks in order as "stream".

    Raises Refusal where one block is asked for: a stream only runs as a whole.
    """
    if only_block is not None:
        raise Refusal("A streaming pipeline runs only as a whole.", field="block", code="streaming_pipeline")
    source = next((entry for entry in entries if entry["type"] == "data_loader" and not entry["upstream"]), None)
    if source is None and entries:
        source = entries[0]  # it cannot run, and says why when it should
    return [{**source, "upstream": [], "downstream": [], "stream": list(entries)}] if source else []


def shown(block_run: BlockRun) -> dict[str, Any] | None:
    """Return a stream's figures as its page shows them, with times as times; None for what has told none."""
    figures = block_run.metrics
    if "batches" not in figures:
        return None
    times = {name: moment_of(figures.get(name)) for name in ("last_batch_at", "since")}
    return {**figures, **times, "is_on": block_run.status == BlockStatus.RUNNING}


def moment_of(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def states_of(run: PipelineRun, block_runs: Sequence[BlockRun]) -> dict[str, str]:
    """Return the state of each block for the drawing: those of a stream are where their one block run is."""
    states: dict[str, str] = {row.block_uuid: row.status for row in block_runs}
    if run.pipeline.type == STREAMING and len(states) == 1:
        state = next(iter(states.values()))
        states |= {entry["uuid"]: state for entry in run.version.graph["blocks"] if entry["executable"]}
    return states
