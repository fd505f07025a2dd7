"""The log of messages: what was written for whom, and how it fared."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from alerts import trying
from alerts.forms import DeliveryFilter, deliveries_for_list
from alerts.models import Channel, Delivery
from pipelines.pages import RefusalsTold, row_or_404
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


@require_POST
def resend(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Write a message that was given up once more."""
    gone = "It may have been deleted with its channel."
    delivery = row_or_404(Delivery.objects.all(), delivery_id, "message", gone)
    with RefusalsTold(request):
        trying.send_again(delivery, request.user.get_username(), timezone.now())
        messages.success(request, "It is sent once more, as a new message.")
    return redirect("incidents:deliveries")
