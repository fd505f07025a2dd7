"""The view of runs beside blocks: since when, which block, only this one or all."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import choice_of, find, show
from pipelines.models import Pipeline
from runs.drawing import grid as drawing
from runs.drawing.grid import Cell, Run
from runs.models import BlockRun, PipelineRun, Role
from runs.shown_members import read_page
from runs.states import BLOCK_ENDED_BADLY, BlockStatus

COUNTS = ("25", "50", "100")
ROOM = 60  # rows that are sent unasked
PART = 300  # rows of all, at a time
MOST_CELLS = 6000
LEAST_RUNS = 10
FIELDS = (
    "pipeline_run_id",
    "block_uuid",
    "status",
    "started_at",
    "completed_at",
    "attempt",
    "members_total",
    "reason",
    "position",
)


@require_GET
def grid(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    count, problem = choice_of(request, "runs", COUNTS)
    asked = request.GET.get("blocks", "") == "all"
    context = page_of(pipeline, int(count), page=read_page(request.GET.get("part", "")) if asked else None)
    return show(request, pipeline, "grid", context | {"count": count, "problem": problem})


def page_of(pipeline: Pipeline, count: int, page: int | None = None) -> dict[str, Any]:
    """Return what is drawn: of many blocks those that tell most, or the `page` of all that was asked for."""
    version = pipeline.current_version
    blocks = [entry["uuid"] for entry in version.graph["blocks"] if entry["executable"]] if version else []
    pages = max(1, -(-len(blocks) // PART))
    page = None if page is None else min(page, pages)
    among = ROOM if page is None else PART
    fit = max(LEAST_RUNS, MOST_CELLS // max(min(len(blocks), among), 1))
    newest = PipelineRun.objects.for_strip().filter(pipeline=pipeline).order_by("-id")
    rows = list(newest.only("status", "version_id", "origin", "started_at", "completed_at")[: min(count, fit)])[::-1]
    runs = [Run(row.pk, row.status, seconds(row.started_at, row.completed_at), row.version_id) for row in rows]
    only: Collection[str] | None = None
    if len(blocks) > among:
        only = most_telling(runs, blocks) if page is None else blocks[(page - 1) * PART : page * PART]
    return {
        "grid": drawing.lay_out(runs, cells_of(runs, only), [uuid for uuid in blocks if only is None or uuid in only]),
        "runs": {row.pk: row for row in rows},
        "counts": COUNTS,
        "fewer": fit if fit < count and len(rows) == fit else None,
        "all_blocks": len(blocks),
        "is_choice": len(blocks) > ROOM,
        "part": page,
        "later": page + 1 if page and page < pages else None,
        "earlier": page - 1 if page and page > 1 else None,
    }


def most_telling(runs: Sequence[Run], blocks: Sequence[str]) -> set[str]:
    """Return those of many blocks, also of blocks that are gone, that went wrong most often or did not do as usual,
    then the first of the graph. One query."""
    bad: Counter[str] = Counter()
    unusual = BlockRun.objects.filter(pipeline_run__in=[run.pk for run in runs], role=Role.BLOCK)
    unusual = unusual.exclude(status=BlockStatus.COMPLETED).order_by()
    for uuid, status, times in unusual.values_list("block_uuid", "status").annotate(Count("id")):
        bad[uuid] += times * (1000 if status == BlockStatus.FAILED else 10 if status in BLOCK_ENDED_BADLY else 1)
    worst = [uuid for uuid, _ in bad.most_common(ROOM)]
    return {*worst, *[uuid for uuid in blocks if uuid not in bad][: ROOM - len(worst)]}


def cells_of(runs: Sequence[Run], only: Collection[str] | None = None) -> Iterator[Cell]:
    """Yield the cells of all blocks, or of some."""
    rows = BlockRun.objects.filter(pipeline_run__in=[run.pk for run in runs], role=Role.BLOCK)
    rows = rows if only is None else rows.filter(block_uuid__in=only)
    for run, block, status, begin, end, attempt, members, reason, position in rows.values_list(*FIELDS):
        yield Cell(run, block, status, seconds(begin, end), attempt, members, reason, position)


def seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - begin).total_seconds()) if begin and end else None
