"""What is wrong, since when, who looks after it: one open incident per fingerprint, however often it is seen."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from alerts.models.rules import Severity


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        return self.filter(closed_at=None)

    def loud(self, moment: datetime) -> Self:
        """Open, and nobody has put them aside: neither acknowledged nor snoozed."""
        return self.open().filter(acknowledged_at=None).exclude(snoozed_until__gt=moment)

    def ungathered(self) -> Self:
        """Those that no other stands for: of them people are told, and they are what lists begin with."""
        return self.filter(gathered_in=None)

    def for_list(self) -> Self:
        return self.select_related("rule", "pipeline", "assignee").order_by("-id")


class Incident(models.Model):
    """Something that is wrong. Its state is told by its timestamps."""

    rule = models.ForeignKey("alerts.AlertRule", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    fingerprint = models.CharField(max_length=200)  # alerts.fingerprints: what makes two breaches the same trouble
    title = models.CharField(max_length=300)
    detail = models.TextField(blank=True)  # of the latest breach
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    pipeline = models.ForeignKey(
        "pipelines.Pipeline", null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents"
    )
    trigger_id = models.BigIntegerField(null=True, blank=True)
    block_uuid = models.CharField(max_length=255, blank=True)
    run_id = models.BigIntegerField(null=True, blank=True)  # the latest run that shows it
    runbook_url = models.URLField(max_length=500, blank=True)
    breaches_count = models.PositiveIntegerField(default=1)
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents"
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True)  # "" when it closed itself on recovery
    close_reason = models.CharField(max_length=500, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)  # when a message was last written for it
    # Of many that opened at once (alerts/gathering.py): the incident that stands for them and is told instead.
    gathered_in = models.ForeignKey(
        "self", null=True, blank=True, db_index=False, on_delete=models.SET_NULL, related_name="members"
    )
    members_count = models.PositiveIntegerField(default=0, db_default=0)  # that it ever had; 0: it stands for itself
    members_told = models.PositiveIntegerField(default=0, db_default=0)  # so many when a message was last written

    objects = IncidentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], name="a_trouble_is_one_open_incident", condition=Q(closed_at__isnull=True)
            ),
        ]
        indexes = [
            # header, dashboard, evaluator: what is open
            models.Index(fields=["last_seen_at"], name="incident_open", condition=Q(closed_at__isnull=True)),
            # forgetting: what was closed first
            models.Index(
                fields=["closed_at"],
                name="incident_closed",
                condition=Q(closed_at__isnull=False, gathered_in__isnull=True),
            ),
            # evaluator: whether this trouble was there before
            models.Index(fields=["fingerprint", "id"], name="incident_of_trouble"),
            # pipeline page and list
            models.Index(fields=["pipeline", "id"], name="incident_of_pipeline"),
            # incident page, evaluator: those that one stands for
            models.Index(fields=["gathered_in", "id"], name="incident_member", condition=Q(gathered_in__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk}: {self.title}"

    @property
    def state(self) -> str:
        """One of "open", "acknowledged", "snoozed" (as of its last reading), "closed"."""
        if self.closed_at:
            return "closed"
        if self.snoozed_until:
            return "snoozed"
        return "acknowledged" if self.acknowledged_at else "open"


class Breach(models.Model):
    """One time a rule was broken. `key` names what broke it ("run 17", "occurrence 5"): written once, whoever looks."""

    rule = models.ForeignKey("alerts.AlertRule", on_delete=models.CASCADE, related_name="breaches")
    key = models.CharField(max_length=200)
    incident = models.ForeignKey(Incident, null=True, on_delete=models.CASCADE, related_name="breaches")
    message = models.CharField(max_length=500, blank=True)
    run_id = models.BigIntegerField(null=True, blank=True)
    muted_by = models.CharField(max_length=200, blank=True)  # the maintenance window that keeps it from being told
    happened_at = models.DateTimeField()
    noted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "key"], name="a_breach_is_noted_once"),
        ]
        indexes = [
            # run page: what it broke
            models.Index(fields=["run_id"], name="breach_of_run", condition=Q(run_id__isnull=False)),
            # incident page: the latest of very many
            models.Index(fields=["incident", "id"], name="breach_of_incident"),
        ]
        verbose_name_plural = "breaches"

    def __str__(self) -> str:
        return f"{self.key} broke rule {self.rule_id}"


class Step(models.TextChoices):
    """What happened to an incident."""

    OPENED = "opened"
    SEEN_AGAIN = "seen_again"
    RENOTIFIED = "renotified"
    ESCALATED = "escalated"  # its severity rose
    GREW = "grew"  # it stands for more than people have heard
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    SNOOZED = "snoozed"
    WOKEN = "woken"
    NOTED = "noted"  # somebody wrote something down
    RETRIED = "retried"  # its runs, by somebody
    CLOSED = "closed"


class Change(models.Model):
    """One thing that happened to an incident: its history, and what messages are about."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="changes")
    step = models.CharField(max_length=20, choices=Step.choices)
    by = models.CharField(max_length=150, blank=True)  # "" for the product itself
    message = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            # incident page: the latest of very many
            models.Index(fields=["incident", "id"], name="change_of_incident"),
        ]

    def __str__(self) -> str:
        return f"{self.step} of incident {self.incident_id}"


class Bookmark(models.Model):
    """How far the evaluator has read something, for example the events of runs. Only ever moved forward."""

    name = models.CharField(max_length=40, unique=True)
    position = models.BigIntegerField(default=0)
    at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"
