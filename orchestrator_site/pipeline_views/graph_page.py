"""The view of a pipeline's graph: its blocks, and how each did in the last run."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show
from pipelines.drawing import draw
from pipelines.models import Pipeline
from runs.models import BlockRun, PipelineRun, Role


@require_GET
def graph(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "graph", page_of(pipeline))


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    version = pipeline.current_version
    blocks = version.graph["blocks"] if version else []
    run = PipelineRun.objects.for_strip().filter(pipeline=pipeline).order_by("-id").first()
    states = states_of(run) if run else {}
    return {
        "blocks": [{"of": block, "status": states.get(block["uuid"])} for block in blocks],
        "drawing": draw(blocks),
        "run": run,
        "states": states,
    }


def states_of(run: PipelineRun) -> dict[str, str]:
    rows = BlockRun.objects.filter(pipeline_run=run, role=Role.BLOCK)
    return dict(rows.values_list("block_uuid", "status"))
