"""Rows of alerts for tests."""

import uuid
from datetime import datetime
from typing import Any

from alerts import gathering, incidents
from alerts.models import AlertRule, Breach, Change, Channel, ChannelKind, Delivery, Incident, Kind
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run


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


def make_many(count: int = 8, *, at: datetime = NOON) -> Incident:
    """The incident that stands for as many pipelines, load_0 and so on, each with a run that failed at `at`."""
    troubles = {}
    for number in range(count):
        run = make_run(make_pipeline(f"load_{number}"), status=RunStatus.FAILED)
        title, message = f"load_{number} failed", f"Run {run.pk}: no database"
        about = {"pipeline": run.pipeline, "run_id": run.pk, "happened_at": at}
        troubles[title] = [incidents.Found(key=f"run {run.pk}", title=title, message=message, **about)]
    found = gathering.record_all(rule_of(), troubles, at)["load_0 failed"]
    assert found is not None
    assert found.gathered_in is not None
    return found.gathered_in


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
