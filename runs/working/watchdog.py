"""Notices that ready work stays where it is although workers here are free: something hangs, and is to begin anew."""

from collections.abc import Collection
from datetime import datetime, timedelta

from runs.models import BlockRun, Worker, WorkerKind
from runs.states import BlockStatus
from runs.working import workers

STALLED_AFTER = timedelta(seconds=60)
GRACE = timedelta(seconds=5)  # what became ready just now was left by nobody


class Watchdog:
    """Look every few seconds: a stall is one only when every look of a whole minute has found it."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    def is_stalled(self, pids: Collection[int], moment: datetime) -> bool:
        """Tell whether these processes of this host, workers of one cluster, have left ready work for a minute."""
        ready = BlockRun.objects.filter(queued_at__lt=moment - GRACE)
        ours = Worker.objects.filter(host=workers.this_host(), kind=WorkerKind.WORKER, stopped_at=None, pid__in=pids)
        ours = ours.well()  # the others say themselves why they take nothing; a new start would not help them
        held = BlockRun.objects.filter(worker__in=ours)
        busy = held.filter(status=BlockStatus.RUNNING).values("worker")
        if not (ready.has_queued() and ours.exclude(pk__in=busy).exists()):
            self.since = None
        elif self.since is None or held.filter(started_at__gte=self.since).exists():
            self.since = moment
        return self.since is not None and moment - self.since >= STALLED_AFTER
