"""The dashboard: what is wrong, since when and why; what goes on; what comes next."""

from datetime import datetime
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from orchestrator_site import pulse
from orchestrator_site.dashboard import condition, deadlines, tiles, trouble
from pipelines.models import Pipeline
from runs import overview
from runs.models import PipelineRun
from runs.views import is_refresh, with_progress
from schedules.models import PipelineSchedule

NEXT, RECENT, GOING_ON, RISKS = 10, 8, 8, 8
FAILED = "?status=failed&ended=24h"  # the list of the runs that the tile counts
LOOKED_AHEAD, TIMED = 200, 200  # schedules due next; unfinished runs with a deadline


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    context = overall(timezone.now())
    return render(request, "dashboard/_live.html" if is_refresh(request) else "dashboard/page.html", context)


def overall(now: datetime) -> dict[str, Any]:
    """Return all that the page shows; the number of queries is the same for any number of rows."""
    numbers, incidents = tiles.take(now), trouble.incidents(now)
    failed = trouble.failed_runs(now)
    failing = trouble.by_pipeline(failed)
    coming = list(PipelineSchedule.objects.coming().defer(*WIDE)[:LOOKED_AHEAD])
    timed = runs_with_a_deadline()
    shown, told = failing[: trouble.SHOWN_FAILING], [each for each in coming if each.sla]
    of_runs, of_schedules = {each.pipeline_id for each in timed}, {each.pipeline_id for each in told}
    strips = strips_of({each.newest.pipeline_id for each in shown} | of_runs | of_schedules)
    trouble.tell_streaks(shown, strips)
    faults = trouble.faults([each.newest for each in shown])
    for each in shown:
        each.fault = faults[each.newest.pk]
    known = {pk: deadlines.usual(strip) for pk, strip in strips.items()}
    risks = [*deadlines.of_runs(timed, known, now), *deadlines.of_moments(told, known, now)]
    workers, broken = overview.processes(now), trouble.broken()
    health = condition.lines(workers, numbers.executors, now, numbers.ready_since)
    return {
        "now": now,
        "tiles": numbers,
        "incidents": incidents,
        "failed_count": min(len(failed), trouble.MOST_FAILED),
        "failed_more": len(failed) > trouble.MOST_FAILED,
        "failed_query": FAILED,
        "failing_count": len(failing),
        "failing": [each for each in shown if each.since],
        "recovered": [each for each in shown if not each.since],
        "failing_more": len(failing) - len(shown),
        "broken": broken[: trouble.MOST_BROKEN],
        "broken_more": len(broken) > trouble.MOST_BROKEN,
        "is_calm": not (
            incidents.shown or failing or broken or numbers.set_aside or numbers.late or numbers.lost or numbers.held
        ),
        "risks": deadlines.in_order(risks)[:RISKS],
        "more_risks": max(0, len(risks) - RISKS),
        "has_deadlines": bool(timed or told),
        **going_on(),
        "next": coming[:NEXT],
        "health": health,
        "is_well": all(line.is_well for line in health),
        "has_workers": health[1].state != "gone",
        "scheduler": health[0],
        "pulse": pulse.of(condition.last_loop(workers), incidents.loud, now),
    }


WIDE = ("variables", "settings", "description", "pipeline__problems", "pipeline__trigger_problems")


def runs_with_a_deadline() -> list[PipelineRun]:
    """Return unfinished runs that should be done by some time, the most urgent first."""
    timed = PipelineRun.objects.unfinished().exclude(sla_at=None, deadline_at=None).for_list()
    in_order = (F(name).asc(nulls_last=True) for name in ("sla_at", "deadline_at"))
    return list(timed.order_by(*in_order)[:TIMED])


def strips_of(pipelines: set[int]) -> dict[int, list[PipelineRun]]:
    return overview.last_runs(Pipeline.objects.filter(pk__in=pipelines), "pipeline") if pipelines else {}


def going_on() -> dict[str, Any]:
    """Return what runs and waits now, and what ended last, with how far each is."""
    unfinished = list(PipelineRun.objects.unfinished().for_list()[:GOING_ON])
    finished = list(PipelineRun.objects.finished().for_list()[:RECENT])
    rows = with_progress([*unfinished, *finished])
    return {"going_on": rows[: len(unfinished)], "recent": rows[len(unfinished) :]}
