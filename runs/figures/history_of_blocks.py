"""How a pipeline's blocks, and the pipeline as a whole, did in its last 100 finished runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import NamedTuple

from django.db.models import QuerySet

from runs.figures.trends import change_of
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus

RUNS = 100  # finished runs that are looked at
BARS = 30  # of them shown one by one


class Ended(NamedTuple):
    """How a block (or a run) ended in one run, and how long its last attempt took, in seconds."""

    run_id: int
    status: str
    seconds: float | None


@dataclass(frozen=True)
class History:
    """`p50` and `p95` are seconds of those that completed, None if none did; `recent` is the oldest first.

    `counted` are those that completed or failed: what was skipped or cancelled says nothing about the code.
    """

    block_uuid: str  # "" for the run as a whole
    counted: int
    failures: int
    p50: float | None
    p95: float | None
    last: float | None
    recent: Sequence[Ended]
    change: float | None = None  # by what share its newer half took longer than the older: runs.figures.trends

    @property
    def failure_rate(self) -> float | None:
        return round(self.failures / self.counted, 4) if self.counted else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest of the values that at least `share` of them do not exceed (nearest rank); None of none."""
    return sorted(values)[max(1, ceil(share * len(values))) - 1] if values else None


def history_of(block_uuid: str, ended: Sequence[Ended]) -> History:
    """Sum up what ended, given with the oldest first."""
    took = [each.seconds for each in ended if each.status == BlockStatus.COMPLETED and each.seconds is not None]
    failures = sum(each.status == BlockStatus.FAILED for each in ended)
    completed = sum(each.status == BlockStatus.COMPLETED for each in ended)
    return History(
        block_uuid=block_uuid,
        counted=failures + completed,
        failures=failures,
        p50=percentile(took, 0.5),
        p95=percentile(took, 0.95),
        last=took[-1] if took else None,
        recent=ended[-BARS:],
        change=change_of(took),
    )


def of_blocks(pipeline_id: int, block_uuid: str | None = None, among: Sequence[str] | None = None) -> list[History]:
    """Return the history of each block that took part in the last 100 finished runs, in their order. One query.

    With `block_uuid`, of that one alone (also of a member of a dynamic block, by its own name): a list of at most one.
    With `among`, of these blocks alone.
    """
    fields = ("block_uuid", "position", "pipeline_run_id", "status", "started_at", "completed_at")
    ended: dict[str, list[Ended]] = {}
    places: dict[str, int] = {}  # in the newest run that has it
    rows = rows_of(pipeline_id, block_uuid)
    rows = rows if among is None else rows.filter(block_uuid__in=among)
    for uuid, position, run_id, status, begin, end in rows.values_list(*fields):
        ended.setdefault(uuid, []).append(Ended(run_id, status, seconds(begin, end)))
        places[uuid] = position
    return [history_of(uuid, ended[uuid]) for uuid in sorted(ended, key=lambda uuid: (places[uuid], uuid))]


def rows_of(pipeline_id: int, block_uuid: str | None) -> QuerySet[BlockRun]:
    rows = BlockRun.objects.filter(pipeline_run__in=last_runs(pipeline_id).values("pk")).order_by("pipeline_run_id")
    return rows.filter(block_uuid=block_uuid) if block_uuid else rows.filter(role=Role.BLOCK)


def of_runs(pipeline_id: int) -> History:
    """Return the history of the pipeline's runs as a whole. One query."""
    fields = ("pk", "status", "started_at", "completed_at")
    rows: Iterable[tuple[int, str, datetime | None, datetime | None]]
    rows = last_runs(pipeline_id).values_list(*fields)
    return history_of("", [Ended(pk, status, seconds(begin, end)) for pk, status, begin, end in rows][::-1])


def last_runs(pipeline_id: int) -> QuerySet[PipelineRun]:
    return PipelineRun.objects.filter(pipeline=pipeline_id, completed_at__isnull=False).order_by("-completed_at")[:RUNS]


def seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - begin).total_seconds()) if begin and end else None
