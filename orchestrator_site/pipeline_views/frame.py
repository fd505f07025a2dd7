"""What every view of a pipeline has around it: the pipeline itself, how it is, and the way to the other views."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from pipelines import catalog
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import overview
from runs.variable_form import VariableForm
from runs.views import is_refresh
from schedules.models import PipelineSchedule

STRIP = 30


class View(NamedTuple):
    """A view by the name of its address, which is also that of its template."""

    name: str
    label: str


VIEWS = (
    View("detail", "Overview"),
    View("grid", "Grid"),
    View("graph", "Graph"),
    View("calendar", "Calendar"),
    View("durations", "Durations"),
    View("landing", "Landing times"),
    View("triggers", "Triggers"),
    View("versions", "Versions"),
    View("code", "Code"),
    View("settings", "Settings"),
)


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


def show(
    request: HttpRequest, pipeline: Pipeline, view: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Answer with a view in its frame; a refresh gets what is inside the page's frame alone."""
    whole = around(pipeline, view) | context
    return render(
        request, "pipelines/_view_live.html" if is_refresh(request) else "pipelines/view.html", whole, status=status
    )


def around(pipeline: Pipeline, view: str) -> dict[str, Any]:
    """Return what the frame shows. Three queries."""
    strip = overview.last_runs(Pipeline.objects.filter(pk=pipeline.pk), "pipeline", STRIP)[pipeline.pk]
    return {
        "pipeline": pipeline,
        "version": pipeline.current_version,
        "view": view,
        "views": [(each, reverse(f"pipelines:{each.name}", args=[pipeline.uuid])) for each in VIEWS],
        "body": f"pipelines/views/{view}.html",
        "strip": strip,
        "last": strip[-1] if strip else None,
        "next": next_trigger(pipeline),
        "start": VariableForm.of(variables_of(pipeline)),
        "now": timezone.now(),
    }


def choice_of(request: HttpRequest, name: str, choices: Sequence[str]) -> tuple[str, str]:
    """Return what the query string chooses, the first of the choices if nothing, and a problem in words, or ""."""
    asked = request.GET.get(name, "")
    if asked in ("", *choices):
        return asked or choices[0], ""
    return choices[0], f"{name}={asked[:40]} is not known; one of {', '.join(choices)} is. Shown is {choices[0]}."


def variables_of(pipeline: Pipeline) -> dict[str, Any]:
    version = pipeline.current_version
    return (version.settings.get("variables") or {}) if version else {}


def next_trigger(pipeline: Pipeline) -> PipelineSchedule | None:
    """Return the trigger that is due next; one that is paused if there is no other."""
    in_order = F("next_due_at").asc(nulls_last=True)
    return PipelineSchedule.objects.filter(pipeline=pipeline).order_by("-is_active", in_order, "id").first()
