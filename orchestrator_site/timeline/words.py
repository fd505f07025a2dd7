"""What the drawing of the timeline says in words: a sentence for each bar, cell and mark."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from orchestrator_site.templatetags.look import duration, look_of
from orchestrator_site.timeline.expected import Band
from runs.drawing.timeline import Cell, Mark, Ran

NO_RUN = {
    "expected": "expected",
    "late": "late: due, and not decided yet; since",
    "waiting": "due, waits for its turn since",
    "held": "held until someone decides",
    "missed": "missed",
    "expired": "expired before it could start",
    "skipped": "skipped",
}


def at(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M:%S}"


def exactly(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment in both: "Thu 26 Nov 06:00:00 (05:00:00 UTC)"."""
    utc = moment.astimezone(UTC)
    return f"{at(moment, zone)} ({utc:%H:%M:%S} UTC)" if moment.astimezone(zone).utcoffset() else at(moment, zone)


def of_run(run: Ran, zone: ZoneInfo, now: datetime) -> str:
    """Return "run 17, failed: due Thu 26 Nov 06:00:00, waited 2.00 s, starting 0.50 s, ran 4 min 05 s"."""
    words = {"waiting": "waited", "starting": "starting", "running": "ran"}
    spans = [f"{words[kind]} {duration(end - begin)}" for kind, begin, end in run.spans(now)]
    late = ", passed its SLA" if run.is_late else ""
    return f"run {run.id}, {look_of(run.status).label}{late}: due {', '.join([exactly(run.due, zone), *spans])}"


def of_cell(cell: Cell, zone: ZoneInfo) -> str:
    states = ", ".join(f"{count:,} {look_of(status).label}" for status, count in sorted(cell.counts.items()))
    runs = "run" if cell.total == 1 else "runs"
    return f"{cell.total:,} {runs} ended {exactly(cell.begin, zone)} to {at(cell.end, zone)}: {states}"


def of_mark(mark: Mark, zone: ZoneInfo) -> str:
    what = NO_RUN.get(mark.kind, mark.kind)
    if mark.count > 1:
        span = f"{exactly(mark.begin, zone)} to {at(mark.end, zone)}"
        return f"{mark.count:,} moments {what}, {span}{f': {mark.note}' if mark.note else ''}"
    return f"{what} {exactly(mark.begin, zone)}{f': {mark.note}' if mark.note else ''}"


def of_band(band: Band, zone: ZoneInfo) -> str:
    return f"maintenance window {band.name} ({band.effect}): {exactly(band.begin, zone)} to {at(band.end, zone)}"
