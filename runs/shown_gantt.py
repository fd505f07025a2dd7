"""The drawing of a run in time: read from its block runs and their earlier attempts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from runs.drawing.gantt import Gantt, Try, Work, gantt
from runs.models import Attempt, BlockRun, PipelineRun
from runs.states import BlockStatus

MOST_TRIES = 1000  # earlier attempts that are drawn
BEGUN = (BlockStatus.RUNNING, BlockStatus.COMPLETED, BlockStatus.FAILED)


def gantt_of(run: PipelineRun, block_runs: Sequence[BlockRun], counts: Mapping[str, str], now: datetime) -> Gantt:
    """Draw these blocks of a run; `counts` says of each that is run many times how many are done. One query at most."""
    earlier = earlier_tries(run, block_runs)
    works = [work_of(row, earlier.get(row.pk, ()), counts.get(row.block_uuid, "")) for row in block_runs]
    start = run.started_at or run.created_at
    return gantt(works, start, run.completed_at or now)


def earlier_tries(run: PipelineRun, block_runs: Iterable[BlockRun]) -> dict[int, list[Try]]:
    """Return the attempts before the latest, by block run: those of this attempt at the run."""
    found: dict[int, list[Try]] = {}
    again = [row.pk for row in block_runs if row.attempt > 1]
    if not again:
        return found
    rows = Attempt.objects.filter(block_run__in=again, run_attempt=run.attempt).order_by("block_run", "number")
    for row in rows.only("block_run", "queued_at", "started_at", "ended_at", "ended_as", "metrics")[:MOST_TRIES]:
        times = {"queued_at": row.queued_at, "started_at": row.started_at, "ended_at": row.ended_at}
        each = Try(**times, starting=starting(row.metrics), ended_as=row.ended_as)
        found.setdefault(row.block_run_id, []).append(each)
    return found


def work_of(row: BlockRun, earlier: Sequence[Try], count: str) -> Work:
    return Work(
        uuid=row.block_uuid,
        name=row.name or row.block_uuid,
        status=row.status,
        upstream=row.upstream,
        tries=[*earlier, *latest(row, earlier)],
        ended_at=row.completed_at,
        note=count,
    )


def latest(row: BlockRun, earlier: Sequence[Try]) -> list[Try]:
    """Return the attempt that the row itself tells of; none while it has not been ready."""
    queued_at, began = row.queued_at, row.started_at
    if earlier and began == earlier[-1].started_at and row.status not in BEGUN:
        began = None  # it still says when the one before began
        queued_at = queued_at if row.status == BlockStatus.QUEUED else None
    if row.pokes and row.first_started_at:  # a sensor waits from its first look on
        queued_at, began = row.first_started_at, began if row.is_finished else None
    if row.status == BlockStatus.INITIAL or not (queued_at or began):
        return []
    return [
        Try(
            queued_at=queued_at,
            started_at=began,
            ended_at=row.completed_at,
            starting=starting(row.metrics),
            ended_as=row.status if row.is_finished else "",
        )
    ]


def starting(metrics: Mapping[str, object]) -> float:
    seconds = metrics.get("starting_seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0
