"""The log of a whole run, read page by page: block after block, in topological order."""

from dataclasses import dataclass
from typing import Any

from pipelines.refusal import Refusal
from runs import logs
from runs.models import BlockRun, PipelineRun


@dataclass(frozen=True, kw_only=True)
class RunLogPage:
    lines: list[dict[str, Any]]  # as runs.logs gives them, with "block" (uuid) and "block_run" (id)
    cursor: str | None  # where to go on; None when the run is finished and all was read


def read_run_log(run: PipelineRun, *, cursor: str, limit: int) -> RunLogPage:
    """Return about `limit` bytes of log from `cursor` on ("" is the start). Raises `Refusal` for a wrong cursor.

    Stops at the first block that may still write: its successors follow when it is finished.
    """
    in_order = run.block_runs.order_by("position", "id")
    block_runs = list(in_order.only("pipeline_run_id", "block_uuid", "status", "attempt"))
    index, offset = read_cursor(cursor, block_runs)
    lines: list[dict[str, Any]] = []
    while index < len(block_runs):
        block_run = block_runs[index]
        page = logs.read(block_run, offset=offset, limit=limit)
        lines += [{**line, "block": block_run.block_uuid, "block_run": block_run.pk} for line in page.lines]
        limit -= page.next_offset - offset
        if not (page.at_end and block_run.is_finished) or limit <= 0:
            return RunLogPage(lines=lines, cursor=f"{block_run.pk}:{page.next_offset}")
        index, offset = index + 1, 0
    return RunLogPage(lines=lines, cursor=None)


def read_cursor(text: str, block_runs: list[BlockRun]) -> tuple[int, int]:
    """Return the index of the block run to go on with, and the offset in its log; raise Refusal for nonsense."""
    if not text:
        return 0, 0
    block_run_id, _, offset = text.partition(":")
    places = {str(block_run.pk): index for index, block_run in enumerate(block_runs)}
    if block_run_id not in places or not (offset.isascii() and offset.isdigit() and len(offset) < 19):
        raise Refusal(
            "The cursor is not one of this run.",
            field="cursor",
            hint="Use `next` as it was given.",
            code="invalid_cursor",
        )
    return places[block_run_id], int(offset)
