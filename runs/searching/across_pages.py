"""The page of the search across the logs of all runs."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import log_lines
from runs.searching import across
from runs.searching.across import Hit, Outcome, Place, Where
from runs.searching.log_forms import SearchForm
from runs.storing.store import StoreError


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    uuids = list(Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:500])
    form = SearchForm(request.GET, pipelines=uuids)
    outcome, trouble = Outcome(), ""
    is_asked = form.is_valid() and not form.wanted.is_anything
    if is_asked:
        try:
            begin = Place.read(request.GET["cursor"]) if request.GET.get("cursor") else None
            outcome = across.search(form.wanted, where_of(form), begin)
        except (Refusal, StoreError) as error:
            trouble = str(error)
    context = {
        "form": form,
        "is_asked": is_asked,
        "outcome": outcome,
        "runs": [(run, [shown(hit, form) for hit in hits]) for run, hits in outcome.by_run()],
        "query": urlencode({name: form.asked(name) for name in ("q", "level", "source") if form.asked(name)}),
        "trouble": trouble,
        "cursor": request.GET.get("cursor"),
    }
    return render(request, "runs/logs.html", context)


def where_of(form: SearchForm) -> Where:
    names = {name: form.asked(name) for name in ("pipeline", "block", "state")}
    return Where(**names, since=form.asked("since") or None, till=form.asked("till") or None)


def shown(hit: Hit, form: SearchForm) -> dict[str, Any]:
    row, query = hit.block_run, form.asked("q")
    address = reverse("runs:log", args=[row.pipeline_run_id, row.pk, hit.attempt])
    return {"hit": hit, "address": address, "rows": log_lines.rows(hit.lines, address, query)}
