"""How incidents stand at a moment: the states that pages and the API tell, and the lists of each."""

from datetime import datetime

from django.db.models import Count, Q

from alerts.models import Incident, IncidentQuerySet

STATES = ("open", "acknowledged", "snoozed", "closed", "all")


def state_of(incident: Incident, moment: datetime) -> str:
    """Return the state at a moment: a snooze that is over is none."""
    if incident.state == "snoozed" and incident.snoozed_until and incident.snoozed_until <= moment:
        return "acknowledged" if incident.acknowledged_at else "open"
    return incident.state


def in_state(incidents: IncidentQuerySet, state: str, moment: datetime) -> IncidentQuerySet:
    """Return those in a state; "open" are those that nobody has acknowledged or put aside."""
    match state:
        case "open":
            return incidents.loud(moment)
        case "acknowledged":
            return incidents.open().filter(ACKNOWLEDGED).exclude(snoozed_until__gt=moment)
        case "snoozed":
            return incidents.open().filter(snoozed_until__gt=moment)
        case "closed":
            return incidents.filter(closed_at__isnull=False)
    return incidents


def counts(moment: datetime) -> dict[str, int]:
    """Return how many are in each state that is not closed, in one query; many that are told as one count as one."""
    asleep = Q(snoozed_until__gt=moment)
    awake = Q(snoozed_until=None) | Q(snoozed_until__lte=moment)
    found = (
        Incident.objects.open()
        .ungathered()
        .aggregate(
            open=Count("pk", filter=awake & ~ACKNOWLEDGED),
            acknowledged=Count("pk", filter=awake & ACKNOWLEDGED),
            snoozed=Count("pk", filter=asleep),
        )
    )
    return {state: int(count) for state, count in found.items()}


ACKNOWLEDGED = Q(acknowledged_at__isnull=False)
