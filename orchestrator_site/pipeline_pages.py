"""The pages of pipelines. They join what three apps know, so they live above all of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from pipelines import catalog
from pipelines.drawing import draw
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from pipelines.retention_rules import Rules, in_words
from runs import lifecycle, overview
from runs.figures import history_of_blocks
from runs.forms import StartForm, what_came_of
from runs.models import PipelineRun
from runs.views import is_refresh, with_progress
from schedules.models import PipelineSchedule

PAGE = 50
RUNS = 15


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    found = Pipeline.objects.for_list(text)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    strips = overview.last_runs(Pipeline.objects.filter(pk__in=[pipeline.pk for pipeline in shown]), "pipeline")
    due = PipelineSchedule.objects.next_of_pipelines(shown)
    context = {
        "rows": [
            {
                "pipeline": pipeline,
                "strip": strips[pipeline.pk],
                "last": strips[pipeline.pk][-1] if strips[pipeline.pk] else None,
                "schedules": due[pipeline.pk],
                "start": StartForm.fresh(),
            }
            for pipeline in shown
        ],
        "page": page,
        "q": text,
        "now": timezone.now(),
    }
    return render(request, "pipelines/_rows_live.html" if is_refresh(request) else "pipelines/list.html", context)


@require_GET
def detail(request: HttpRequest, uuid: str) -> HttpResponse:
    context = page_of(find(uuid))
    return render(request, "pipelines/_detail_live.html" if is_refresh(request) else "pipelines/detail.html", context)


@require_POST
def start(request: HttpRequest, uuid: str) -> HttpResponse:
    """Start a run now; sending the same form twice starts it once."""
    pipeline, form = find(uuid), StartForm.sent(request.POST)
    pipeline = catalog.as_saved(settings.PROJECT_DIR, pipeline)
    run = form.start(partial(lifecycle.create_run, pipeline), user=request.user, moment=timezone.now())
    if run is None:
        return render(request, "pipelines/detail.html", page_of(pipeline) | {"start": form}, status=422)
    messages.success(request, what_came_of(run))
    return redirect("runs:detail", run.pk)


def find(uuid: str) -> Pipeline:
    """Return the pipeline, also one that is gone from disk but has runs; a 404 that names near ones otherwise."""
    pipeline = (
        Pipeline.objects.select_related("current_version").defer("current_version__files").filter(uuid=uuid).first()
    )
    if pipeline is None:
        try:
            return catalog.find(uuid)
        except Refusal as refusal:
            raise Http404(str(refusal)) from None
    return pipeline


def retention_in_words(rules: Rules) -> dict[str, str]:
    return {kind: in_words(rule) for kind, rule in rules.items()}


def names_of_callbacks(callbacks: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Return for each outcome the names of what is called after it; the version keeps their whole settings."""
    return {outcome: ", ".join(entry["uuid"] for entry in entries) for outcome, entries in callbacks.items() if entries}


IN_SHORT: dict[str, Callable[[Any], Any]] = {"retention": retention_in_words, "callbacks": names_of_callbacks}


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    version, now = pipeline.current_version, timezone.now()
    blocks = version.graph["blocks"] if version else []
    return {
        "pipeline": pipeline,
        "version": version,
        "blocks": blocks,
        "drawing": draw(blocks),
        "variables": sorted((version.settings.get("variables") or {}).items()) if version else [],
        "settings": {
            name: IN_SHORT[name](value) if name in IN_SHORT else value
            for name, value in (version.settings if version else {}).items()
            if name != "variables" and value
        },
        "schedules": list(PipelineSchedule.objects.for_list().filter(pipeline=pipeline)[:100]),
        "runs": with_progress(list(PipelineRun.objects.for_list().filter(pipeline=pipeline)[:RUNS])),
        "strip": overview.last_runs(Pipeline.objects.filter(pk=pipeline.pk), "pipeline", 40)[pipeline.pk],
        "history": history_of_blocks.of_blocks(pipeline.pk),
        "usual_run": history_of_blocks.of_runs(pipeline.pk),
        "start": StartForm.fresh(),
        "now": now,
    }
