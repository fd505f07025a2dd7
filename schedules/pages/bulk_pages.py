"""Pausing and resuming many triggers at once: chosen in the list, counted, then done."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from pipelines.pages import RefusalsTold
from pipelines.refusal import Refusal
from schedules import triggers
from schedules.models import PipelineSchedule
from schedules.pages import pauses

MOST = 1000
VERBS = ("pause", "resume")


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """First say how many it would be; do it when that is confirmed."""
    sent, verb, moment = request.POST, request.POST.get("verb", ""), timezone.now()
    with RefusalsTold(request):
        found = chosen(sent, verb, moment)
        if "confirmed" not in sent:
            return render(request, "schedules/bulk_confirm.html", confirmation(sent, verb, found))
        done, notes = act(found, verb, sent, moment)
        tell(request, verb, done, notes)
    return redirect("schedules:list")


def tell(request: HttpRequest, verb: str, done: int, notes: list[str]) -> None:
    messages.success(request, f"{done:,} trigger{'' if done == 1 else 's'} {verb}d.")
    for note in notes[:5]:
        messages.warning(request, note)


def chosen(sent: QueryDict, verb: str, moment: datetime) -> QuerySet[PipelineSchedule]:
    """Return the triggers that are ticked, or all that fit the filter, and that are not so already."""
    if sent.get("which") == "all":
        text = sent.get("q", "").strip()[:200].replace("\x00", "")
        found = PipelineSchedule.objects.for_list().matching(text, sent.get("state", ""), moment)
    else:
        ids = [int(text) for text in sent.getlist("ids") if text.isascii() and text.isdigit() and len(text) <= 18]
        found = PipelineSchedule.objects.for_list().filter(pk__in=ids[: MOST + 1])
    return to_change(found, verb)


def to_change(found: QuerySet[PipelineSchedule], verb: str) -> QuerySet[PipelineSchedule]:
    """Return those that are not so already; raise `Refusal` if that is none, or too many."""
    if verb not in VERBS:
        raise Refusal("Choose whether to pause or to resume them.", field="verb")
    found = found.filter(is_active=verb == "pause")
    count = found.count()
    if not count:
        raise Refusal("None of these triggers would change.", hint=f"Choose some that can be {verb}d.")
    if count > MOST:
        raise Refusal(f"{count:,} triggers are chosen; the limit is {MOST:,}.", hint="Narrow the list.")
    return found


def act(found: QuerySet[PipelineSchedule], verb: str, sent: QueryDict, moment: datetime) -> tuple[int, list[str]]:
    """Pause or resume each; return how many that were, and what there is to say about some of them."""
    done, notes = 0, []
    for schedule in found:
        try:
            if verb == "pause":
                until = pauses.read_until(sent.get("how", ""), sent.get("until", ""), schedule, moment)
                note = triggers.pause(schedule, moment, until)
            else:
                note = triggers.resume(schedule, moment)
            done += 1
        except Refusal as refusal:
            if refusal.field in ("how", "until"):
                raise
            note = str(refusal)
        if note:
            notes.append(f"{schedule.name}: {note}")
    return done, notes


def confirmation(sent: QueryDict, verb: str, found: QuerySet[PipelineSchedule]) -> dict[str, Any]:
    kept = [(name, value) for name in ("ids", "which", "q", "state", "verb") for value in sent.getlist(name)]
    place = {"action": reverse("schedules:bulk"), "back": reverse("schedules:list"), "place": "Schedules"}
    return {"kept": kept, "verb": verb, "count": found.count(), "first": found[:10], **place}
