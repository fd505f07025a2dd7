"""How backfills end: cancelled, with their runs really stopped; or completed, once nothing of them is unfinished."""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from runs import events, lifecycle
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.backfilling.backfills import NOT_STARTED, conflict
from schedules.models import Backfill, Decision, Occurrence

AT_ONCE = 50  # runs stopped in one go; the scheduler goes on with the others
UNFINISHED = (RunStatus.INITIAL, RunStatus.RUNNING)  # written out: the index of unfinished runs asks for these words
STILL_TO_COME = (Decision.WAITING, Decision.HELD)


def cancel(backfill: Backfill, moment: datetime, *, by: str = "") -> int:
    """Start nothing more of it and stop its runs; return how many were stopped here, the scheduler stops the rest.

    `Refusal` if it is over.
    """
    with transaction.atomic():
        if not Backfill.objects.open().filter(pk=backfill.pk).update(cancelled_at=moment):
            raise conflict(backfill, "It is over.")
        waiting = Occurrence.objects.filter(backfill=backfill, decision__in=STILL_TO_COME)
        reason = f"The backfill was cancelled{f' by {by}' if by else ''}."
        waiting.update(decision=Decision.CANCELLED, reason=reason, decided_at=moment)
    backfill.refresh_from_db()
    return stop_runs(Backfill.objects.filter(pk=backfill.pk), moment, by=by)


def stop_runs(backfills: QuerySet[Backfill], moment: datetime, *, by: str = "") -> int:
    """Stop up to fifty unfinished runs of cancelled backfills; return how many.

    A run that somebody retried on purpose after the cancellation goes on.
    """
    cancelled = backfills.filter(cancelled_at__isnull=False, pk=OuterRef("backfill_id"))
    first_try = Q(attempt=1) | Q(started_at=None) | Exists(cancelled.filter(cancelled_at__gte=OuterRef("started_at")))
    runs = PipelineRun.objects.filter(Exists(cancelled), first_try, status__in=UNFINISHED, backfill_id__isnull=False)
    found = list(runs.order_by("id")[:AT_ONCE])
    reason = f"the backfill was cancelled{f' by {by}' if by else ''}"
    return sum(lifecycle.cancel(run, moment=moment, reason=reason, by=by) for run in found)


def close_finished(moment: datetime) -> datetime | None:
    """Write down which backfills are over, open again those of which a run was retried, stop what was cancelled.

    A duty of the scheduler's loop: three small queries when there is nothing to do. Returns when it wants to be called
    again, if there is more to stop.
    """
    reopen()
    for backfill in Backfill.objects.open().filter(~Exists(rows_to_come()), ~Exists(unfinished_runs())):
        close(backfill, moment)
    return moment if stop_runs(Backfill.objects.all(), moment) == AT_ONCE else None


def reopen() -> None:
    """A run of a finished backfill was retried by hand: how it ends is open again."""
    going_on = PipelineRun.objects.filter(status__in=UNFINISHED, backfill_id__isnull=False)
    ended = Backfill.objects.filter(completed_at__isnull=False, cancelled_at=None)
    found = list(ended.filter(pk__in=going_on.values("backfill_id")).values_list("pk", flat=True))
    if found:  # looking takes no lock, writing does
        ended.filter(pk__in=found).update(completed_at=None, failed_at=None)


def close(backfill: Backfill, moment: datetime) -> None:
    """End a backfill, unless something of it was let wait again this very moment."""
    rows = Occurrence.objects.filter(backfill=backfill)
    bad = rows.filter(Q(pipeline_run__status=RunStatus.FAILED) | Q(decision__in=NOT_STARTED))
    failed_at = moment if bad.exists() else None
    still_so = Backfill.objects.open().filter(~Exists(rows_to_come()), pk=backfill.pk)
    if still_so.update(completed_at=moment, failed_at=failed_at, paused_at=None):
        events.publish_timer()


def rows_to_come() -> QuerySet[Occurrence]:
    return Occurrence.objects.filter(backfill=OuterRef("pk"), decision__in=STILL_TO_COME)


def unfinished_runs() -> QuerySet[PipelineRun]:
    return PipelineRun.objects.filter(backfill_id=OuterRef("pk"), status__in=UNFINISHED)
