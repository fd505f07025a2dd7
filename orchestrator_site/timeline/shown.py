"""The lanes of the timeline as the template writes them: places, words and links."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.http import urlencode

from orchestrator_site.templatetags.look import look_of
from orchestrator_site.timeline import words
from orchestrator_site.timeline.expected import Band
from orchestrator_site.timeline.lanes import Row
from orchestrator_site.timeline.recorded import Recorded
from runs.drawing import timeline
from runs.drawing.axis import Axis
from runs.drawing.timeline import Bar, Cell, Mark, Ran
from runs.states import RUN_UNFINISHED, RunStatus

TOP, TALL = 3, 14  # of a bar in its lane of 20
GAP = 1
SHARES = {"waiting": 0.3, "starting": 0.6, "running": 1.0}  # of the height: the parts differ in shape
HATCHED = {"missed": "bad", "expired": "waiting", "skipped": "off", "held": "queued"}


@dataclass
class Lane:
    """A pipeline's lane, and the same in numbers."""

    row: Row
    bars: list[dict[str, Any]] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    bands: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # runs by state
    without: dict[str, int] = field(default_factory=dict)  # moments without a run by what became of them
    next: datetime | None = None

    @property
    def going_on(self) -> int:
        return sum(self.counts.get(status, 0) for status in RUN_UNFINISHED)

    @property
    def elements(self) -> int:
        parts: int = sum(2 + len(bar["parts"]) + (2 if bar["is_bad"] else 0) for bar in self.bars)
        cells: int = sum(4 if cell["link"] else 2 for cell in self.cells)
        return 1 + parts + cells + 3 * len(self.marks) + 2 * len(self.bands)


@dataclass(frozen=True)
class Look:
    """What all lanes of one drawing share."""

    axis: Axis
    zone: ZoneInfo
    now: datetime
    cell: timedelta
    marks: int  # of one lane


def lane(row: Row, found: Recorded, coming: Sequence[Mark], bands: Iterable[Band], look: Look) -> Lane:
    """Draw one pipeline."""
    shown = Lane(row)
    runs = found.runs.get(row.pk, [])
    shown.bars = [of_bar(bar, look) for bar in timeline.bars(look.axis, runs, look.now)]
    cells = timeline.cells(look.axis, found.dense.get(row.pk, {}), look.cell, look.now)
    shown.cells = [of_cell(cell, row, look) for cell in cells]
    marks = timeline.marks(look.axis, [*found.moments.get(row.pk, []), *coming], look.marks)
    shown.marks = [of_mark(mark, look) for mark in marks]
    own = [band for band in bands if band.rows is not None and row.pk in band.rows]
    shown.bands = [of_band(band, look) for band in own]
    shown.counts = dict(sum((Counter(cell.counts) for cell in cells), Counter(run.status for run in runs)))
    for mark in marks:
        shown.without[mark.kind] = shown.without.get(mark.kind, 0) + mark.count
    shown.next = min((mark.begin for mark in marks if mark.kind == "expected"), default=None)
    return shown


def usual(runs: Iterable[Ran]) -> timedelta:
    """Return what a completed run takes by those that are shown; nothing where none is."""
    took = [
        (run.ended - run.started).total_seconds()
        for run in runs
        if run.status == RunStatus.COMPLETED and run.ended and run.started
    ]
    return timedelta(seconds=median(took)) if took else timedelta(0)


def of_bar(bar: Bar, look: Look) -> dict[str, Any]:
    tall = round((TALL - GAP * (bar.tracks - 1)) / bar.tracks, 2)
    top = TOP + bar.track * (tall + GAP)
    parts = [
        {
            "kind": part.kind,
            "x": part.x,
            "width": part.width,
            "y": round(top + tall * (1 - SHARES[part.kind]) / 2, 2),
            "height": round(tall * SHARES[part.kind], 2),
        }
        for part in bar.parts
    ]
    return {
        "id": bar.run.id,
        "title": words.of_run(bar.run, look.zone, look.now),
        "tone": look_of(bar.run.status).tone,
        "is_bad": bar.run.status == RunStatus.FAILED,
        "x": round(bar.parts[-1].x + bar.parts[-1].width / 2, 2),
        "parts": parts,
    }


def of_cell(cell: Cell, row: Row, look: Look) -> dict[str, Any]:
    query = {"pipeline": row.uuid, "status": "failed"}
    return {
        "link": f"{reverse('runs:list')}?{urlencode(query)}" if cell.failed else "",
        "title": words.of_cell(cell, look.zone),
        "x": cell.x,
        "width": cell.width,
        "depth": cell.depth,
        "bad": cell.bad_height,
        "bad_y": round(2 + 16 - cell.bad_height, 1),
    }


def of_mark(mark: Mark, look: Look) -> dict[str, Any]:
    return {
        "kind": mark.kind,
        "title": words.of_mark(mark, look.zone),
        "schedule": mark.link,
        "x": mark.x,
        "width": mark.width,
        "hatch": HATCHED.get(mark.kind, ""),
    }


def of_band(band: Band, look: Look) -> dict[str, Any]:
    x, width = look.axis.span(band.begin, band.end, timeline.LEAST)
    return {"title": words.of_band(band, look.zone), "x": x, "width": width}


def ticks(axis: Axis, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Return the marks of the axis; what is written near an end is kept inside."""
    found = axis.ticks(9, zone)
    first = next((number for number, tick in enumerate(found) if tick.is_major), 0)  # a new day is among those kept
    return [
        {
            "x": tick.x,
            "label": tick.label,
            "moment": tick.moment,
            "is_major": tick.is_major,
            "is_odd": (number - first) % 2 == 1,
            "anchor": "start" if tick.x < 3 else "end" if tick.x > 97 else "middle",
        }
        for number, tick in enumerate(found)
    ]
