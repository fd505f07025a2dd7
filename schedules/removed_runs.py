"""What the ledger says of a run that retention removed: the moment stays, and that its run is gone."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from runs.retaining.retention import REMOVED
from schedules.models import Backfill, Occurrence


def forget(run_ids: Sequence[int]) -> None:
    """Let go of these runs, in the transaction in which they go."""
    Occurrence.objects.filter(pipeline_run__in=run_ids).update(pipeline_run=None, reason=REMOVED)


def counted_by_backfills(moment: datetime) -> Q:
    """Runs of backfills that have not ended: their progress, and what they are still to run, is told by them."""
    return Q(backfill_id__in=Backfill.objects.open().values("pk"))
