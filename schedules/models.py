"""When pipelines should run, and the ledger of every moment one was due."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q


class ScheduleType(models.TextChoices):
    TIME = "time"
    EVENT = "event"
    API = "api"


class Source(models.TextChoices):
    """Where a schedule is written down."""

    UI = "ui"
    API = "api"
    CODE = "code"  # triggers.yaml


class PipelineScheduleQuerySet(models.QuerySet["PipelineSchedule"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def due(self, moment: datetime) -> Self:
        """Active time schedules whose next moment has come, the longest overdue first."""
        return self.filter(is_active=True, next_due_at__lte=moment).order_by("next_due_at", "id")

    def for_list(self) -> Self:
        return self.select_related("pipeline").order_by("pipeline__uuid", "name", "id")


class PipelineSchedule(models.Model):
    """When a pipeline should run ("trigger" on the pages)."""

    pipeline = models.ForeignKey("pipelines.Pipeline", on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    schedule_type = models.CharField(max_length=10, choices=ScheduleType.choices, default=ScheduleType.TIME)
    schedule_interval = models.CharField(max_length=256, blank=True)  # "@daily", "0 6 * * 1-5": as typed
    timezone = models.CharField(max_length=64, default="UTC")  # IANA name, as typed
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=False)
    last_enabled_at = models.DateTimeField(null=True, blank=True)
    # A cache of timetable.next_after(…), never the truth: null when nothing is due any more.
    next_due_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=500, blank=True)  # why it was set aside; empty when well
    variables = models.JSONField(default=dict, blank=True)
    sla = models.DurationField(null=True, blank=True)
    # Mage's settings: skip_if_previous_running, allow_blocks_to_fail, create_initial_pipeline_run, pipeline_run_limit,
    # timeout, timeout_status, retry_config, …: schedules.decisions.Settings says which and their defaults.
    settings = models.JSONField(default=dict, blank=True)
    token_hash = models.CharField(max_length=64, blank=True)  # SHA-256 of an API trigger's token
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.UI)
    source_hash = models.CharField(max_length=64, blank=True)  # of its entry in triggers.yaml, when last taken over
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PipelineScheduleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "name"], name="a_pipeline_has_a_trigger_name_once"),
        ]
        indexes = [
            # scheduler: what is due, and when to wake next
            models.Index(fields=["next_due_at", "id"], name="schedule_due", condition=Q(is_active=True)),
        ]

    def __str__(self) -> str:
        return self.name


class Decision(models.TextChoices):
    """What became of an occurrence."""

    STARTED = "started"
    WAITING = "waiting"  # held by a limit or window
    SKIPPED = "skipped"  # previous still running, limit, calendar
    EXPIRED = "expired"  # its start deadline passed
    MISSED = "missed"  # found after downtime and not run by policy
    CANCELLED = "cancelled"


class Occurrence(models.Model):
    """One moment a schedule was due, what was decided, and why. The one constraint makes a firing happen once."""

    schedule = models.ForeignKey(PipelineSchedule, on_delete=models.CASCADE, related_name="occurrences")
    scheduled_for = models.DateTimeField()
    local_time = models.CharField(max_length=40, blank=True)  # the wall clock it stands for, ISO 8601
    decision = models.CharField(max_length=12, choices=Decision.choices)
    reason = models.CharField(max_length=500, blank=True)
    blocker_run_id = models.BigIntegerField(null=True, blank=True)
    pipeline_run = models.OneToOneField(
        "runs.PipelineRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="occurrence"
    )
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "scheduled_for"], name="schedule_fires_once_per_moment"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.scheduled_for.isoformat()}: {self.decision}"
