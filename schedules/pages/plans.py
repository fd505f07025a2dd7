"""What saving a trigger would change, told before it is saved: moments added and removed, clock changes, overlaps."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.days.calendars import Shelf
from schedules.models import PipelineSchedule, ScheduleType
from schedules.rules.clock_notes import Bite
from schedules.timetable import Instant, Kind
from schedules.timing import quantile

AHEAD = timedelta(days=14)
CLOCKS_AHEAD = timedelta(days=730)
MOST_MOMENTS = 200  # of a trigger, before and after
MOST_OTHERS = 20  # triggers of the same pipeline that are looked at
LAST_RUNS, QUANTILE = 20, 0.9


@dataclass(frozen=True)
class Collision:
    """A moment at which a run of another trigger of the pipeline begins, or usually still goes on."""

    utc: datetime
    schedule: PipelineSchedule
    other_utc: datetime


@dataclass(frozen=True)
class Plan:
    """What would be due from `since` to `until`, and how that differs from what is due now.

    `usual` is how long a run of the pipeline takes at most, as a rule (p90 of the last 20); None without any.
    """

    since: datetime
    until: datetime
    now: str  # what saving itself does, in words
    before: Sequence[Instant] = ()
    after: Sequence[Instant] = ()
    added: Sequence[Instant] = ()
    removed: Sequence[Instant] = ()
    kept: Sequence[Instant] = ()
    bites: Sequence[Bite] = ()
    usual: timedelta | None = None
    overlaps: Sequence[Instant] = ()  # moments that come while the run of the one before usually still goes on
    collisions: Sequence[Collision] = ()
    is_cut: bool = field(default=False)  # there are more moments; `until` is the last one that was compared

    @property
    def is_changed(self) -> bool:
        return bool(self.added or self.removed)


def draft(before: PipelineSchedule | None, fields: Mapping[str, Any], *, is_active: bool | None) -> PipelineSchedule:
    """Return an unsaved copy with other values; the one in the database and in `before` stays as it is."""
    after = copy.copy(before) if before else PipelineSchedule()
    for name, value in fields.items():
        setattr(after, name, value)
    after.is_active = after.is_active if is_active is None else is_active
    return after


def plan(before: PipelineSchedule | None, after: PipelineSchedule, moment: datetime) -> Plan:
    """Compare a trigger as it is (None: there is none yet) with an unsaved `draft` of it; writes nothing.

    Raises `Refusal` where the rule of the draft makes no sense. Its other fields are taken as checked.
    """
    bites = clock_changes(after, moment)
    was, will = (coming(before, moment) if before else []), coming(after, moment, is_strict=True)
    until = min([moment + AHEAD, *(each[-1].utc for each in (was, will) if len(each) == MOST_MOMENTS)])
    was, will = ([each for each in found if each.utc <= until and not each.hit] for found in (was, will))
    old, new = ({instant.utc for instant in each} for each in (was, will))
    usual = usual_duration(after.pipeline_id)
    return Plan(
        since=moment,
        until=until,
        now=what_saving_does(before, after, moment),
        before=was,
        after=will,
        added=[instant for instant in will if instant.utc not in old],
        removed=[instant for instant in was if instant.utc not in new],
        kept=[instant for instant in will if instant.utc in old],
        bites=bites,
        usual=usual,
        overlaps=too_close(will, usual),
        collisions=collisions(after, will, usual, moment, until),
        is_cut=until < moment + AHEAD,
    )


def coming(
    schedule: PipelineSchedule, moment: datetime, shelf: Shelf | None = None, *, is_strict: bool = False
) -> list[Instant]:
    """Return the moments of the next two weeks; none for what is paused, set aside or not timed."""
    if not schedule.is_active or schedule.schedule_type != ScheduleType.TIME:
        return []
    try:
        found = schedule.timetable(shelf).between(moment, moment + AHEAD, MOST_MOMENTS)
    except Refusal:
        if is_strict:
            raise
        return []
    return found


def clock_changes(schedule: PipelineSchedule, moment: datetime) -> list[Bite]:
    """Return the changes of the clock in the coming two years that meet the rule, paused or not."""
    if schedule.schedule_type != ScheduleType.TIME:
        return []
    return schedule.timetable().bites(moment, moment + CLOCKS_AHEAD)


def usual_duration(pipeline_id: int) -> timedelta | None:
    """Return the p90 of how long the last 20 completed runs of a pipeline took."""
    done = PipelineRun.objects.filter(
        pipeline_id=pipeline_id, status=RunStatus.COMPLETED, started_at__isnull=False, completed_at__isnull=False
    )
    times = done.order_by("-id").values_list("started_at", "completed_at")[:LAST_RUNS]
    taken = [(end - begin).total_seconds() for begin, end in times if begin and end]
    return timedelta(seconds=quantile(taken, QUANTILE)) if taken else None


def too_close(moments: Sequence[Instant], usual: timedelta | None) -> list[Instant]:
    """Return the moments that come sooner after the one before than a run usually takes."""
    if not usual:
        return []
    return [late for early, late in zip(moments, moments[1:], strict=False) if late.utc - early.utc < usual]


def collisions(
    schedule: PipelineSchedule,
    moments: Sequence[Instant],
    usual: timedelta | None,
    moment: datetime,
    until: datetime,
) -> list[Collision]:
    """Find the moments that fall into the usual run of a moment of another trigger of the pipeline, or the reverse."""
    found, shelf = [], Shelf()
    others = PipelineSchedule.objects.active().filter(pipeline_id=schedule.pipeline_id, schedule_type=ScheduleType.TIME)
    for other in others.exclude(pk=schedule.pk).order_by("id")[:MOST_OTHERS]:
        theirs = [each.utc for each in coming(other, moment, shelf) if each.utc <= until and not each.hit]
        found += [Collision(mine, other, their) for mine, their in meetings(moments, theirs, usual or timedelta(0))]
    return sorted(found, key=lambda each: (each.utc, each.schedule.pk))


def meetings(mine: Sequence[Instant], theirs: Sequence[datetime], usual: timedelta) -> list[tuple[datetime, datetime]]:
    """Return, for each of the moments in order, the first of the others that is the same or less than `usual` away."""
    found, place = [], 0
    for instant in mine:
        while place < len(theirs) and theirs[place] < instant.utc and instant.utc - theirs[place] >= usual:
            place += 1
        if place < len(theirs) and (theirs[place] == instant.utc or abs(theirs[place] - instant.utc) < usual):
            found.append((instant.utc, theirs[place]))
    return found


def what_saving_does(before: PipelineSchedule | None, after: PipelineSchedule, moment: datetime) -> str:
    """Say what happens at once when the draft is saved."""
    was_active = bool(before and before.is_active)
    if not after.is_active:
        return "Saving pauses it; runs under way go on." if was_active else "Saving starts nothing: it is paused."
    if was_active:
        return "Saving starts nothing; it takes effect from now on."
    return "Saving switches it on. " + what_switching_on_does(before, after, moment)


def what_switching_on_does(before: PipelineSchedule | None, after: PipelineSchedule, moment: datetime) -> str:
    if after.schedule_type == ScheduleType.API:
        return "That starts nothing: it waits for a call."
    if after.schedule_type == ScheduleType.EVENT:
        return "That starts nothing: it waits for the next run that it follows to end."
    timetable, settings = after.timetable(), after.checked_settings()
    if timetable.kind is Kind.ALWAYS_ON and not timetable.is_over(moment) and (timetable.start or moment) <= moment:
        return "A run starts at once, as none is going on."
    if timetable.kind is Kind.ONCE and not timetable.is_over(moment) and (timetable.start or moment) <= moment:
        return "Its one run starts at once."
    if timetable.rule and settings.create_initial_pipeline_run and after.last_enabled_at is None:
        return "A first run starts at once, as chosen."
    if before and before.last_enabled_at:
        return "That starts nothing: what passed while it was paused is not made up. Resume it instead to catch up."
    return "That starts nothing: the first run is at its next moment."
