"""The timeline: when the runs of all pipelines waited, started and ran, what is expected, and what was missed."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from orchestrator_site.timeline import expected, lanes, recorded, shown, words
from orchestrator_site.timeline.asked import TimelineForm, Window, window
from orchestrator_site.timeline.lanes import Row
from runs.drawing import timeline
from runs.drawing.axis import Axis
from runs.drawing.timeline import Mark
from runs.viewer_zone import viewer_zone
from runs.views import is_refresh
from schedules.days.calendars import Shelf
from schedules.reasons.drift import about

PAGE = 30
MOST_CHOICES = 200


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    form = TimelineForm(request.GET)
    form.is_valid()
    asked = window(form, now)
    rows = lanes.all_rows()
    by = form.value("group")
    found = lanes.narrowed(rows, text=form.value("q"), tag=form.value("tag"), owner=form.value("owner"))
    found = lanes.in_order(lanes.in_state(found, form.value("state"), asked.begin, asked.end), by)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    drawn = drawing(list(page.object_list), asked, now)
    offer(form, rows, drawn["zones"])
    context = {
        "form": form,
        "page": page,
        "has_pipelines": bool(rows),
        "groups": lanes.grouped([lane.row for lane in drawn["lanes"]], by),
        "lane_of": {lane.row.pk: lane for lane in drawn["lanes"]},
        "is_table": request.GET.get("view") == "table",
        "now": now,
        **drawn,
        **moves(asked, now),
    }
    return render(request, "timeline/_live.html" if is_refresh(request) else "timeline/page.html", context)


def offer(form: TimelineForm, rows: list[Row], zones: list[str]) -> None:
    """Let the tags, owners and zones be chosen that there are."""
    tags = sorted({tag for row in rows for tag in row.tags}, key=str.casefold)
    owners = sorted({row.owner for row in rows if row.owner}, key=str.casefold)
    form.offer("tag", "Tag", tags[:MOST_CHOICES], "Any tag")
    form.offer("owner", "Owner", owners[:MOST_CHOICES], "Any owner")
    own = viewer_zone().key
    form.offer("zone", "Zone of the axis", [zone for zone in zones if zone != own][:MOST_CHOICES], own)


def drawing(rows: list[Row], asked: Window, now: datetime) -> dict[str, Any]:
    """Return the lanes of these pipelines with all that is drawn around them."""
    axis = Axis(asked.begin, asked.end, timeline.WHOLE)
    cell = timeline.cell_length(axis, timeline.cells_of_a_lane(len(rows)))
    pks = [row.pk for row in rows]
    found = recorded.read(pks, asked.begin, asked.end, most=timeline.bars_of_a_lane(len(rows)), cell=cell)
    schedules = expected.schedules_of(pks)
    coming = coming_marks(schedules, found, asked, now)
    bands = expected.bands(asked.begin, asked.end, rows, schedules)
    look = shown.Look(axis, asked.zone, now, cell, timeline.marks_of_a_lane(len(rows)))
    drawn = [shown.lane(row, found, coming[row.pk], bands, look) for row in rows]
    return {
        "lanes": drawn,
        "ticks": shown.ticks(axis, asked.zone),
        "now_x": axis.x(now) if axis.start <= now <= axis.end else None,
        "bands": [shown.of_band(band, look) for band in bands if band.rows is None],
        "has_bands": bool(bands),
        "dense": sum(bool(lane.cells) for lane in drawn),
        "cell_words": about(cell),
        "is_cut": found.is_cut,
        "elements": sum(lane.elements for lane in drawn),
        "hatches": sorted(set(shown.HATCHED.values())),
        "zone": asked.zone,
        "zones": sorted({schedule.timezone for schedule in schedules} | {"UTC"}),
        "from": words.at(asked.begin, asked.zone)[:-3],
        "until": words.at(asked.end, asked.zone)[:-3],
    }


def coming_marks(
    schedules: list[Any], found: recorded.Recorded, asked: Window, now: datetime
) -> defaultdict[int, list[Mark]]:
    """Return by pipeline what is late, what waits and what is expected."""
    marks: defaultdict[int, list[Mark]] = defaultdict(list)
    if asked.end < now:
        return marks
    shelf, most = Shelf(), timeline.marks_of_a_schedule(len(schedules))
    took = {schedule.pipeline_id: timedelta(0) for schedule in schedules}
    took |= {pk: shown.usual(found.runs.get(pk, [])) for pk in took}
    for schedule in schedules:
        own = expected.marks(schedule, asked.end, now, shelf, took[schedule.pipeline_id], most)
        marks[schedule.pipeline_id] += own
    for pipeline_id, mark in recorded.waiting([schedule.pk for schedule in schedules], asked.end, now):
        marks[pipeline_id].append(mark)
    return marks


def moves(asked: Window, now: datetime) -> dict[str, Any]:
    """Return where the buttons lead: half a window back or forth."""
    later = asked.moved(0.5, now)
    return {
        "earlier": asked.moved(-0.5, now),
        "later": later if asked.end < now + timedelta(hours=23, minutes=59) else None,
        "is_live": asked.is_live,
    }
