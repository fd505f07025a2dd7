"""Calls of API triggers as moments of the ledger: whether they are taken, and what became of each."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from runs import lifecycle
from runs.limits import Answer, Gate
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules import streaks
from schedules.accounting import Case
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.policies import Settings

TRIES = 20
EXPIRED_AT_A_TIME = 200


def gate(schedule: PipelineSchedule, settings: Settings, moment: datetime) -> Gate:
    """Say whether the trigger takes calls now: between its start and its end, and not after too many failures."""
    start, end = schedule.start_time, schedule.end_time
    if start and moment < start:
        return Gate("started", Answer.SKIP, f"The trigger does not begin before {start:%Y-%m-%d %H:%M:%S} UTC.")
    if end and moment > end:
        return Gate("started", Answer.SKIP, f"The trigger ended at {end:%Y-%m-%d %H:%M:%S} UTC.")
    streaks.stop_failing([Case(schedule, settings)], [], moment)
    if not schedule.is_active and schedule.problem:
        schedule.save(update_fields=["is_active", "next_due_at", "problem", "updated_at"])
        return Gate("failures", Answer.SKIP, schedule.problem)
    return Gate("started")


def expire(moment: datetime) -> int:
    """End the wait of calls whose start deadline has passed; return how many did."""
    late = PipelineRun.objects.filter(status=RunStatus.INITIAL, occurrence__expires_at__lte=moment)
    runs = list(late.order_by("id")[:EXPIRED_AT_A_TIME])
    count = 0
    for run in runs:
        with transaction.atomic():
            if lifecycle.cancel(run, moment=moment, reason="its start deadline passed"):
                why = f"Its start deadline passed. It waited: {run.reason.removeprefix('waits: ')}"[:500]
                run_of = Occurrence.objects.filter(pipeline_run=run)
                count += run_of.update(decision=Decision.EXPIRED, reason=why, decided_at=moment)
    return count


def note(
    schedule: PipelineSchedule,
    moment: datetime,
    origin: Origin,
    settings: Settings,
    *,
    run: PipelineRun | None = None,
    gate: Gate | None = None,
) -> Occurrence:
    """Write down a call and the run it led to, or the gate that was shut. Calls of one instant are put apart."""
    for step in range(TRIES):
        row = Occurrence(
            pipeline_id=schedule.pipeline_id,
            schedule=schedule,
            origin=origin,
            scheduled_for=moment + timedelta(microseconds=step),
            decision=Decision.STARTED if run else Decision.SKIPPED,
            reason=(run.reason if run else gate.reason if gate else "")[:500],
            blocker_run_id=gate.blocker if gate else None,
            pipeline_run=run,
            priority=settings.priority,
            expires_at=moment + settings.start_deadline if settings.start_deadline else None,
            decided_at=moment,
        )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
            return row
        except IntegrityError:
            if step == TRIES - 1:
                raise
    raise AssertionError("unreachable")
