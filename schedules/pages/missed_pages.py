"""The page of moments that were lost: found too late, or not started before their deadline."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from runs.views import is_refresh
from schedules.models import Decision, Occurrence, OccurrenceQuerySet

PAGE = 100
SPANS = [("", "Decided within 24 h"), ("168", "Within 7 days"), ("720", "Within 30 days"), ("all", "Any time")]
KINDS = [("", "Missed or expired"), (Decision.MISSED.value, "missed"), (Decision.EXPIRED.value, "expired")]
DAY_HOURS = "24"


class MissedFilter(forms.Form):
    """The query string: what it leaves out is the last day."""

    q = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "Trigger or pipeline",
                "aria-label": "Search missed moments",
                "class": "form-control",
            }
        ),
    )
    decision = forms.ChoiceField(
        required=False,
        choices=KINDS,
        widget=forms.Select(attrs={"aria-label": "What became of them", "class": "form-select"}),
    )
    hours = forms.ChoiceField(
        required=False,
        choices=[*SPANS, (DAY_HOURS, "")],
        widget=forms.Select(choices=SPANS, attrs={"aria-label": "Since when", "class": "form-select"}),
    )
    before = forms.CharField(required=False, max_length=80)  # the last row of the page before: time and number

    def clean_before(self) -> tuple[datetime, int] | None:
        text = str(self.cleaned_data["before"])
        time, _, number = text.rpartition(" ")
        try:
            found = datetime.fromisoformat(time.replace(" ", "+")), int(number[:18])
        except ValueError:
            found = None
        if text and (found is None or found[0].tzinfo is None):
            raise forms.ValidationError("This is no place in the list. Begin at its start again.")
        return found

    @property
    def is_used(self) -> bool:
        return any(self.cleaned_data.get(name) for name in ("q", "decision", "hours"))

    def chosen(self, moment: datetime) -> OccurrenceQuerySet:
        """Return what fits, the newest decision first; a part that is not understood is left out."""
        self.is_valid()
        asked = self.cleaned_data
        found = Occurrence.objects.lost()
        if (hours := asked.get("hours") or DAY_HOURS) != "all":
            found = found.filter(decided_at__gte=moment - timedelta(hours=int(hours)))
        if decision := asked.get("decision"):
            found = found.filter(decision=decision)
        if text := asked.get("q"):
            found = found.filter(Q(schedule__name__icontains=text) | Q(pipeline__uuid__icontains=text))
        if before := asked.get("before"):
            at, number = before
            found = found.filter(Q(decided_at__lt=at) | Q(decided_at=at, pk__lt=number))
        return found.select_related("schedule", "pipeline").order_by("-decided_at", "-id")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    form = MissedFilter(request.GET)
    context = listed(form, timezone.now())
    return render(request, "schedules/_missed_live.html" if is_refresh(request) else "schedules/missed.html", context)


def listed(form: MissedFilter, moment: datetime) -> dict[str, Any]:
    rows = list(
        form.chosen(moment).defer("pipeline__problems", "schedule__variables", "schedule__settings")[: PAGE + 1]
    )
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    return {
        "form": form,
        "rows": rows[:PAGE],
        "older": f"{last.decided_at.isoformat()} {last.pk}" if last else None,
        "before": form.cleaned_data.get("before"),
    }
