"""The view of how long a pipeline takes: its runs over time, and each of its blocks."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show
from pipelines.models import Pipeline
from runs.figures import history_of_blocks


@require_GET
def durations(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "durations", page_of(pipeline))


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "history": history_of_blocks.of_blocks(pipeline.pk),
        "usual_run": history_of_blocks.of_runs(pipeline.pk),
    }
