"""Rows for the tests of messages: the least that is valid."""

import uuid
from datetime import datetime
from typing import Any

from alerts import addresses
from alerts.models import AlertRule, Breach, Change, Channel, ChannelKind, Delivery, Incident, Step
from tests.factories import NOON

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def make_channel(name: str = "chat", url: str = "", **fields: Any) -> Channel:
    """A webhook of ours, or what apprise sends to if the address is one of apprise's."""
    url = url or f"https://hooks.example.org/{name.replace(' ', '-')}"
    kind = ChannelKind.WEBHOOK if url.startswith("http") else ChannelKind.APPRISE
    channel = Channel(name=name, **{"kind": kind, "created_at": NOON} | fields)
    addresses.set_address(channel, url)
    if kind == ChannelKind.WEBHOOK:
        addresses.set_signing_key(channel, KEY)
    channel.save()
    return channel


def make_rule(*channels: Channel, **fields: Any) -> AlertRule:
    defaults = {"name": "nightly loads fail", "kind": "run_failed", "created_at": NOON, "updated_at": NOON}
    rule = AlertRule.objects.create(**defaults | fields)
    rule.channels.set(channels)
    return rule


def make_incident(rule: AlertRule, **fields: Any) -> Incident:
    defaults = {"fingerprint": "run_failed etl", "title": "etl failed", "opened_at": NOON, "last_seen_at": NOON}
    incident = Incident.objects.create(rule=rule, **defaults | fields)
    make_breach(incident)
    return incident


def make_breach(incident: Incident, key: str = "run 17", **fields: Any) -> Breach:
    assert incident.rule is not None
    times = {"happened_at": NOON, "noted_at": NOON}
    return Breach.objects.create(rule=incident.rule, incident=incident, key=key, **times | fields)


def make_change(incident: Incident, step: Step = Step.OPENED, at: datetime = NOON, **fields: Any) -> Change:
    return Change.objects.create(incident=incident, step=step, at=at, **fields)


def make_delivery(channel: Channel | None, **fields: Any) -> Delivery:
    unique = uuid.uuid4()
    defaults = {
        "uuid": unique,
        "dedupe_key": str(unique),
        "event_type": "incident.opened",
        "title": "Critical: etl failed",
        "created_at": NOON,
        "next_try_at": NOON,
    }
    return Delivery.objects.create(channel=channel, **defaults | fields)
