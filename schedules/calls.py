"""Calls of API triggers as moments of the ledger."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from runs.limits import Gate
from runs.models import Origin, PipelineRun
from schedules.models import Decision, Occurrence, PipelineSchedule

TRIES = 20


def note(
    schedule: PipelineSchedule,
    moment: datetime,
    origin: Origin,
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
