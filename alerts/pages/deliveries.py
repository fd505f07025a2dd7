"""The log of messages: what was written for whom, and how it fared."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alerts.forms import DeliveryFilter, deliveries_for_list
from alerts.models import Channel
from runs.views import is_refresh

PAGE = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    form = DeliveryFilter(request.GET, channels=Channel.objects.only("name").order_by("name")[:500])
    found = form.chosen(deliveries_for_list())
    if before := form.cleaned_data.get("before"):
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE + 1])
    context = {
        "tab": "deliveries",
        "form": form,
        "deliveries": rows[:PAGE],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "before": before,
    }
    template = "incidents/_deliveries_live.html" if is_refresh(request) else "incidents/deliveries.html"
    return render(request, template, context)
