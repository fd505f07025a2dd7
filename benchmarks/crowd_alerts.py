"""What went wrong in a crowd: incidents with their breaches, changes and messages."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from alerts.models import AlertRule, Breach, Change, Channel, Delivery, Incident, Severity, Step
from benchmarks.crowd_rows import HOUR, SECOND, Fact, ended_at

BREACHES, OPEN = 4, 20  # of each incident; of all incidents, the latest


def make(size: int, found: Sequence[Fact], now: datetime) -> None:
    """So many incidents of runs that failed, the newest twenty of them open."""
    failed = [fact for fact in found if fact.run_id and fact.status == "failed"][-size * BREACHES :]
    rules, channel = list(AlertRule.objects.order_by("id")), make_channel(now)
    groups = [failed[at : at + BREACHES] for at in range(0, len(failed), BREACHES)] or [[]]
    for number, facts in enumerate(groups):
        if facts:
            incident = make_incident(number, facts, rules[0], is_open=number >= len(groups) - OPEN)
            tell(incident, channel)


def make_channel(now: datetime) -> Channel:
    return Channel.objects.create(name="on call", kind="webhook", address="", shown_address="https://…", created_at=now)


def make_incident(number: int, facts: Sequence[Fact], rule: AlertRule, is_open: bool) -> Incident:
    first, last = facts[0], facts[-1]
    incident = Incident.objects.create(
        rule=rule,
        fingerprint=f"crowd {number}",
        title=f"Run {last.run_id} failed",
        detail="ValueError: no rows",
        severity=Severity.CRITICAL if number % 3 else Severity.WARNING,
        pipeline_id=last.shape.pipeline_id,
        run_id=last.run_id,
        breaches_count=len(facts),
        opened_at=ended_at(first),
        last_seen_at=ended_at(last),
        closed_at=None if is_open else ended_at(last) + HOUR,
        acknowledged_at=ended_at(last) + SECOND if number % 2 else None,
    )
    Breach.objects.bulk_create(
        Breach(
            rule=rule,
            key=f"run {fact.run_id}",
            incident=incident,
            message="ValueError: no rows",
            run_id=fact.run_id,
            happened_at=ended_at(fact),
            noted_at=ended_at(fact),
        )
        for fact in facts
    )
    return incident


def tell(incident: Incident, channel: Channel) -> None:
    steps = [Step.OPENED, *[Step.SEEN_AGAIN] * (BREACHES - 1), *([Step.CLOSED] if incident.closed_at else [])]
    changes = Change.objects.bulk_create(
        Change(incident=incident, step=step, message="", at=incident.opened_at + SECOND * number)
        for number, step in enumerate(steps)
    )
    Delivery.objects.bulk_create(
        Delivery(
            uuid=uuid.uuid5(uuid.NAMESPACE_OID, f"{incident.pk} {change.pk}"),
            change=change,
            channel=channel,
            dedupe_key=f"crowd {incident.pk} {change.pk}",
            event_type=f"incident.{change.step}",
            title=incident.title,
            created_at=change.at,
            sent_at=change.at + SECOND,
        )
        for change in changes
        if change.step != Step.SEEN_AGAIN
    )
