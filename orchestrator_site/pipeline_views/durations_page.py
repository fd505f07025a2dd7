"""The view of how long a pipeline takes: its runs over time, and each of its blocks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import choice_of, find, show
from pipelines.models import Pipeline
from runs.drawing import charts
from runs.figures import history_of_blocks, timings
from runs.shown_members import read_page
from runs.viewer_zone import viewer_zone

COUNTS = ("100", "300", "1000")
BLOCKS = 50  # on a page


@require_GET
def durations(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    count, problem = choice_of(request, "runs", COUNTS)
    page = read_page(request.GET.get("page", ""))
    return show(request, pipeline, "durations", {"problem": problem, **page_of(pipeline, count, page)})


def page_of(pipeline: Pipeline, count: str, page: int) -> dict[str, Any]:
    version = pipeline.current_version
    blocks = [entry["uuid"] for entry in version.graph["blocks"] if entry["executable"]] if version else []
    page = min(page, max(1, -(-len(blocks) // BLOCKS)))
    runs = timings.of_pipeline(pipeline.pk, int(count))
    among = blocks[(page - 1) * BLOCKS : page * BLOCKS]
    return {
        "chart": charts.durations(runs, zone=viewer_zone()),
        "zone": viewer_zone(),
        "timed": runs,
        "count": count,
        "counts": COUNTS,
        "history": history_of_blocks.of_blocks(pipeline.pk, among=among),
        "usual_run": history_of_blocks.of_runs(pipeline.pk),
        "page": page,
        "first": (page - 1) * BLOCKS + 1,
        "more_blocks": len(blocks) > page * BLOCKS,
    }
