"""Notices that ready work stays where it is although workers here are free: something hangs, and is to begin anew."""

from collections.abc import Collection
from datetime import datetime, timedelta

from runs import workers
from runs.models import BlockRun, Worker, WorkerKind
from runs.states import BlockStatus

STALLED_AFTER = timedelta(seconds=60)


class Watchdog:
    """Look every few seconds: a stall is one only when every look of a whole minute has found it."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    def is_stalled(self, pids: Collection[int], moment: datetime) -> bool:
        """Tell whether these processes of this host, workers of one cluster, have left ready work for a minute."""
        if not self.is_left(pids, moment):
            self.since = None
            return False
        self.since = self.since or moment
        return moment - self.since >= STALLED_AFTER

    def is_left(self, pids: Collection[int], moment: datetime) -> bool:
        ready = BlockRun.objects.queued().filter(queued_at__lt=moment - STALLED_AFTER)
        if not ready.exists():
            return False
        ours = Worker.objects.filter(host=workers.this_host(), kind=WorkerKind.WORKER, stopped_at=None, pid__in=pids)
        busy = BlockRun.objects.filter(status=BlockStatus.RUNNING, worker__in=ours).values("worker")
        claimed = BlockRun.objects.filter(worker__in=ours, started_at__gte=moment - STALLED_AFTER)
        return ours.exclude(pk__in=busy).exists() and not claimed.exists()
