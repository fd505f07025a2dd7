"""The view of a pipeline's year: how the runs of each day ended, and which days it is planned for."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, next_trigger, show
from pipelines.models import Pipeline
from runs.drawing import calendar as drawing
from runs.figures import counts_by_day
from runs.models import PipelineRun
from runs.viewer_zone import viewer_zone
from runs.views import with_progress
from runs.zones import known_zone
from schedules.models import PipelineSchedule, ScheduleType
from schedules.planned_days import planned_days

AHEAD = timedelta(days=92)
MOST_TRIGGERS = 5
MOST_RUNS = 100
MOST_YEARS = 15


@require_GET
def calendar(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "calendar", page_of(pipeline, request.GET, timezone.now()))


def page_of(pipeline: Pipeline, query: Mapping[str, str], moment: datetime) -> dict[str, Any]:
    zone, other, unknown = zones_of(pipeline, query.get("zone", ""))
    today = moment.astimezone(zone).date()
    day, problem = read_day(query.get("day", ""))
    first = counts_by_day.first_year(pipeline.pk, zone) or today.year
    years = list(range(min(max(first, today.year - MOST_YEARS), today.year), today.year + 2))
    year, wrong = read_year(query.get("year", ""), years, default=day.year if day else today.year)
    counts = counts_by_day.of_year(pipeline.pk, year, zone)
    return {
        "calendar": drawing.lay_out(year, counts, planned(pipeline, year, moment, zone), today),
        "months": drawing.months_of(year, counts),
        "years": years[::-1],
        "year": year,
        "is_now": year == today.year and today.month > 6,  # the half that a narrow page begins with
        "zone": zone.key,
        "other": other,
        "kept": urlencode({"zone": zone.key}),  # a link is to mean the same days to whoever follows it
        "problem": problem or wrong or unknown,
        "ahead": AHEAD.days,
        **(of_day(pipeline, day, zone) if day else {"day": None}),
    }


def zones_of(pipeline: Pipeline, asked: str) -> tuple[ZoneInfo, str, str]:
    """Return by whose clocks days are told: the viewer's unless another zone is asked for; the name of the zone that
    is offered instead (that of the trigger which is due next, or back to the viewer's), and a problem in words.
    """
    zone, trigger = known_zone(asked), next_trigger(pipeline)
    problem = f"{asked[:40]} is no zone; use a name such as Europe/Berlin." if asked and zone is None else ""
    shown = zone or viewer_zone()
    offered = [viewer_zone(), known_zone(trigger.timezone) if trigger else None]
    return shown, next((each.key for each in offered if each and each != shown), ""), problem


def read_day(text: str) -> tuple[date | None, str]:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        return None, f"{text[:40]} is not a day; write it as 2026-03-29."
    if day and not 1970 <= day.year < 2200:
        return None, f"{text[:40]} is too far away: from 1970 to 2199 can be shown."
    return day, ""


def read_year(text: str, years: list[int], default: int) -> tuple[int, str]:
    shown = default if default in years else years[-2]
    if not text or text in map(str, years):
        return int(text or shown), ""
    return shown, f"There is nothing for the year {text[:40]}: {years[0]} to {years[-1]} can be shown."


def planned(pipeline: Pipeline, year: int, moment: datetime, zone: ZoneInfo) -> set[date]:
    until = min(moment + AHEAD, datetime.combine(date(year, 12, 31), time.max, zone))
    if until <= moment:
        return set()
    active = PipelineSchedule.objects.active().filter(pipeline=pipeline, schedule_type=ScheduleType.TIME)
    return planned_days(active.order_by("next_due_at", "id")[:MOST_TRIGGERS], moment, until, zone)


def of_day(pipeline: Pipeline, day: date, zone: ZoneInfo) -> dict[str, Any]:
    keys = (
        counts_by_day.of_one_day(pipeline.pk, day, zone).order_by("execution_date", "id").values_list("pk", flat=True)
    )
    shown = list(keys[: MOST_RUNS + 1])
    runs = PipelineRun.objects.for_list().filter(pk__in=shown[:MOST_RUNS]).order_by("execution_date", "id")
    hours = drawing.hours_of(day, zone, counts_by_day.of_day(pipeline.pk, day, zone))
    return {
        "day": day,
        "hours": hours,
        "hours_width": len(hours) * drawing.HOUR_STEP,
        "runs": with_progress(list(runs)),
        "more_runs": len(shown) > MOST_RUNS,
        "day_before": day - timedelta(days=1),
        "day_after": day + timedelta(days=1),
    }
