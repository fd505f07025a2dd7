"""Rows of alerts for tests."""

import uuid
from datetime import datetime
from typing import Any

from alerts import incidents
from alerts.models import AlertRule, Breach, Change, Channel, ChannelKind, Delivery, Incident, Kind
from tests.factories import NOON


def rule_of(kind: Kind = Kind.RUN_FAILED) -> AlertRule:
    """The rule of a kind that the migrations write."""
    return AlertRule.objects.get(kind=kind)


def make_incident(
    title: str = "etl failed", *, at: datetime = NOON, kind: Kind = Kind.RUN_FAILED, **fields: Any
) -> Incident:
    """An incident that was opened at `at` by the first breach of its fingerprint, which is its title."""
    count, name = Breach.objects.count(), title[:100].replace("\x00", "")
    fields = {"fingerprint": name, "message": f"message of {title}"[:500], **fields}
    incident = incidents.record(rule_of(kind), f"key {count} {name}", at, title=title, **fields)
    assert incident is not None
    return incident


def make_channel(name: str = "ops", kind: ChannelKind = ChannelKind.APPRISE, **fields: Any) -> Channel:
    defaults = {"address": "a token", "shown_address": "slack://T…/…", "created_at": NOON}
    return Channel.objects.create(name=name, kind=kind, **defaults | fields)


def make_delivery(change: Change | None = None, channel: Channel | None = None, **fields: Any) -> Delivery:
    name = uuid.uuid4()
    defaults = {
        "uuid": name,
        "dedupe_key": str(name),
        "event_type": "incident.opened",
        "title": "etl failed",
        "created_at": NOON,
        "next_try_at": NOON,
    }
    return Delivery.objects.create(change=change, channel=channel, **defaults | fields)
