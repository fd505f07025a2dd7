"""Cancelling, retrying or keeping many runs from their list: chosen, counted, then done."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from pipelines.pages import RefusalsTold
from pipelines.refusal import Refusal
from runs.bulk import verbs as bulk
from runs.listing.filters import FILTERS, RunFilter, known_pipelines
from runs.models import PipelineRun, PipelineRunQuerySet

ASKED = (*FILTERS, "which", "ids", "verb", "what", "version")
SHOWN_NOTES = 5


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """First say which runs it would be; do it when that is confirmed, to exactly those."""
    sent, now = request.POST, timezone.now()
    with RefusalsTold(request):
        order = order_of(sent)
        runs, asked = chosen(sent, now)
        if "token" not in sent:
            told = bulk.preview(runs, order, asked)
            return render(request, "runs/bulk_confirm.html", confirmation(sent, order, told))
        by = request.user.get_username()
        results = bulk.perform(runs, order, asked, sent["token"], moment=now, by=by)
        tell(request, order, results)
    return redirect(f"/runs/?{query(sent)}" if query(sent) else "runs:list")


def order_of(sent: QueryDict) -> bulk.Order:
    """Read what shall be done; `bulk` refuses a verb that it does not know."""
    if sent.get("verb") != "retry":
        return bulk.Order(verb=sent.get("verb", ""))
    version = sent.get("version")
    return bulk.Order(
        verb="retry", whole=sent.get("what") == "whole", version="current" if version == "current" else "pinned"
    )


def chosen(sent: QueryDict, moment: datetime) -> tuple[PipelineRunQuerySet, dict[str, Any]]:
    """Return the runs that are ticked, or all that fit the filter, and what chose them."""
    if sent.get("which") != "all":
        ids = [int(text) for text in sent.getlist("ids") if text.isascii() and text.isdigit() and len(text) <= 18]
        if not ids:
            raise Refusal("No run is ticked.", hint="Tick some, or choose all that match.")
        return PipelineRun.objects.all().filter(pk__in=ids[: bulk.MOST + 1]), {"ids": sorted(ids)}
    form = RunFilter(sent, pipelines=known_pipelines(), moment=moment)
    if not form.is_valid():
        raise Refusal("The filter is not understood.", field="filter", hint="Set it again on the list.")
    return form.chosen(PipelineRun.objects.all()), {name: sent.get(name, "") for name in FILTERS}


def confirmation(sent: QueryDict, order: bulk.Order, told: bulk.Preview) -> dict[str, Any]:
    return {
        "kept": [(name, value) for name in ASKED for value in sent.getlist(name)],
        "order": order,
        "told": told,
        "more": told.count - len(told.sample),
        "back": query(sent),
    }


def tell(request: HttpRequest, order: bulk.Order, results: list[bulk.Result]) -> None:
    done = sum(result.done for result in results)
    if done:
        messages.success(request, f"{done:,} run{'' if done == 1 else 's'} {bulk.PAST[order.verb]}.")
    refused = [result for result in results if not result.done]
    for result in refused[:SHOWN_NOTES]:
        messages.warning(request, f"Run {result.id}: {result.reason}")
    if len(refused) > SHOWN_NOTES:
        messages.warning(request, f"{len(refused) - SHOWN_NOTES:,} more could not be {bulk.PAST[order.verb]}.")


def query(sent: QueryDict) -> str:
    """Return the list's filter as its query string."""
    kept = QueryDict(mutable=True)
    kept.update({name: str(sent[name]) for name in FILTERS if sent.get(name)})
    return kept.urlencode()
