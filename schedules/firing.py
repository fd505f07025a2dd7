"""What is due now, a batch at a time: decided, started, written into the ledger. One transaction per batch.

The ledger's unique constraint makes a double firing impossible: a run is only stored together with its row. Row locks
(Postgres) or the write lock (SQLite) only keep schedulers out of each other's way.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from pipelines.refusal import Refusal
from runs.many_rows import insert_all, update_each
from runs.models import PipelineRun
from schedules import forecasts, streaks, trails
from schedules.accounting import Case, account
from schedules.days.calendars import Shelf
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.policies import Settings
from schedules.queueing import in_turn, keeps_a_queue
from schedules.simulating.remembering import Almanac
from schedules.starting import Queue, start_all

logger = logging.getLogger(__name__)
BATCH = 200
NO_LEAD = timedelta(0)
LONGEST_JUMP = timedelta(hours=3)  # of clocks; what is longer is no change of summer time
WALL_CLOCK = len("2025-03-30T02:30:00")


@dataclass(frozen=True)
class Batch:
    """What one transaction did. `lag` is how late the latest of the moments that were started was."""

    looked_at: int = 0
    fired: int = 0
    lag: timedelta | None = None


def fire_batch(moment: datetime) -> Batch:
    """Decide up to 200 due schedules and start their runs; a bad one is set aside and harms no other."""
    with transaction.atomic():
        schedules = list(
            PipelineSchedule.objects.due(moment).claimed().prefetch_related("pipeline__current_version")[:BATCH]
        )
        before = {schedule.pk: (schedule.problem, schedule.is_active) for schedule in schedules}
        cases = look_at(schedules, moment)
        rows = undecided(cases, moment)
        streaks.stop_failing(cases, rows, moment)
        wanted = in_turn([row for row in rows if row.decision == Decision.STARTED])
        started = start_all(wanted, moment, queue=queue_of(cases))
        insert_all(rows)
        save_plans(schedules, before)
    lag = max((moment - row.scheduled_for for row in started), default=None)
    return Batch(len(schedules), len(started), lag)


def look_at(schedules: Sequence[PipelineSchedule], moment: datetime, *, is_edited: bool = False) -> list[Case]:
    """Find what is due of each schedule and when it is due next; set it aside when that cannot be said."""
    settings: dict[int, Settings] = {}
    for schedule in schedules:
        try:
            settings[schedule.pk] = schedule.checked_settings()
        except Refusal as refusal:
            set_aside(schedule, str(refusal))
    leads, shelf, almanac = forecasts.leads(settings), Shelf(), Almanac()
    cases = []
    for schedule in schedules:
        if schedule.pk not in settings:
            continue
        try:
            lead = leads.get(schedule.pk, NO_LEAD)
            chosen = settings[schedule.pk]
            cases.append(account(schedule, chosen, moment, lead, shelf, is_edited=is_edited, almanac=almanac))
        except Refusal as refusal:
            set_aside(schedule, str(refusal))
        except Exception as error:  # one schedule of a batch: the others go on
            logger.exception("schedule %s could not be read", schedule.pk)
            set_aside(schedule, f"This schedule could not be read ({type(error).__name__}).")
    return cases


def set_aside(schedule: PipelineSchedule, problem: str) -> None:
    schedule.next_due_at, schedule.problem = None, problem[:500]


def undecided(cases: Sequence[Case], moment: datetime) -> list[Occurrence]:
    """Return the rows to write: not those of moments in the ledger, nor of what runs while it should be idle."""
    rows = [row for case in cases for row in case.entries]
    idle_only = [case.schedule.pk for case in cases if case.starts_when_idle]
    busy: set[int | None] = set()
    if idle_only:
        running = PipelineRun.objects.unfinished().filter(trigger_id__in=idle_only, backfill_id=None)
        busy = set(running.values_list("trigger_id", flat=True))
        waiting = Occurrence.objects.filter(schedule__in=idle_only, decision=Decision.WAITING)
        busy |= set(waiting.values_list("schedule_id", flat=True))
    rows = [row for row in rows if row.schedule_id not in busy]
    if idle_only:
        rows = put_off(cases, rows, busy, moment)
    known: set[tuple[int | None, datetime]] = set()
    if rows:
        there = Occurrence.objects.filter(
            schedule__in={row.schedule_id for row in rows}, scheduled_for__in={row.scheduled_for for row in rows}
        )
        known = set(there.values_list("schedule_id", "scheduled_for"))
    rows = [row for row in rows if (row.schedule_id, row.scheduled_for) not in known]
    skip_what_came_before(cases, rows)
    return rows


def put_off(cases: Sequence[Case], rows: list[Occurrence], busy: set[int | None], moment: datetime) -> list[Occurrence]:
    """Drop the starts of idle schedules for which it is too early after their last run, and plan them for then."""
    idle = {case.schedule.pk: case.schedule for case in cases if case.starts_when_idle and case.entries}
    last = trails.trails([schedule for pk, schedule in idle.items() if pk not in busy])
    early = {pk: trail.next_try for pk, trail in last.items() if trail.next_try > moment}
    for pk, next_try in early.items():
        idle[pk].next_due_at = next_try
    return [row for row in rows if row.schedule_id not in early]


def skip_what_came_before(cases: Sequence[Case], rows: Sequence[Occurrence]) -> None:
    """Let no local time start twice because a zone's clocks, or the choices about them, were changed after it."""
    once = {case.schedule.pk for case in cases if case.names_times_once}
    starting = [row for row in rows if row.schedule_id in once and row.decision in (Decision.STARTED, Decision.HELD)]
    if not starting:
        return
    lately = Occurrence.objects.filter(
        schedule__in={row.schedule_id for row in starting},
        scheduled_for__gt=F("schedule__decided_until") - LONGEST_JUMP,
        backfill=None,
        decision__in=(Decision.STARTED, Decision.WAITING, Decision.HELD),
    )
    came = {
        (schedule_id or 0, local_time[:WALL_CLOCK]): at
        for schedule_id, local_time, at in lately.values_list("schedule_id", "local_time", "scheduled_for")
    }
    for row in starting:
        before = came.get((row.schedule_id or 0, row.local_time[:WALL_CLOCK]))
        if before and abs(row.scheduled_for - before) < LONGEST_JUMP:
            row.decision = Decision.SKIPPED
            row.reason = f"This local time came already, at {before:%Y-%m-%d %H:%M} UTC: the clock was changed since."


