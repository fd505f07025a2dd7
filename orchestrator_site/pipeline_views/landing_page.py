"""The view of when a trigger's runs are finished, beside when they should be."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import choice_of, find, show
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.drawing import charts
from runs.drawing.charts import Landing
from runs.figures import timings
from runs.figures.history_of_blocks import percentile
from runs.zones import zone_names
from schedules.models import PipelineSchedule, ScheduleType
from schedules.timetable import read_zone

RUNS, ROWS = 150, 30
MEASURES = ("clock", "delay")
MOST_TRIGGERS = 50


@require_GET
def landing(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    by, problem = choice_of(request, "by", MEASURES)
    triggers = triggers_of(pipeline)
    keys = [str(each.pk) for each in triggers]
    chosen, wrong = choice_of(request, "trigger", keys) if keys else ("", "")
    trigger = next((each for each in triggers if str(each.pk) == chosen), None)
    context = {"by": by, "problem": problem or wrong, "triggers": triggers, "trigger": trigger}
    return show(request, pipeline, "landing", context | (landings_of(trigger, by) if trigger else {}))


def triggers_of(pipeline: Pipeline) -> list[PipelineSchedule]:
    """Return the triggers that have moments: those that are active, and of them those with an SLA, first."""
    timed = PipelineSchedule.objects.filter(pipeline=pipeline, schedule_type=ScheduleType.TIME)
    return sorted(timed.order_by("name", "id")[:MOST_TRIGGERS], key=lambda each: (not each.is_active, each.sla is None))


def landings_of(trigger: PipelineSchedule, by: str) -> dict[str, Any]:
    zone = read_zone(trigger.timezone) if trigger.timezone in zone_names() else ZoneInfo("UTC")
    runs = timings.of_trigger(trigger.pk, RUNS, lands=is_of_landing(trigger))
    return {
        "chart": charts.landings(runs, by, zone),
        "rows": [row_of(run, by, zone) for run in reversed(runs[-ROWS:])],
        "zone": zone.key,
        "lands": is_of_landing(trigger),
        **summed_up(runs, by, zone),
    }


def is_of_landing(trigger: PipelineSchedule) -> bool:
    try:
        return trigger.checked_settings().landing_time_enabled
    except Refusal:  # settings that make no sense: its page says so
        return False


def row_of(run: Landing, by: str, zone: ZoneInfo) -> dict[str, Any]:
    spare = (run.target - run.ended).total_seconds() if run.target else None
    return {"of": run, "value": charts.MEASURES[by](run.ended, run.due, zone), "spare": spare}


def summed_up(runs: Sequence[Landing], by: str, zone: ZoneInfo) -> dict[str, Any]:
    """Return how many were in time of those of which it was asked, and when they usually land."""
    kinds = [run.kind for run in runs if run.target]
    values = [charts.MEASURES[by](run.ended, run.due, zone) for run in runs if run.status == "completed"]
    return {
        "asked": len(kinds),
        "in_time": kinds.count("on_time"),
        "usual": percentile(values, 0.5),
        "p95": percentile(values, 0.95),
        "latest": max(values, default=None),
    }
