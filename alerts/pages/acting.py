"""What people do to an incident, from its page: one verb, one POST."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from alerts import incidents
from alerts.models import Incident
from alerts.pages.incidents import find
from alerts.pages.snoozes import read_until
from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.viewer_zone import stamp

SAMPLE = 20
Sent = Mapping[str, Any]


@require_POST
def act(request: HttpRequest, incident_id: int, verb: str) -> HttpResponse:
    """Do one of `VERBS` to an incident."""
    incident = find(incident_id)
    if verb not in VERBS:
        raise Http404(f"{verb[:80]!r} is nothing that can be done to an incident.")
    try:
        done = VERBS[verb](incident, timezone.now(), request.user.get_username(), request.POST)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Incident {incident.pk} {done}.")
    return redirect("incidents:detail", incident.pk)


@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Say how many of its runs would begin again; begin them when that is confirmed."""
    incident = find(incident_id)
    if request.method != "POST":
        runs = incidents.failed_runs(incident)
        sample = list(PipelineRun.objects.for_list().filter(pk__in=runs.values("pk")[:SAMPLE]).order_by("pk"))
        context = {"incident": incident, "count": runs.count(), "sample": sample, "most": incidents.RETRIED_AT_ONCE}
        return render(request, "incidents/retry.html", context)
    try:
        begun = incidents.retry_all(incident, timezone.now(), request.user.get_username())
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        level = messages.SUCCESS if begun else messages.WARNING
        messages.add_message(request, level, f"{begun:,} run{'' if begun == 1 else 's'} began again.")
    return redirect("incidents:detail", incident.pk)


# --- the verbs: each says what was done -----------------------------------------------------------------------------


def acknowledge(incident: Incident, moment: datetime, by: str, sent: Sent) -> str:
    incidents.acknowledge(incident, moment, by)
    return "is acknowledged: no reminders come any more"


def assign(incident: Incident, moment: datetime, by: str, sent: Sent) -> str:
    user = person(sent.get("user", ""))
    incidents.assign(incident, moment, by, user)
    return f"is looked after by {user.username}" if user else "is looked after by nobody"


def snooze(incident: Incident, moment: datetime, by: str, sent: Sent) -> str:
    until = read_until(sent, moment)
    incidents.snooze(incident, moment, by, until)
    return f"is snoozed until {stamp(until, '%H:%M')}"


def wake(incident: Incident, moment: datetime, by: str, sent: Sent) -> str:
    incidents.wake(incident, moment, by)
    return "is awake again"


def note(incident: Incident, moment: datetime, by: str, sent: Sent) -> str:
    incidents.note(incident, moment, by, sent.get("text", ""))
    return "has your note"


def close(incident: Incident, moment: datetime, by: str, sent: Sent) -> str:
    incidents.close(incident, moment, by, sent.get("text", "").strip())
    return "is closed"


VERBS: Mapping[str, Callable[[Incident, datetime, str, Sent], str]] = {
    "acknowledge": acknowledge,
    "assign": assign,
    "snooze": snooze,
    "wake": wake,
    "note": note,
    "close": close,
}


def person(name: str) -> User | None:
    """Return the active user of that name; None for no name."""
    if not name:
        return None
    user = User.objects.filter(username=name, is_active=True).first() if "\x00" not in name else None
    if user is None:
        raise Refusal(
            f"There is no user {name[:80]!r} who can sign in.", field="user", hint="Choose one of the list, or nobody."
        )
    return user
