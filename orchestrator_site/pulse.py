"""What the header of every page tells: how long ago a scheduler last looked, and how much is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone

from alerts.models import Incident
from runs.models import Worker, WorkerKind

LATE_AFTER = timedelta(seconds=30)  # a loop older than this is late


@dataclass(frozen=True)
class Pulse:
    """`state` is "good", "late" (the loop is) or "never"; `incidents` are open and put aside by nobody."""

    last_loop: datetime | None
    state: str
    incidents: int


def take(moment: datetime) -> Pulse:
    """Return the pulse at a moment; two small queries."""
    return of(None, Incident.objects.loud(moment).ungathered().count(), moment)


def of(last_loop: datetime | None, incidents: int, moment: datetime) -> Pulse:
    """Return the pulse from what is known already; a query where no loop is."""
    if last_loop is None:
        schedulers = Worker.objects.filter(kind=WorkerKind.SCHEDULER)
        last_loop = schedulers.aggregate(last=Max("last_loop_at"))["last"]
    state = "never" if last_loop is None else "late" if moment - last_loop > LATE_AFTER else "good"
    return Pulse(last_loop, state, incidents)


def beside(request: HttpRequest) -> str:
    """Return the header's part for a page that only asks for what has changed of it."""
    return render_to_string("_pulse.html", {"pulse": take(timezone.now()), "beside": True}, request=request)
