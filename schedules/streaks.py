"""Stopping after failures in a row: whose last N runs failed starts nothing more until someone resumes it."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.accounting import Case
from schedules.models import Decision, Occurrence


def stop_failing(cases: Sequence[Case], rows: Sequence[Occurrence], moment: datetime) -> None:
    """Switch off the schedules that failed too often, and let their rows say so."""
    asking = {case.schedule.pk: case for case in cases if case.settings.stop_after_failures}
    if not asking:
        return
    newest = Window(RowNumber(), partition_by=F("trigger_id"), order_by=F("id").desc())
    finished = PipelineRun.objects.finished().filter(trigger_id__in=asking, backfill_id=None)
    most = max(case.settings.stop_after_failures or 0 for case in asking.values())
    ends: dict[int, list[tuple[int, str]]] = {pk: [] for pk in asking}
    for run in (
        finished.annotate(place=newest)
        .filter(place__lte=most)
        .order_by("-id")
        .only("trigger_id", "status", "created_at")
    ):
        case = asking[run.trigger_id or 0]
        if case.schedule.last_enabled_at is None or run.created_at >= case.schedule.last_enabled_at:
            ends[case.schedule.pk].append((run.pk, run.status))
    for pk, case in asking.items():
        count = case.settings.stop_after_failures or 0
        last = ends[pk][:count]
        if len(last) == count and all(status == RunStatus.FAILED for _, status in last):
            stop(case, rows, last[0][0], count)


def stop(case: Case, rows: Sequence[Occurrence], run_id: int, count: int) -> None:
    case.schedule.is_active, case.schedule.next_due_at = False, None
    runs = "run" if count == 1 else f"{count} runs"
    case.schedule.problem = f"Stopped: its last {runs} failed, the newest is run {run_id}. Resume it when it is mended."
    for row in rows:
        if row.schedule_id == case.schedule.pk and row.decision == Decision.STARTED:
            row.decision, row.reason, row.blocker_run_id = Decision.SKIPPED, case.schedule.problem, run_id
