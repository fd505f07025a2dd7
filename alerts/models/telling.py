"""Where messages go, and each message with how it fared."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q


class ChannelKind(models.TextChoices):
    APPRISE = "apprise"  # Slack, Teams, Discord, Telegram, Opsgenie, PagerDuty, ntfy, e-mail, … by apprise's URLs
    WEBHOOK = "webhook"  # ours: Standard Webhooks with CloudEvents bodies


class Channel(models.Model):
    """Where messages go. The address holds passwords and tokens: it is encrypted, and never shown whole."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=ChannelKind.choices)
    address = models.TextField()  # a Fernet token (alerts/addresses.py): an apprise URL, or an https address
    shown_address = models.CharField(max_length=200)  # what may be seen of it: "slack://T…/…"
    signing_key = models.TextField(blank=True)  # a Fernet token of "whsec_…"; webhooks only
    is_active = models.BooleanField(default=True)
    problem = models.CharField(max_length=500, blank=True)  # why it was switched off, or why the last message failed
    last_sent_at = models.DateTimeField(null=True, blank=True)
    last_failed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


TEST = "test"  # the `event_type` of a message that only tries a channel


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, moment: datetime) -> Self:
        """To be sent now, and held by nobody; the oldest first."""
        return self.filter(sent_at=None, given_up_at=None, next_try_at__lte=moment).order_by("next_try_at", "id")

    def failed(self) -> Self:
        return self.filter(given_up_at__isnull=False)


class Delivery(models.Model):
    """A message to one channel, about a change of an incident or of a run (`notification_config`), sent at least once.

    `uuid` is the same in every try, so that a receiver can tell a repetition. Its state is told by its timestamps.
    """

    uuid = models.UUIDField(unique=True)
    change = models.ForeignKey(
        "alerts.Change", null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    channel = models.ForeignKey(
        "alerts.Channel", null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    # Of a message that a project's or pipeline's notification_config asks for: "slack_config", "email_config", …
    service = models.CharField(max_length=40, blank=True)
    pipeline_uuid = models.CharField(max_length=200, blank=True)  # whose notification_config says where
    run_id = models.BigIntegerField(null=True, blank=True)
    dedupe_key = models.CharField(max_length=200, unique=True)  # one message per change and channel, whoever writes it
    event_type = models.CharField(max_length=60)  # "incident.opened", "run.failed", …, "test"
    title = models.CharField(max_length=300)
    body = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)  # of the CloudEvent
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)  # put off while somebody sends it: a lease
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            # courier: what is to be sent next
            models.Index(
                fields=["next_try_at"],
                name="delivery_due",
                condition=Q(sent_at__isnull=True, given_up_at__isnull=True),
            ),
            # evaluator: what could not be delivered
            models.Index(fields=["given_up_at"], name="delivery_given_up", condition=Q(given_up_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}: {self.title}"

    @property
    def state(self) -> str:
        """One of "sent", "failed", "trying", "waiting"."""
        if self.sent_at or self.given_up_at:
            return "sent" if self.sent_at else "failed"
        return "trying" if self.tries else "waiting"
