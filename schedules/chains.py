"""Chained schedules: fired when runs of other pipelines end."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import Max, Min

from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun, PipelineRunQuerySet
from schedules import firing, streaks
from schedules.accounting import Case
from schedules.chaining import End, firings, loop_of
from schedules.days.calendars import Shelf
from schedules.decisions import Due, rule
from schedules.models import PIPELINE_GONE, ChainLink, Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.policies import After, Ending, Match, Settings
from schedules.rules.active_hours import Hours
from schedules.starting import start_all
from schedules.timetable import read_zone

logger = logging.getLogger(__name__)
# An end may be seen this much later than it says: its transaction was still open.
SEEN_LATE = timedelta(minutes=2)
SAME = timedelta(milliseconds=1)  # ends of one instant are put apart by less
ENDS_AT_MOST = 1000  # of one schedule, in one tick: the others come with the next


def follow(moment: datetime) -> int:
    """Fire the chained schedules whose runs have ended; return how many runs were started."""
    links = ChainLink.objects.filter(schedule__is_active=True).exclude(schedule__problem=PIPELINE_GONE)
    links = links.order_by("schedule_id")
    followed: dict[int, set[str]] = {}
    begun: dict[int, datetime] = {}
    for schedule_id, uuid, since in links.values_list("schedule_id", "pipeline_uuid", "schedule__decided_until"):
        followed.setdefault(schedule_id, set()).add(uuid)
        begun[schedule_id] = since or moment
    if not followed:
        return 0
    ended = ended_since(min(begun.values()), set.union(*followed.values()), moment)
    newest = dict(ended.order_by().values_list("pipeline__uuid").annotate(Max("completed_at")))
    return sum(
        fire(schedule_id, moment)
        for schedule_id, uuids in followed.items()
        if any(uuid in newest and newest[uuid] > begun[schedule_id] for uuid in uuids)
    )


def ended_since(since: datetime, uuids: Iterable[str], moment: datetime) -> PipelineRunQuerySet:
    return PipelineRun.objects.finished().filter(
        pipeline__uuid__in=list(uuids), completed_at__gt=since, completed_at__lte=moment
    )


def counting(after: After, since: datetime, moment: datetime) -> PipelineRunQuerySet:
    """Return the runs whose ends the schedule waits for."""
    ended = ended_since(since, after.pipelines, moment)
    return ended if after.on is Ending.FINISHED else ended.filter(status=after.on.value)


def earliest_firings(after: After, since: datetime, moment: datetime) -> list[End]:
    """Return the ends that fire the schedule, not all if there are many."""
    if after.match is Match.ANY:
        counted = counting(after, since, moment)
        found = ends(counted, ENDS_AT_MOST)
        if len(found) == ENDS_AT_MOST:  # those of one instant are never torn apart
            found += ends(counted.filter(completed_at=found[-1].completed_at, id__gt=found[-1].run_id))
        return firings(found, after)
    complete: list[End] = []
    while len(complete) < ENDS_AT_MOST:
        counted = counting(after, since, moment)
        # The first end of each is what matters, however many others there have been since.
        firsts = counted.order_by().values_list("pipeline__uuid").annotate(at=Min("completed_at"))
        found = firings(ends(counted.filter(completed_at__in={at for _, at in firsts})), after)[:1]
        if not found:
            break
        complete, since = complete + found, found[0].completed_at
    return complete


def ends(runs: PipelineRunQuerySet, count: int | None = None) -> list[End]:
    rows = runs.order_by("completed_at", "id").values_list("id", "pipeline__uuid", "completed_at", "status")
    return [End(run_id, uuid, at, status) for run_id, uuid, at, status in rows[:count] if at]


def fire(schedule_id: int, moment: datetime) -> int:
    """Bring one chained schedule up to now."""
    with transaction.atomic():
        row = PipelineSchedule.objects.claimed().filter(pk=schedule_id, is_active=True)
        schedule = row.prefetch_related("pipeline__current_version").first()
        if schedule is None:  # another scheduler is at it
            return 0
        before = {schedule.pk: (schedule.problem, schedule.is_active)}
        started: list[Occurrence] = []
        schedule.problem = ""
        if case := look_at(schedule, moment):
            streaks.stop_failing([case], case.entries, moment)
            wanted = [row for row in case.entries if row.decision == Decision.STARTED]
            started = start_all(wanted, moment, queue=firing.queue_of([case]))
            Occurrence.objects.bulk_create(case.entries)
        firing.save_plans([schedule], before)
    return len(started)


def look_at(schedule: PipelineSchedule, moment: datetime) -> Case | None:
    """Find which ends fire the schedule; set it aside, and return None, when that cannot be said."""
    try:
        settings = schedule.checked_settings()
        return Case(schedule, settings, entries(schedule, settings, moment))
    except Refusal as refusal:
        firing.set_aside(schedule, str(refusal))
    except DatabaseError:
        raise
    except Exception as error:  # one schedule of many: the others go on
        logger.exception("schedule %s could not be read", schedule.pk)
        firing.set_aside(schedule, f"This schedule could not be read ({type(error).__name__}).")
    return None


def entries(schedule: PipelineSchedule, settings: Settings, moment: datetime) -> list[Occurrence]:
    """Return a row for each end that fires the schedule and is not in the ledger, and move on its plan."""
    if not schedule.pipeline.is_present:
        raise Refusal(PIPELINE_GONE)
    after, begun = settings.after, schedule.decided_until or moment
    if after is None:
        return []
    check_no_loop(schedule, after)
    fired = earliest_firings(after, begun, moment)
    found = [end for end in unknown(schedule, fired, begun) if is_within(schedule, end.completed_at)]
    if after.match is Match.ANY:
        seen = fired[-1].completed_at if len(fired) >= ENDS_AT_MOST else moment
        schedule.decided_until = max(begun, min(seen, moment - SEEN_LATE))
    elif fired:
        schedule.decided_until = fired[-1].completed_at
    closed = closings(schedule, settings)
    due = [Due(end.completed_at, end.completed_at, closed(end.completed_at)) for end in found]
    rulings = rule(due, settings, moment, paused_until=schedule.last_enabled_at)
    return [
        Occurrence(
            pipeline=schedule.pipeline,
            schedule=schedule,
            origin=Origin.EVENT,
            scheduled_for=end.completed_at,
            decision=Decision(ruling.verdict),
            reason=f"After run {end.run_id} of {end.pipeline_uuid} {end.status}. {ruling.reason}".strip()[:500],
            cause_run_id=end.run_id,
            priority=settings.priority,
            expires_at=end.completed_at + settings.start_deadline if settings.start_deadline else None,
            decided_at=moment,
        )
        for end, ruling in zip(found, rulings, strict=True)
    ]


def is_within(schedule: PipelineSchedule, moment: datetime) -> bool:
    """Say whether a moment lies between the schedule's start and its end, both included."""
    start, end = schedule.start_time, schedule.end_time
    return (start is None or moment >= start) and (end is None or moment <= end)


