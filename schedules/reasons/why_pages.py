"""The page of one moment: what was decided about it and what stands in its way now."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from runs.views import is_refresh
from schedules.models import Occurrence
from schedules.reasons.why import why_occurrence


@require_GET
def occurrence(request: HttpRequest, schedule_id: int, occurrence_id: int) -> HttpResponse:
    is_possible = max(schedule_id, occurrence_id) < 2**63
    found = Occurrence.objects.with_all().filter(pk=occurrence_id, schedule=schedule_id) if is_possible else None
    row = found.first() if found is not None else None
    if row is None:
        raise Http404(f"There is no moment {str(occurrence_id)[:80]} of trigger {str(schedule_id)[:80]}.")
    now = timezone.now()
    context = {"occurrence": row, "schedule": row.schedule, "why": why_occurrence(row, now), "now": now}
    template = "schedules/_occurrence_live.html" if is_refresh(request) else "schedules/occurrence.html"
    return render(request, template, context)
