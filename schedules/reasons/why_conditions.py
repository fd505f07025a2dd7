"""The conditions that a trigger's next start has to meet, one function each: is it on, has it begun, is it its time?"""

import copy
from collections import Counter
from datetime import datetime, timedelta

from django.urls import reverse

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.reasons.explanations import Check, Link, at, counted, listed, pipeline_link, run_link
from runs.reasons.presence import ago
from runs.states import RunStatus
from schedules import forecasts, trails
from schedules.accounting import account
from schedules.decisions import ON_TIME
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.policies import Settings
from schedules.timetable import Kind
from schedules.timing import Timing

NAMED = 5
FAILURES_COUNTED = 50
LOOKED_AHEAD = 60  # moments among which one is looked for that its calendar lets pass


def schedule_link(schedule: PipelineSchedule) -> Link:
    return Link("schedule", schedule.pk, schedule.name, reverse("schedules:detail", args=[schedule.pk]))


def occurrence_link(row: Occurrence) -> Link:
    """A row of the ledger; those of a backfill without trigger have no page of their own."""
    label = f"{row.scheduled_for:%Y-%m-%d %H:%M} UTC"
    if row.schedule_id is None:
        return Link("occurrence", row.pk, label, reverse("pipelines:detail", args=[row.pipeline.uuid]))
    return Link("occurrence", row.pk, label, reverse("schedules:occurrence", args=[row.schedule_id, row.pk]))


def enabled(schedule: PipelineSchedule) -> Check:
    """Is it switched on, and if not, who or what switched it off?"""
    if schedule.is_active:
        since = f" since {at(schedule.last_enabled_at)}" if schedule.last_enabled_at else ""
        return Check(name="enabled", passed=True, detail=f"It is active{since}.")
    until = schedule.paused_until
    if schedule.problem:
        failed = PipelineRun.objects.filter(trigger_id=schedule.pk, status=RunStatus.FAILED).order_by("-id")
        newest = failed.values_list("pk", flat=True).first()
        links = (run_link(newest),) if newest else ()
        return Check(name="enabled", passed=False, detail=schedule.problem, blockers=links)
    if until:
        return Check(name="enabled", passed=False, detail=f"It is paused until {at(until)}.", clears_at=until)
    if schedule.last_enabled_at is None:
        return Check(name="enabled", passed=False, detail="It has never been switched on.")
    if "@once" in schedule.schedule_interval.lower() and schedule.occurrences.exists():
        detail = "It was to fire once, and has: the ledger says what came of it."
        return Check(name="enabled", passed=False, detail=detail)
    return Check(name="enabled", passed=False, detail="It is paused until someone resumes it.")


def well(schedule: PipelineSchedule) -> Check:
    """Can it fire as it is written?"""
    if schedule.is_active and schedule.problem:
        return Check(name="problem", passed=False, detail=f"It is set aside: {schedule.problem}")
    return Check(name="problem", passed=True, detail="Nothing is wrong with it.")


def begun(schedule: PipelineSchedule, moment: datetime) -> Check:
    """Is this between its start and its end?"""
    start, end = schedule.start_time, schedule.end_time
    if start and moment < start:
        return Check(name="started", passed=False, detail=f"It does not begin before {at(start)}.", clears_at=start)
    if end and moment > end:
        return Check(name="started", passed=False, detail=f"It ended at {at(end)}.")
    said = [f"It began at {at(start)}." if start else "", f"It ends at {at(end)}." if end else ""]
    return Check(name="started", passed=True, detail=" ".join(filter(None, said)) or "It has no start and no end.")


def hours(timing: Timing, moment: datetime) -> Check:
    timetable = timing.timetable
    if timetable.hours is None:
        return Check(name="active hours", passed=True, detail="It is not kept to hours of the day.")
    local = moment.astimezone(timetable.zone).time()
    if timetable.hours.contain(local):
        return Check(name="active hours", passed=True, detail=f"It is active {timetable.hours.describe()}.")
    detail = f"It is only active {timetable.hours.describe()}; there it is {local:%H:%M}."
    return Check(name="active hours", passed=False, detail=detail, clears_at=timetable.opens_at(moment))


def calendar(timing: Timing, schedule: PipelineSchedule, moment: datetime) -> Check:
    """Does its calendar let the next moment pass?"""
    timetable = timing.timetable
    if timetable.days is None:
        return Check(name="calendar", passed=True, detail="It has no calendar.")
    if timetable.kind is Kind.ALWAYS_ON:
        hit, opens = timetable.at(moment).hit, timetable.opens_at(moment)
    else:
        coming = timetable.upcoming(schedule.decided_until or moment, LOOKED_AHEAD)
        hit = coming[0].hit if coming else ""
        opens = next((instant.utc for instant in coming if not instant.hit), None)
    if not hit:
        return Check(name="calendar", passed=True, detail="Its calendar lets the next moment pass.")
    return Check(name="calendar", passed=False, detail=f"The next moment is skipped: {hit}.", clears_at=opens)