def closings(schedule: PipelineSchedule, settings: Settings) -> Callable[[datetime], str]:
    """Return what says why the schedule is closed at a moment, "" if it is open: its calendar and active hours.

    An end cannot be moved to another day, so a hit is always skipped.
    """
    days, zone = Shelf().day_rule(settings), read_zone(schedule.timezone)
    hours = Hours(*settings.active_hours) if settings.active_hours else None

    def closed(moment: datetime) -> str:
        local = moment.astimezone(zone)
        if hours and not hours.contain(local.time()):
            return f"outside its hours, {hours.describe()}"
        return days.reason(local.date()) if days else ""

    return closed


def unknown(schedule: PipelineSchedule, ends: Sequence[End], since: datetime) -> list[End]:
    """Return the ends that are not in the ledger yet, each at an instant of its own."""
    rows = schedule.occurrences.filter(scheduled_for__gt=since).values_list("cause_run_id", "scheduled_for")
    causes: dict[int | None, list[datetime]] = {}
    for cause, at in rows:
        causes.setdefault(cause, []).append(at)
    taken = {at for times in causes.values() for at in times}
    found = []
    for end in ends:
        if any(abs(at - end.completed_at) < SAME for at in causes.get(end.run_id, [])):
            continue
        at = end.completed_at
        while at in taken:
            at += timedelta(microseconds=1)
        taken.add(at)
        found.append(End(end.run_id, end.pipeline_uuid, at, end.status))
    return found


def settle(schedule_id: int, moment: datetime) -> None:
    """As `firing.settle`, for a chained schedule: ends that nobody has looked at yet belong to its old rule."""
    rows = PipelineSchedule.objects.select_for_update(of=("self",), no_key=True).select_related("pipeline")
    schedule = rows.filter(pk=schedule_id, schedule_type=ScheduleType.EVENT, is_active=True).first()
    if schedule is None:
        return
    try:
        found = entries(schedule, schedule.checked_settings(), moment)
    except Refusal:  # it could not have fired as it was
        return
    for row in found:
        if row.decision == Decision.STARTED:
            row.decision, row.reason = Decision.WAITING, f"Ended before it was edited. {row.reason}"[:500]
    Occurrence.objects.bulk_create(found)


def check_no_loop(schedule: PipelineSchedule, after: After) -> None:
    """Refuse a chain that would start itself again for ever."""
    followers: dict[str, set[str]] = {}
    links = ChainLink.objects.exclude(schedule=schedule.pk).values_list("pipeline_uuid", "schedule__pipeline__uuid")
    for uuid, follower in links:
        followers.setdefault(uuid, set()).add(follower)
    if loop := loop_of(schedule.pipeline.uuid, after, followers):
        raise Refusal(
            f"This chain would go round for ever: {' → '.join(loop)}.",
            field="settings.after",
            hint="Leave one of them out.",
            code="invalid_settings",
        )
