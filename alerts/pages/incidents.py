"""What is wrong, since when, and who looks after it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alerts.models import Incident


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "incidents/list.html", {"incidents": Incident.objects.for_list()[:100]})
