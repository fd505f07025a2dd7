"""What is still to come: the moments of timetables, what is late, and maintenance windows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator_site.timeline.lanes import Row
from pipelines.refusal import Refusal
from runs.drawing.timeline import Mark, moment
from schedules.days.calendars import Shelf
from schedules.days.maintenance import MaintenanceWindow
from schedules.days.windows import OpenWindow
from schedules.decisions import ON_TIME
from schedules.models import PipelineSchedule, ScheduleType
from schedules.simulating.recorded import spans_of
from schedules.timetable import Kind, Timetable

MOST_SCHEDULES = 500  # whose moments are worked out
DAY = timedelta(days=1)
MOST_BANDS = 200


def schedules_of(pks: Collection[int]) -> list[PipelineSchedule]:
    """Return the active time schedules of pipelines; one query."""
    active = PipelineSchedule.objects.active().filter(pipeline__in=pks, schedule_type=ScheduleType.TIME)
    return list(active.defer("variables", "description").order_by("next_due_at", "id")[:MOST_SCHEDULES])


def marks(
    schedule: PipelineSchedule, end: datetime, now: datetime, shelf: Shelf, took: timedelta, most: int
) -> list[Mark]:
    """Return what a schedule has still to start until `end`, a day ahead at most; `took` is what a run takes.

    More than `most` moments are one stretch.
    """
    due = schedule.next_due_at
    if due is None or schedule.problem:
        return []
    found = [moment("late", due, now, note=schedule.name, link=schedule.pk)] if due < now - ON_TIME else []
    try:
        timetable = schedule.timetable(shelf)
        begins = starts(schedule, timetable, due, max(now, due - timedelta(microseconds=1)), min(end, now + DAY), most)
    except Refusal:
        return found
    if len(begins) > most:
        whole = moment("expected", begins[0], min(end, now + DAY), note=f"{schedule.name}, {timetable.describe()}")
        return [*found, whole]
    return found + [moment("expected", at, at + took, note=schedule.name, link=schedule.pk) for at in begins]


def starts(
    schedule: PipelineSchedule, timetable: Timetable, due: datetime, after: datetime, until: datetime, most: int
) -> list[datetime]:
    """Return when runs are to start in `after` < t <= `until`, one more than `most`.

    The first start is known; jitter or landing time shift all by as much as that one.
    """
    if timetable.kind in (Kind.ONCE, Kind.ALWAYS_ON) or schedule.decided_until is None:
        return [due] if after < due <= until else []
    first = timetable.next_after(schedule.decided_until)
    if first is None:
        return []
    shift = due - first.utc
    following = timetable.between(after - shift, until - shift, most + 1)
    return [instant.utc + shift for instant in following]


# --- maintenance windows ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Band:
    """A stretch in which a window is open. `rows`: the pipelines it is for, None for all."""

    begin: datetime
    end: datetime
    name: str
    effect: str
    rows: frozenset[int] | None


def bands(begin: datetime, end: datetime, rows: Sequence[Row], schedules: Sequence[PipelineSchedule]) -> list[Band]:
    """Return when which windows are open, at most 200 of them; one query."""
    tags: dict[int, set[str]] = {row.pk: set(row.tags) for row in rows}
    for schedule in schedules:
        tags.setdefault(schedule.pipeline_id, set()).update(map(str, schedule.tags))
    found: list[Band] = []
    for window in MaintenanceWindow.objects.possible(begin):
        covered = covered_by(window, end, rows, tags)
        if covered == frozenset():
            continue
        for since, until in spans_of(window, begin, end):
            if len(found) == MOST_BANDS:
                return found
            found.append(Band(since, until, window.name, window.get_effect_display(), covered))
    return found


def covered_by(
    window: MaintenanceWindow, end: datetime, rows: Sequence[Row], tags: dict[int, set[str]]
) -> frozenset[int] | None:
    if window.scope == "all":
        return None
    own = OpenWindow(window.pk, window.name, window.reason, end, window.scope, window.value, window.effect)
    return frozenset(
        row.pk for row in rows if own.covers(pipeline=row.uuid, tags=tags.get(row.pk, ()), executor=row.executor)
    )
