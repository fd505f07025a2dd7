"""Stopping after failures in a row: whose last N runs failed starts nothing more until someone resumes it."""

from collections.abc import Sequence
from datetime import datetime

from runs import overview
from runs.models import PipelineRun
from runs.states import RUN_FINISHED, RunStatus
from schedules.accounting import Case
from schedules.models import Decision, Occurrence, PipelineSchedule


def stop_failing(cases: Sequence[Case], rows: Sequence[Occurrence], moment: datetime) -> None:
    """Switch off the schedules that failed too often, and let their rows say so."""
    asking = {case.schedule.pk: case for case in cases if case.settings.stop_after_failures}
    if not asking:
        return
    most = max(case.settings.stop_after_failures or 0 for case in asking.values())
    owners = PipelineSchedule.objects.filter(pk__in=asking)
    ids = overview.newest_ids(owners, "trigger_id", most, status__in=RUN_FINISHED, backfill_id__isnull=True)
    runs = PipelineRun.objects.only("status", "created_at").in_bulk([pk for found in ids.values() for pk in found])
    for pk, case in asking.items():
        enabled, count = case.schedule.last_enabled_at, case.settings.stop_after_failures or 0
        last = [runs[run_id] for run_id in ids[pk][:count] if run_id in runs]
        recent = [run for run in last if enabled is None or run.created_at >= enabled]
        if len(recent) == count and all(run.status == RunStatus.FAILED for run in recent):
            stop(case, rows, recent[0].pk, count)


def stop(case: Case, rows: Sequence[Occurrence], run_id: int, count: int) -> None:
    case.schedule.is_active, case.schedule.next_due_at = False, None
    runs = "run" if count == 1 else f"{count} runs"
    case.schedule.problem = f"Stopped: its last {runs} failed, the newest is run {run_id}. Resume it when it is mended."
    for row in rows:
        if row.schedule_id == case.schedule.pk and row.decision == Decision.STARTED:
            row.decision, row.reason, row.blocker_run_id = Decision.SKIPPED, case.schedule.problem, run_id
