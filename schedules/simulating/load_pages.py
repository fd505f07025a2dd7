"""The page of expected load: a week by hours, what piles up, when it is quiet."""

from datetime import datetime
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from pipelines.refusal import Refusal
from runs.viewer_zone import viewer_zone
from runs.zones import zone_names
from schedules.simulating import load_forecast
from schedules.simulating.load_forecast import Answer
from schedules.simulating.loads import Cell, Day

SHADES, SHOWN_MISSES = 6, 10
BAR, TALL = 4, 90  # width of an hour and height of the chart, in its own units
CHOICES = ("0.5", "0.9", "0.95")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """`?timezone=&workers=&quantile=&minutes=&from=&until=`; 422 beside a note for what makes no sense."""
    now, query = timezone.now(), request.GET.dict()
    query["timezone"] = query.get("timezone") or viewer_zone().key
    about = {
        "query": query,
        "workers": query.get("workers", ""),
        "zones": sorted(zone_names()),
        "quantiles": CHOICES,
        "now": now,
    }
    try:
        found = load_forecast.answer(load_forecast.read_question(query, now), now)
    except Refusal as refusal:
        return render(request, "load/page.html", {**about, "refusal": refusal}, status=422)
    return render(request, "load/page.html", {**about, **shown(found, now)})


def shown(found: Answer, now: datetime) -> dict[str, Any]:
    """Return what the page draws."""
    if found.told is None or found.grid is None or found.at is None:
        return {"is_waiting": True}
    told = found.told
    zone = ZoneInfo(told["timezone"])
    peak = max((hour["peak"] for hour in told["hours"]), default=0)
    worst = max(told["hours"], key=lambda hour: (hour["peak"], hour["average"]), default=None)
    return {
        "told": told,
        "workers": told["workers"],
        "first": local(told["from"], zone).date(),
        "last": local(told["until"], zone).date(),
        "is_current": found.is_current,
        "age": (now - found.at).total_seconds(),
        "days": [shaded(day, told["workers"]) for day in found.grid],
        "hours": range(24),
        "peak": peak,
        "peak_at": f"{local(worst['begin'], zone):%a %H:%M}" if worst and peak else "",
        "starts": sum(hour["starts"] for hour in told["hours"]),
        "chart": chart(told, zone),
        "missed": [
            {**miss, "at": f"{local(miss['scheduled_for'], zone):%a %d %b %H:%M}"}
            for miss in told["missed"]["first"][:SHOWN_MISSES]
        ],
        "assumed": told["durations"]["from"]["default"],
    }


def shaded(day: Day, workers: int) -> dict[str, Any]:
    return {
        "name": f"{day.date:%a %d %b}",
        "cells": [{"cell": cell, "shade": shade(cell, workers)} for cell in day.cells],
    }


def shade(cell: Cell, workers: int) -> int:
    """Return 0 for nothing, to 6 for an hour in which all workers are busy all the time."""
    return min(SHADES, ceil(SHADES * cell.average / workers)) if cell.peak else 0


def chart(told: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Return bars of the peak of each hour, and how high the workers are."""
    highest = 1.1 * max([told["workers"], *(hour["peak"] for hour in told["hours"])])
    bars = [
        {
            "x": BAR * number,
            "y": TALL - (height := round(TALL * hour["peak"] / highest)),
            "height": height,
            "is_full": hour["waiting_for_workers"] >= 0.05,
        }
        for number, hour in enumerate(told["hours"])
    ]
    days = [
        {"x": BAR * number, "label": f"{at:%a}"}
        for number, hour in enumerate(told["hours"])
        if (at := local(hour["begin"], zone)).hour == 0
    ]
    line = TALL - round(TALL * told["workers"] / highest)
    return {"bars": bars, "days": days, "line": line, "width": BAR * len(bars), "tall": TALL, "bar": BAR - 1}


def local(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).astimezone(zone)