def due(schedule: PipelineSchedule, settings: Settings, moment: datetime) -> Check:
    """Is it time?"""
    if schedule.schedule_type == ScheduleType.API:
        return Check(name="due", passed=None, detail="It is started by an API call, not by the time.")
    if schedule.schedule_type == ScheduleType.EVENT:
        after = settings.after
        if after is None:
            return Check(name="due", passed=None, detail="It is started by events, not by the time.")
        which = f"{after.match} of {listed(after.pipelines, NAMED)}"
        detail = f"It is started when runs of {which} have {after.on}, not by the time."
        links = tuple(pipeline_link(uuid) for uuid in after.pipelines[:NAMED])
        return Check(name="due", passed=None, detail=detail, blockers=links)
    next_due = schedule.next_due_at
    if next_due is None:
        return Check(name="due", passed=False, detail="There is no further moment.")
    if next_due > moment:
        return Check(name="due", passed=False, detail=f"It is not due before {at(next_due)}.", clears_at=next_due)
    late = f", {ago(moment - next_due)} ago" if is_late(schedule, moment) else ""
    return Check(name="due", passed=True, detail=f"It has been due since {at(next_due)}{late}.")


def back_off(schedule: PipelineSchedule, moment: datetime) -> Check:
    """May it start again so soon after its last run?"""
    trail = trails.trails([schedule], most=FAILURES_COUNTED).get(schedule.pk)
    if trail is None:
        return Check(name="back-off", passed=True, detail="It has had no run since it was switched on.")
    failures = counted(trail.failures, "failure") + (" or more" if trail.failures == FAILURES_COUNTED else "")
    said = f"{failures} in a row" if trail.failures else "Its last run did not fail"
    if trail.next_try <= moment:
        return Check(name="back-off", passed=True, detail=f"{said}: it may start again.")
    detail = f"{said}: next try at {at(trail.next_try)}."
    return Check(name="back-off", passed=False, detail=detail, clears_at=trail.next_try)


def is_late(schedule: PipelineSchedule, moment: datetime) -> bool:
    """Is something due for longer than a scheduler that is well would leave it?"""
    return bool(schedule.is_active and schedule.next_due_at and schedule.next_due_at < moment - ON_TIME)


def catch_up(schedule: PipelineSchedule, settings: Settings, moment: datetime) -> Check:
    """What will the policy do about moments that are due and undecided?"""
    policy = f"Its catch-up policy is {settings.catchup}"
    if not schedule.is_active or schedule.next_due_at is None or schedule.next_due_at > moment:
        return Check(name="catch-up", passed=True, detail=f"Nothing is overdue. {policy}.")
    draft = copy.copy(schedule)  # accounting moves on the plan of what it is given
    lead = forecasts.leads({schedule.pk: settings}).get(schedule.pk, timedelta(0))
    try:
        rows = account(draft, settings, moment, lead).entries
    except Refusal as refusal:
        return Check(name="catch-up", passed=False, detail=f"The scheduler will set it aside: {refusal}")
    counts = Counter(row.decision for row in rows)
    said = listed([f"{count} {decision}" for decision, count in counts.items()])
    detail = f"{counted(len(rows), 'moment')} due and undecided; what will become of them: {said}. {policy}."
    reason = rows[-1].reason if rows and not counts[Decision.STARTED] else ""
    return Check(
        name="catch-up", passed=bool(counts[Decision.STARTED]) or not rows, detail=f"{detail} {reason}".strip()
    )


def queue(schedule: PipelineSchedule) -> Check:
    """Are there moments of it that wait already, or that are held?"""
    rows = schedule.occurrences.filter(decision=Decision.WAITING, backfill=None).select_related("pipeline")
    waiting = list(rows.order_by("priority", "scheduled_for")[: NAMED + 1])
    if not waiting:
        return Check(name="queue", passed=True, detail="No earlier moment of it waits.")
    many = f"more than {NAMED} moments" if len(waiting) > NAMED else counted(len(waiting), "moment")
    detail = (
        f"Already waiting: {many}. The first, of {at(waiting[0].scheduled_for)}: {waiting[0].reason or 'its turn.'}"
    )
    links = tuple(occurrence_link(row) for row in waiting[:NAMED])
    return Check(name="queue", passed=False, detail=detail, blockers=links, clears_at=waiting[0].start_after)


def ahead(pipeline_id: int, priority: int, *, but: Occurrence | None = None) -> Check:
    """Which moments and runs of the pipeline that wait go before a start of this priority?

    With `but`, a row of the ledger that waits itself, those of its own kind that were due before it go first, too.
    """
    rows = Occurrence.objects.filter(pipeline_id=pipeline_id, decision=Decision.WAITING).select_related("pipeline")
    first = rows.filter(priority__lt=priority)
    if but is not None:
        kin = rows.filter(priority=priority, schedule=but.schedule_id, backfill=but.backfill_id)
        first = first | kin.filter(scheduled_for__lt=but.scheduled_for)
    found = list(first.order_by("priority", "scheduled_for")[: NAMED + 1])
    runs = PipelineRun.objects.filter(pipeline_id=pipeline_id, status=RunStatus.INITIAL, priority__lte=priority)
    ids = list(runs.order_by("priority", "execution_date", "id").values_list("pk", flat=True)[: NAMED + 1])
    if not found and not ids:
        return Check(name="priority", passed=True, detail="Nothing of this pipeline goes before it.")
    said = [*few(len(ids), "run"), *few(len(found), "moment")]
    links = [run_link(run_id) for run_id in ids[:NAMED]] + [occurrence_link(row) for row in found[:NAMED]]
    detail = f"Before it, by priority and time: {' and '.join(said)} of this pipeline."
    return Check(name="priority", passed=None, detail=detail, blockers=tuple(links))


def few(count: int, what: str) -> list[str]:
    return [f"more than {NAMED} {what}s" if count > NAMED else counted(count, what)] if count else []
