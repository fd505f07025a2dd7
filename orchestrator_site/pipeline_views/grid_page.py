"""The view of runs beside blocks: since when, which block, only this one or all."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import choice_of, find, show
from pipelines.models import Pipeline
from runs.drawing import grid as drawing
from runs.drawing.grid import Cell, Run
from runs.models import BlockRun, PipelineRun, Role

COUNTS = ("25", "50", "100")
MOST_CELLS = 10_000
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
    return show(request, pipeline, "grid", page_of(pipeline, int(count)) | {"count": count, "problem": problem})


def page_of(pipeline: Pipeline, count: int) -> dict[str, Any]:
    version = pipeline.current_version
    blocks = [entry["uuid"] for entry in version.graph["blocks"] if entry["executable"]] if version else []
    fit = max(LEAST_RUNS, MOST_CELLS // max(len(blocks), 1))
    newest = PipelineRun.objects.for_strip().filter(pipeline=pipeline).order_by("-id")
    rows = list(newest.only("status", "version_id", "origin", "started_at", "completed_at")[: min(count, fit)])[::-1]
    runs = [Run(row.pk, row.status, seconds(row.started_at, row.completed_at), row.version_id) for row in rows]
    return {
        "grid": drawing.lay_out(runs, cells_of(rows), blocks),
        "runs": {row.pk: row for row in rows},
        "counts": COUNTS,
        "fewer": fit if fit < count and len(rows) == fit else None,
    }


def cells_of(runs: Sequence[PipelineRun]) -> Iterator[Cell]:
    rows = BlockRun.objects.filter(pipeline_run__in=[run.pk for run in runs], role=Role.BLOCK)
    for run, block, status, begin, end, attempt, members, reason, position in rows.values_list(*FIELDS):
        yield Cell(run, block, status, seconds(begin, end), attempt, members, reason, position)


def seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - begin).total_seconds()) if begin and end else None
