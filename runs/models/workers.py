"""The processes that own work or keep time."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from runs.models.blocks import BlockRun
from runs.states import BlockStatus


class WorkerKind(models.TextChoices):
    WORKER = "worker"  # a django-q2 worker process, or `run` bringing its own
    PARKED = "parked"  # what such a process watches beside its own block: blocks that wait for other runs
    SCHEDULER = "scheduler"
    WEB = "web"


LEASED = (WorkerKind.WORKER, WorkerKind.PARKED)  # those that own block runs


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self, moment: datetime) -> Self:
        """Processes that have not stopped and were seen within the last half minute."""
        return self.filter(stopped_at=None, seen_at__gte=moment - timedelta(seconds=30))

    def well(self) -> Self:
        """Those that can start what they are given."""
        return self.filter(trouble={})

    def expired(self, moment: datetime) -> Self:
        """Owners whose lease has run out: what they hold may be taken away."""
        return self.filter(kind__in=LEASED, lease_until__lt=moment)

    def for_list(self, moment: datetime) -> Self:
        """Those at work and those seen within the day, with how many block runs each holds; the newest first."""
        seen = self.filter(Q(stopped_at=None) | Q(stopped_at__gte=moment - timedelta(days=1)))
        return seen.with_held("held").order_by("stopped_at", "-id")

    def with_held(self, name: str) -> Self:
        """Each with the number of block runs it holds, under this name; what it held before is not looked at."""
        running = BlockRun.objects.filter(worker=OuterRef("pk"), status=BlockStatus.RUNNING).order_by()
        count = Subquery(running.values("worker").annotate(count=Count("id")).values("count"))
        return self.annotate(**{name: Coalesce(count, 0)})


class Worker(models.Model):
    """A process of ours that owns work or keeps time. Its lease is what makes its claims hold."""

    kind = models.CharField(max_length=20, choices=WorkerKind.choices, default=WorkerKind.WORKER)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    # A scheduler's last completed loop and how late the last occurrence was fired.
    last_loop_at = models.DateTimeField(null=True, blank=True)
    lag = models.DurationField(null=True, blank=True)
    # What a scheduler found that must never be, at its last look. (db_default: older processes write rows too.)
    findings = models.JSONField(default=list, blank=True, db_default=Value([], models.JSONField()))
    # Of a worker whose executor can start nothing: {"executor", "reason", "since"}; it claims nothing meanwhile.
    trouble = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = [
            # recovery: owners whose lease has run out
            models.Index(fields=["lease_until"], name="worker_lease", condition=Q(stopped_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.host}:{self.pid}"
