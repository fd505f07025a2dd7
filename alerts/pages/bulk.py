"""Acknowledging, snoozing or closing many incidents from their list: chosen, counted, then done to exactly those."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from alerts import incidents
from alerts.forms import IncidentFilter
from alerts.models import Incident
from alerts.pages.snoozes import SNOOZES, read_until
from pipelines.refusal import Refusal

VERBS = {"acknowledge": "acknowledged", "snooze": "snoozed", "close": "closed"}
MOST = 500
SAMPLE = 20
SHOWN_NOTES = 5


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """First say which incidents it would be; do it when that is confirmed."""
    sent, verb, moment = request.POST, request.POST.get("verb", ""), timezone.now()
    try:
        if verb not in VERBS:
            raise Refusal("Choose whether to acknowledge, to snooze or to close them.", field="verb")
        found = chosen(request, verb)
        if "confirmed" not in sent:
            return render(request, "incidents/bulk_confirm.html", confirmation(sent, verb, found))
        until = read_until(sent, moment) if verb == "snooze" else None
        refused = []
        for incident in found:
            try:
                do(incident, verb, moment, request.user.get_username(), until=until, text=sent.get("text", ""))
            except Refusal as refusal:
                refused.append(str(refusal))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        tell(request, verb, len(found) - len(refused), refused)
    return redirect(f"/incidents/?{query(sent)}" if query(sent) else "incidents:list")


def chosen(request: HttpRequest, verb: str) -> list[Incident]:
    """Return the incidents that are ticked, or all that fit the filter, and for which the verb has a meaning."""
    sent, found = request.POST, Incident.objects.open().for_list()
    if sent.get("which") == "all":
        form = IncidentFilter(sent)
        found = form.chosen(found, request.user, timezone.now())
        if form.errors:
            raise Refusal("The filter is not understood.", field="filter", hint="Set it again on the list.")
    else:
        ids = [int(text) for text in sent.getlist("ids") if text.isascii() and text.isdigit() and len(text) <= 18]
        if not ids:
            raise Refusal("No incident is ticked.", hint="Tick some, or choose all that match.")
        found = found.filter(pk__in=ids[: MOST + 1])
    if verb == "acknowledge":
        found = found.filter(acknowledged_at=None)
    rows = list(found.defer("detail")[: MOST + 1])
    if not rows:
        raise Refusal(f"None of these incidents can be {VERBS[verb]}.", hint="They are already, or are closed.")
    if len(rows) > MOST:
        raise Refusal(f"More than {MOST:,} incidents match.", hint="Narrow the filter.")
    return rows


def do(incident: Incident, verb: str, moment: Any, by: str, *, until: Any, text: str) -> None:
    if verb == "acknowledge":
        incidents.acknowledge(incident, moment, by)
    elif verb == "snooze":
        incidents.snooze(incident, moment, by, until)
    else:
        incidents.close(incident, moment, by, text.strip())


def confirmation(sent: QueryDict, verb: str, found: list[Incident]) -> dict[str, Any]:
    """Hand on exactly the incidents that are shown, whatever matches by the time it is confirmed."""
    kept = [(name, value) for name in (*IncidentFilter.used_names, "verb") for value in sent.getlist(name)]
    return {
        "kept": [*kept, *(("ids", incident.pk) for incident in found)],
        "verb": verb,
        "count": len(found),
        "sample": found[:SAMPLE],
        "more": max(len(found) - SAMPLE, 0),
        "snoozes": SNOOZES,
        "back": query(sent),
    }


def tell(request: HttpRequest, verb: str, done: int, refused: list[str]) -> None:
    if done:
        messages.success(request, f"{done:,} incident{'' if done == 1 else 's'} {VERBS[verb]}.")
    for reason in refused[:SHOWN_NOTES]:
        messages.warning(request, reason)
    if len(refused) > SHOWN_NOTES:
        messages.warning(request, f"{len(refused) - SHOWN_NOTES:,} more could not be {VERBS[verb]}.")


def query(sent: QueryDict) -> str:
    """Return the list's filter as its query string."""
    kept = QueryDict(mutable=True)
    kept.update({name: str(sent[name]) for name in IncidentFilter.used_names if sent.get(name)})
    return kept.urlencode()