def queue_of(cases: Sequence[Case]) -> Queue:
    """Look for rows that wait, of the schedules where that makes a difference."""
    return Queue.of([case.schedule.pk for case in cases if keeps_a_queue(case.settings)])


def save_plans(schedules: Sequence[PipelineSchedule], before: dict[int, tuple[str, bool]]) -> None:
    """Store when each is due next, and the problem of those that have a new one."""
    update_each(schedules, ["next_due_at", "decided_until"])
    told = [schedule for schedule in schedules if before[schedule.pk] != (schedule.problem, schedule.is_active)]
    if told:
        PipelineSchedule.objects.bulk_update(told, ["problem", "is_active"])


def settle(schedule_id: int, moment: datetime) -> None:
    """Bring the ledger of a schedule up to now, before it is changed: what was due by its old rule is accounted for.

    Nothing is started here: what is still to run waits for the scheduler. Call it inside the change's transaction.
    """
    schedule = (
        PipelineSchedule.objects.select_for_update(of=("self",), no_key=True)
        .select_related("pipeline")
        .filter(pk=schedule_id, schedule_type=ScheduleType.TIME, decided_until__lt=moment)
        .first()
    )
    if schedule is None:
        return
    was_active = schedule.is_active
    for case in look_at([schedule], moment, is_edited=True):
        rows = [] if case.starts_when_idle else undecided([case], moment)
        for row in rows:
            if not was_active and row.decision in (Decision.STARTED, Decision.HELD):
                row.decision, row.reason = (
                    Decision.MISSED,
                    "Paused; then it was saved anew, which makes up for nothing.",
                )
            elif row.decision == Decision.STARTED:
                row.decision, row.reason = Decision.WAITING, f"Due before it was edited. {row.reason}".strip()
        Occurrence.objects.bulk_create(rows)


def pass_over(schedule: PipelineSchedule, moment: datetime) -> None:
    """Account for coming moments for which an edited schedule would have had to start before the edit.

    Only what is to be finished by its moments has such: the save starts nothing, so they are missed.
    """
    while schedule.next_due_at and schedule.next_due_at < moment and schedule.checked_settings().landing_time_enabled:
        lead = forecasts.leads({schedule.pk: schedule.checked_settings()}).get(schedule.pk, NO_LEAD)
        instant = schedule.timing(lead).next_after(schedule.decided_until or moment)
        if instant is None:
            return
        reason = f"Saved at {moment:%H:%M:%S} UTC; to be finished by then it would have had to start before."
        fields = {"pipeline_id": schedule.pipeline_id, "local_time": instant.local.isoformat()}
        schedule.occurrences.get_or_create(
            scheduled_for=instant.utc,
            defaults={**fields, "decision": Decision.MISSED, "reason": reason, "decided_at": moment},
        )
        schedule.decided_until = instant.utc
        schedule.plan_next(moment)
