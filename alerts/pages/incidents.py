"""What is wrong, since when, and who looks after it: the list of incidents, and each of them."""

from datetime import datetime
from typing import Any

from django.db.models import F
from django.db.models.fields.json import KT
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from alerts import standing
from alerts.forms import MOST_CHOICES, IncidentFilter, deliveries_for_list, people
from alerts.incidents import breaches_of
from alerts.models import Incident, Step
from alerts.pages.snoozes import SNOOZES
from pipelines.models import Pipeline
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus
from runs.views import is_refresh

PAGE = 50
MOST_RUNS = MOST_BREACHES = MOST_DELIVERIES = 50
MOST_CHANGES = MOST_MEMBERS = 200
MOST_ERRORS = 400  # block runs looked through for the error line of each run


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    form = IncidentFilter(request.GET, pipelines=pipelines(), users=people())
    found = form.chosen(Incident.objects.for_list(), request.user, now)
    if before := form.cleaned_data.get("before"):
        found = found.filter(pk__lt=before)
    rows = list(found.defer("detail")[: PAGE + 1])
    context = {
        "tab": "list",
        "form": form,
        "state": form.shown_state,
        "counts": standing.counts(now),
        "rows": [{"incident": each, "state": standing.state_of(each, now)} for each in rows[:PAGE]],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "before": before,
        "now": now,
    }
    return render(request, "incidents/_rows_live.html" if is_refresh(request) else "incidents/list.html", context)


@require_GET
def detail(request: HttpRequest, incident_id: int) -> HttpResponse:
    incident, now = find(incident_id), timezone.now()
    breaches = list(breaches_of(incident).select_related("rule").order_by("-id")[: MOST_BREACHES + 1])
    members = members_of(incident, now)
    deliveries = deliveries_for_list().filter(change__incident=incident)
    context = {
        "tab": "list",
        "incident": incident,
        "state": standing.state_of(incident, now),
        "runs": runs_of(incident),
        "members": members[:MOST_MEMBERS],
        "more_members": len(members) > MOST_MEMBERS,
        "open_members": incident.members.open().count() if members else 0,
        "breaches": breaches[:MOST_BREACHES],
        "more_breaches": len(breaches) > MOST_BREACHES,
        "changes": list(incident.changes.exclude(step=Step.SEEN_AGAIN).order_by("-id")[:MOST_CHANGES]),
        "deliveries": list(deliveries[:MOST_DELIVERIES]),
        "people": people(),
        "snoozes": SNOOZES,
        "now": now,
    }
    return render(request, "incidents/_detail_live.html" if is_refresh(request) else "incidents/detail.html", context)


# --- what the views show --------------------------------------------------------------------------------------------


def find(incident_id: int) -> Incident:
    found = Incident.objects.for_list().filter(pk=incident_id).first() if incident_id < 2**63 else None
    if found is None:
        raise Http404(f"There is no incident {str(incident_id)[:80]}. It may have been removed by retention.")
    return found


def pipelines() -> list[str]:
    return list(Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:MOST_CHOICES])


def members_of(incident: Incident, moment: datetime) -> list[dict[str, Any]]:
    """Return those that it stands for, the open ones first, at most one more than are shown."""
    if not incident.members_count:
        return []
    found = incident.members.select_related("pipeline").defer("detail")
    in_order = found.order_by(F("closed_at").desc(nulls_first=True), "id")[: MOST_MEMBERS + 1]
    return [{"incident": each, "state": standing.state_of(each, moment)} for each in in_order]


def runs_of(incident: Incident) -> list[dict[str, Any]]:
    """Return the latest runs that show it, the newest first, each with the block that failed and its error."""
    ids = breaches_of(incident).filter(run_id__isnull=False).order_by("-id").values_list("run_id", flat=True)
    known = list(dict.fromkeys(run_id for run_id in ids[: 2 * MOST_RUNS] if run_id))[:MOST_RUNS]
    runs = list(PipelineRun.objects.for_list().filter(pk__in=known)) if known else []
    errors = first_errors([run.pk for run in runs])
    return [{"run": run, "error": errors.get(run.pk)} for run in runs]


def first_errors(run_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Return of each run the first block that failed: its uuid, its attempt, and the error."""
    failed = BlockRun.objects.filter(pipeline_run__in=run_ids, status=BlockStatus.FAILED).exclude(role=Role.MEMBER)
    error = {"kind": KT("error__type"), "message": KT("error__message")}
    rows = failed.order_by("-id").values("id", "pipeline_run_id", "block_uuid", "attempt", "reason").annotate(**error)
    return {row["pipeline_run_id"]: dict(row) for row in rows[:MOST_ERRORS]} if run_ids else {}
