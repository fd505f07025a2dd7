"""What people want to be told of."""

from typing import Self

from django.db import models


class Severity(models.TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Kind(models.TextChoices):
    """What a rule watches. In brackets: the names of its `settings`, which alerts/kinds.py reads and checks."""

    RUN_FAILED = "run_failed"
    BLOCK_FAILED = "block_failed"
    CONSECUTIVE_FAILURES = "consecutive_failures"  # [count]
    SLA = "sla", "SLA passed"  # of a run or a block, as its schedule, pipeline or block says
    DEADLINE = "deadline"  # [seconds, since ("due" | "start")]: an SLA of the rule's own
    FRESHNESS = "freshness"  # [seconds]: a completed run at least so often
    SLOWER = "slower", "slower than usual"  # [factor, samples]: longer than p95 × factor
    QUEUE_TIME = "queue_time"  # [seconds]: waited longer than this to begin
    OCCURRENCE_MISSED = "occurrence_missed"  # [decisions]: missed, expired, skipped
    UNHEALTHY = "unhealthy"  # scheduler, workers, executor, storage
    LOG_PATTERN = "log_pattern"  # [pattern]
    ROW_COUNT = "row_count"  # [low, high] of what a block returned
    DELIVERY_FAILED = "delivery_failed"


class AlertRuleQuerySet(models.QuerySet["AlertRule"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def for_list(self) -> Self:
        return self.select_related("pipeline").prefetch_related("channels").order_by("name", "id")


class AlertRule(models.Model):
    """One thing to be told of: what (kind, settings), about whom (scope), how loudly, through which channels.

    The scope narrows: each of `pipeline`, `tag`, `trigger_id`, `block_uuid` that is set must match.
    """

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=30, choices=Kind.choices)
    settings = models.JSONField(default=dict, blank=True)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    is_active = models.BooleanField(default=True)
    pipeline = models.ForeignKey(
        "pipelines.Pipeline", null=True, blank=True, on_delete=models.CASCADE, related_name="alert_rules"
    )
    tag = models.CharField(max_length=100, blank=True)
    trigger_id = models.BigIntegerField(null=True, blank=True)
    block_uuid = models.CharField(max_length=255, blank=True)
    channels = models.ManyToManyField("alerts.Channel", blank=True, related_name="rules")
    tells_recovery = models.BooleanField(default=True)
    gathers = models.BooleanField(default=True, db_default=True)  # many incidents at once are told as one
    renotify_every = models.DurationField(null=True, blank=True)  # while open and not acknowledged
    quiet_from = models.TimeField(null=True, blank=True)  # messages wait until `quiet_until`, unless critical
    quiet_until = models.TimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")  # of the quiet hours
    runbook_url = models.URLField(max_length=500, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = AlertRuleQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
