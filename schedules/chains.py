"""Chained schedules: fired when runs of other pipelines end."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun
from schedules import firing, streaks
from schedules.accounting import Case
from schedules.chaining import End, firings, loop_of
from schedules.decisions import Due, rule
from schedules.models import PIPELINE_GONE, ChainLink, Decision, Occurrence, PipelineSchedule
from schedules.policies import After, Match, Settings
from schedules.starting import start_all

# An end may be seen this much later than it says: its transaction was still open.
SEEN_LATE = timedelta(minutes=2)
SAME = timedelta(milliseconds=1)  # ends of one instant are put apart by less
ENDS_AT_MOST = 1000


def follow(moment: datetime) -> int:
    """Fire the chained schedules whose runs have ended; return how many runs were started."""
    links = ChainLink.objects.filter(schedule__is_active=True, schedule__problem="").order_by("schedule_id")
    followed: dict[int, set[str]] = {}
    begun: dict[int, datetime] = {}
    for schedule_id, uuid, since in links.values_list("schedule_id", "pipeline_uuid", "schedule__decided_until"):
        followed.setdefault(schedule_id, set()).add(uuid)
        begun[schedule_id] = since or moment
    if not followed:
        return 0
    fresh = ends_since(min(begun.values()), set.union(*followed.values()), moment)
    return sum(
        fire(schedule_id, moment)
        for schedule_id, uuids in followed.items()
        if any(end.pipeline_uuid in uuids and end.completed_at > begun[schedule_id] for end in fresh)
    )


def ends_since(since: datetime, uuids: Iterable[str], moment: datetime) -> list[End]:
    runs = PipelineRun.objects.finished().filter(
        pipeline__uuid__in=list(uuids), completed_at__gt=since, completed_at__lte=moment
    )
    rows = runs.order_by("completed_at", "id").values_list("id", "pipeline__uuid", "completed_at", "status")
    return [End(run_id, uuid, at, status) for run_id, uuid, at, status in rows[:ENDS_AT_MOST] if at]


def fire(schedule_id: int, moment: datetime) -> int:
    """Bring one chained schedule up to now."""
    with transaction.atomic():
        row = PipelineSchedule.objects.claimed().filter(pk=schedule_id, is_active=True)
        schedule = row.prefetch_related("pipeline__current_version").first()
        if schedule is None:  # another scheduler is at it
            return 0
        before = {schedule.pk: (schedule.problem, schedule.is_active)}
        started: list[Occurrence] = []
        try:
            settings = schedule.checked_settings()
            rows = entries(schedule, settings, moment)
            case = Case(schedule, settings, rows)
            streaks.stop_failing([case], rows, moment)
            wanted = [row for row in rows if row.decision == Decision.STARTED]
            started = start_all(wanted, moment, queue=firing.queue_of([case]))
            Occurrence.objects.bulk_create(rows)
        except Refusal as refusal:
            firing.set_aside(schedule, str(refusal))
        firing.save_plans([schedule], before)
    return len(started)


def entries(schedule: PipelineSchedule, settings: Settings, moment: datetime) -> list[Occurrence]:
    """Return a row for each end that fires the schedule and is not in the ledger, and move on its plan."""
    if not schedule.pipeline.is_present:
        raise Refusal(PIPELINE_GONE)
    after, begun = settings.after, schedule.decided_until or moment
    if after is None:
        return []
    check_no_loop(schedule, after)
    found = unknown(schedule, firings(ends_since(begun, after.pipelines, moment), after), begun)
    if after.match is Match.ANY:
        schedule.decided_until = max(begun, moment - SEEN_LATE)
    elif found:
        schedule.decided_until = found[-1].completed_at
    due = [Due(end.completed_at, end.completed_at) for end in found]
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
