"""Backfills as rows: what was asked for, and when it was started, paused, ended."""

from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q

from runs.zones import zone_names


class Which(models.TextChoices):
    """Which slots of its range a backfill runs."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"


class IntervalType(models.TextChoices):
    """What divides the range of a backfill into slots."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    SCHEDULE = "schedule"  # the moments of its schedule
    CUSTOM = "custom"  # `interval_units` are seconds


BACKFILL_STATES = [(word, word) for word in ("initial", "running", "paused", "completed", "failed", "cancelled")]


class BackfillQuerySet(models.QuerySet["Backfill"]):
    def open(self) -> Self:
        """Those that may still start runs, now or when they are resumed."""
        return self.filter(completed_at=None, cancelled_at=None)

    def for_list(self) -> Self:
        return self.select_related("pipeline", "schedule").order_by("-id")


class Backfill(models.Model):
    """Slots of the past to be run: one occurrence each. Its state is told by its timestamps."""

    name = models.CharField(max_length=200)
    pipeline = models.ForeignKey("pipelines.Pipeline", on_delete=models.CASCADE, related_name="backfills")
    schedule = models.ForeignKey(
        "schedules.PipelineSchedule", null=True, blank=True, on_delete=models.SET_NULL, related_name="backfills"
    )
    interval_type = models.CharField(max_length=10, choices=IntervalType.choices)
    interval_units = models.PositiveIntegerField(default=1)
    timezone = models.CharField(max_length=64, default="UTC")
    start_at = models.DateTimeField()  # both ends are included
    end_at = models.DateTimeField()
    which = models.CharField(max_length=10, choices=Which.choices, default=Which.MISSING)
    newest_first = models.BooleanField(default=False)
    run_limit = models.PositiveIntegerField(default=1)  # runs at a time
    priority = models.SmallIntegerField(default=50)  # after live runs, whose priority is 0
    variables = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)  # its last run ended, however
    failed_at = models.DateTimeField(null=True, blank=True)  # likewise, and a run of it failed
    # Repeating an accepted request gives the same backfill.
    idempotency_key = models.CharField(max_length=400, null=True, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)

    objects = BackfillQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["idempotency_key"], name="a_repeated_request_is_one_backfill"),
        ]
        indexes = [
            # scheduler: backfills that may have ended
            models.Index(
                fields=["id"], name="backfill_open", condition=Q(completed_at__isnull=True, cancelled_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"backfill {self.pk}"

    @property
    def local_ends(self) -> tuple[datetime, datetime]:
        """The range by the clocks of its zone; in UTC if the zone is no longer known."""
        zone = ZoneInfo(self.timezone) if self.timezone in zone_names() else UTC
        return self.start_at.astimezone(zone), self.end_at.astimezone(zone)

    @property
    def state(self) -> str:
        """One of BACKFILL_STATES."""
        if self.cancelled_at or self.completed_at:
            return "cancelled" if self.cancelled_at else "failed" if self.failed_at else "completed"
        return "paused" if self.paused_at else "running" if self.started_at else "initial"
