"""Pausing and resuming all triggers of many pipelines: chosen in the list, counted, then done."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from orchestrator_site.pipeline_list import finding
from orchestrator_site.pipeline_list.asked import FILTERS, ListForm
from orchestrator_site.timeline import lanes
from pipelines.pages import RefusalsTold
from pipelines.refusal import Refusal
from schedules.models import PipelineSchedule
from schedules.pages import bulk_pages


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """First say how many triggers it would be; do it when that is confirmed."""
    sent, verb, moment = request.POST, request.POST.get("verb", ""), timezone.now()
    with RefusalsTold(request):
        found = bulk_pages.to_change(triggers_of(sent, moment), verb)
        if "confirmed" not in sent:
            return render(request, "schedules/bulk_confirm.html", confirmation(sent, verb, found))
        done, notes = bulk_pages.act(found, verb, sent, moment)
        bulk_pages.tell(request, verb, done, notes)
    return redirect(back(sent))


def triggers_of(sent: QueryDict, moment: datetime) -> QuerySet[PipelineSchedule]:
    """Return the triggers of the pipelines that are ticked, or of all that fit the filter."""
    if sent.get("which") == "all":
        form = ListForm(sent)
        if not form.is_valid():
            raise Refusal("The filter is not understood.", field="filter", hint="Set it again on the list.")
        pks = [row.pk for row in finding.found(lanes.all_rows(), form, moment)]
    else:
        pks = [int(text) for text in sent.getlist("ids") if text.isascii() and text.isdigit() and len(text) <= 18]
        if not pks:
            raise Refusal("No pipeline is ticked.", hint="Tick some, or choose all that fit.")
    return PipelineSchedule.objects.for_list().filter(pipeline__in=pks[: bulk_pages.MOST * 10])


def confirmation(sent: QueryDict, verb: str, found: QuerySet[PipelineSchedule]) -> dict[str, Any]:
    kept = [(name, value) for name in ("ids", "which", "verb", *FILTERS) for value in sent.getlist(name)]
    return {
        "kept": kept,
        "verb": verb,
        "count": found.count(),
        "pipelines": found.order_by().values("pipeline").distinct().count(),
        "first": found[:10],
        "action": reverse("bulk_pipelines"),
        "back": back(sent),
        "place": "Pipelines",
    }


def back(sent: QueryDict) -> str:
    """Return the address of the list with its filter."""
    query = {name: value for name in FILTERS if (value := sent.get(name))}
    return reverse("pipelines:list") + (f"?{urlencode(query)}" if query else "")
