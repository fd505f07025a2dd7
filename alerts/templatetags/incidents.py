"""What is wrong, told on the pages of runs and pipelines; one query each."""

from typing import Any

from django import template
from django.utils import timezone

from alerts import standing
from alerts.models import Breach, Incident, IncidentQuerySet
from pipelines.models import Pipeline

register = template.Library()
MOST = 5


@register.inclusion_tag("incidents/_of.html")
def incidents_of(run_id: int) -> dict[str, Any]:
    """Tell which incidents a run belongs to; nothing when it belongs to none."""
    of_run = Breach.objects.filter(run_id=run_id, incident__isnull=False).order_by().values("incident_id")
    return shown(Incident.objects.filter(pk__in=of_run))


@register.inclusion_tag("incidents/_of.html")
def incidents_of_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """Tell which incidents of a pipeline are not closed; nothing when none is."""
    return shown(Incident.objects.open().filter(pipeline=pipeline))


def shown(found: IncidentQuerySet) -> dict[str, Any]:
    now = timezone.now()
    rows = list(found.select_related("assignee").defer("detail").order_by("-id")[: MOST + 1])
    told = [{"incident": each, "state": standing.state_of(each, now)} for each in rows[:MOST]]
    return {"rows": told, "more": len(rows) > MOST, "now": now}
