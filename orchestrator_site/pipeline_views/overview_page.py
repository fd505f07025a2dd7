"""The first view of a pipeline: how it is doing. And starting a run of it."""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show, variables_of
from pipelines import catalog
from pipelines.models import Pipeline
from pipelines.pages import form_of
from runs import lifecycle
from runs.drawing import charts
from runs.figures import history_of_blocks, timings
from runs.forms import what_came_of
from runs.models import PipelineRun
from runs.variable_form import VariableForm
from runs.viewer_zone import viewer_zone
from runs.views import with_progress
from schedules.models import PipelineSchedule

RUNS = 15
TREND = 60  # runs
MOST_TRIGGERS = 8


@require_GET
def detail(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "detail", page_of(pipeline))


@form_of("pipelines:detail")
def start(request: HttpRequest, uuid: str) -> HttpResponse:
    """Start a run now; sending the same form twice starts it once."""
    pipeline = catalog.as_saved(settings.PROJECT_DIR, find(uuid))
    form = VariableForm.filled(request.POST, variables_of(pipeline))
    run = form.start(partial(lifecycle.create_run, pipeline), user=request.user, moment=timezone.now())
    if run is None:
        return show(request, pipeline, "detail", page_of(pipeline) | {"start": form}, status=422)
    messages.success(request, what_came_of(run))
    return redirect("runs:detail", run.pk)


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "runs": with_progress(list(PipelineRun.objects.for_list().filter(pipeline=pipeline)[:RUNS])),
        "usual_run": history_of_blocks.of_runs(pipeline.pk),
        "chart": charts.durations(timings.of_pipeline(pipeline.pk, TREND), height=150.0, zone=viewer_zone()),
        "schedules": list(PipelineSchedule.objects.for_list().filter(pipeline=pipeline)[: MOST_TRIGGERS + 1]),
    }
