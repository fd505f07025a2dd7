"""What people are told about an incident, and the deliveries that tell it: one per change and channel."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from alerts.models import AlertRule, Breach, Change, Channel, Delivery, Incident, Severity, Step
from alerts.quiet_hours import end_of_quiet
from runs import events
from schedules.reasons.drift import about

TOLD = (Step.OPENED, Step.ESCALATED, Step.GREW, Step.RENOTIFIED, Step.ACKNOWLEDGED, Step.CLOSED)
TITLE, BODY = 300, 20_000  # characters
MEMBERS = 20  # that are named in a message
GATHERING = timedelta(seconds=10)  # in which who else belongs to a trouble of many comes to be known


def write_for(change: Change, moment: datetime) -> int:
    """Write the deliveries that tell of a change, within the caller's transaction; return how many.

    Rings after the commit, so that somebody sends them. Calling it again for the same change writes nothing twice.
    """
    incident = change.incident
    rule = incident.rule
    if rule is None or incident.gathered_in_id is not None or not is_told(change, rule, moment):
        return 0
    told = [delivery_of(change, channel, rule, moment) for channel in channels_for(change, rule)]
    if told:
        # Another who writes for the same change at this moment has made the same rows.
        Delivery.objects.bulk_create(told, ignore_conflicts=True)
        events.publish_work()
    return len(told)


def is_told(change: Change, rule: AlertRule, moment: datetime) -> bool:
    """Tell whether people want to hear of it: not while snoozed, not what a maintenance window mutes.

    One that stands for many is told if any of them would be.
    """
    incident = change.incident
    if incident.snoozed_until is not None and incident.snoozed_until > moment:
        return False
    if change.step == Step.CLOSED and not rule.tells_recovery:
        return False
    if change.step in (Step.ACKNOWLEDGED, Step.CLOSED):
        return True  # to those who were told before: nobody, if everything was muted
    if change.step == Step.RENOTIFIED:
        return True  # written only where no window mutes it any more
    if change.step not in TOLD:
        return False
    if incident.members_count:
        return Breach.objects.filter(incident__gathered_in=incident, muted_by="").exists()
    latest = incident.breaches.order_by("-id").first()
    return latest is None or not latest.muted_by


def channels_for(change: Change, rule: AlertRule) -> QuerySet[Channel]:
    """Those of the rule that are switched on; what is acknowledged or over is told where the incident was."""
    found = rule.channels.filter(is_active=True).order_by("id")
    if change.step in (Step.ACKNOWLEDGED, Step.CLOSED):
        told = Delivery.objects.filter(change__incident=change.incident_id).values("channel")
        found = found.filter(pk__in=told)
    # Written before: one message per change and channel.
    return found.exclude(pk__in=Delivery.objects.filter(change=change.pk, channel__isnull=False).values("channel"))


def delivery_of(change: Change, channel: Channel, rule: AlertRule, moment: datetime) -> Delivery:
    quiet = None
    if change.incident.severity != Severity.CRITICAL:
        quiet = end_of_quiet(moment, rule.quiet_from, rule.quiet_until, rule.timezone)
    # Never before what was told of it last: a recovery is of when the run ended, and may be found with the trouble.
    earliest = max(moment, change.incident.told_at or moment)
    is_counting = change.incident.members_count > 0 and change.step == Step.OPENED
    return Delivery(
        uuid=uuid.uuid4(),
        change=change,
        channel=channel,
        run_id=change.incident.run_id,
        dedupe_key=f"change {change.pk} channel {channel.pk}",
        event_type=f"incident.{change.step}",
        created_at=moment,
        next_try_at=quiet or (earliest + GATHERING if is_counting else earliest),
        **says(change, rule),
    )


def says(change: Change, rule: AlertRule) -> dict[str, Any]:
    """Return the fields of a delivery that say what is told."""
    return {"title": title_of(change)[:TITLE], "body": body_of(change)[:BODY], "data": data_of(change, rule)}


# --- words ----------------------------------------------------------------------------------------------------------


def title_of(change: Change) -> str:
    incident = change.incident
    lasted = about(max(change.at - incident.opened_at, timedelta(0)))
    match change.step:
        case Step.ESCALATED:
            return f"Now {incident.severity}: {incident.title}"
        case Step.GREW:
            return f"Now {incident.title}"
        case Step.RENOTIFIED:
            return f"Still open after {lasted}: {incident.title}"
        case Step.ACKNOWLEDGED:
            return f"Acknowledged{by(change)}: {incident.title}"
        case Step.CLOSED:
            return f"{f'Closed{by(change)}' if change.by else 'Recovered'} after {lasted}: {incident.title}"
    return f"{incident.severity.capitalize()}: {incident.title}"


def by(change: Change) -> str:
    return f" by {change.by}" if change.by else ""


def body_of(change: Change) -> str:
    incident = change.incident
    lines = [
        *texts(incident, change.message, incident.detail if change.step != Step.CLOSED else ""),
        f"Since {incident.opened_at:%Y-%m-%d %H:%M:%S} UTC{seen(incident)}.",
        *members(change),
        *whereabouts(incident),
    ]
    return "\n".join(lines)


def texts(incident: Incident, *given: str) -> list[str]:
    """Those that say something, none of them twice, and not what the title says."""
    return list(dict.fromkeys(text for each in given if (text := each.strip()) and text != incident.title))


def members(change: Change) -> Iterable[str]:
    """Name those that it stands for; when it is over there is nothing to do about them."""
    incident = change.incident
    if not incident.members_count or change.step == Step.CLOSED:
        return
    found = incident.members.filter(closed_at=None).order_by("id")
    for member in found[:MEMBERS]:
        yield f"- {member.title}: {url_of(member)}"
    if (more := found.count() - MEMBERS) > 0:
        yield f"- and {more:,} more"


def seen(incident: Incident) -> str:
    if incident.members_count:
        return ""
    return f", seen {incident.breaches_count:,} times" if incident.breaches_count > 1 else ""


def whereabouts(incident: Incident) -> Iterable[str]:
    if incident.pipeline:
        yield f"Pipeline: {incident.pipeline.uuid}" + (f", block {incident.block_uuid}" if incident.block_uuid else "")
    if incident.run_id and not incident.members_count:
        yield f"Run: {url_of_run(incident.run_id)}"
    if incident.runbook_url:
        yield f"Runbook: {incident.runbook_url}"
    yield f"Incident: {url_of(incident)}"


def url_of(incident: Incident) -> str:
    return f"{settings.PUBLIC_URL}/incidents/{incident.pk}/"


def url_of_run(run_id: int) -> str:
    return f"{settings.PUBLIC_URL}/runs/{run_id}/"


# --- for programs ---------------------------------------------------------------------------------------------------


def data_of(change: Change, rule: AlertRule) -> dict[str, Any]:
    """Return the `data` of the CloudEvent: what the words say, for programs."""
    incident = change.incident
    return {
        "incident": {
            "id": incident.pk,
            "state": incident.state,
            "severity": incident.severity,
            "title": incident.title,
            "detail": incident.detail,
            "fingerprint": incident.fingerprint,
            "breaches": incident.breaches_count,
            "members": incident.members_count,
            "opened_at": incident.opened_at.isoformat(),
            "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
            "runbook_url": incident.runbook_url,
            "url": url_of(incident),
        },
        "change": {"step": change.step, "by": change.by, "message": change.message, "at": change.at.isoformat()},
        "rule": {"id": rule.pk, "name": rule.name, "kind": rule.kind},
        "pipeline": incident.pipeline.uuid if incident.pipeline else None,
        "block": incident.block_uuid or None,
        "run": {"id": incident.run_id, "url": url_of_run(incident.run_id)} if incident.run_id else None,
    }
