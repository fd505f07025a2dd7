"""What the five days left to people: incidents with their histories and messages, rules, channels, calendars."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from alerts.addresses import set_address
from alerts.models import AlertRule, Breach, Change, Channel, ChannelKind, Delivery, Incident, Kind, Severity, Step
from orchestrator_site.models import ApiToken, SavedView
from runs.models import PipelineRun
from schedules.models import Calendar, MaintenanceWindow

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


def fill(now: datetime, admin: User) -> None:
    channels = make_channels(now)
    rules = make_rules(now, channels)
    ada = User.objects.create_user("ada", password="correct horse", is_staff=True)
    runs = PipelineRun.objects.filter(status="failed").select_related("pipeline").order_by("-id")
    for number, run in reversed(list(enumerate(runs[:9]))):
        incident = open_incident(run, rules["A run failed"], times=1 + number % 3 * 2)
        tell(incident, channels, fails=number == 2)
        if number == 1:
            put(incident, Step.ACKNOWLEDGED, "ada", "", acknowledged_at=now - 5 * MINUTE, acknowledged_by="ada")
            put(incident, Step.NOTED, "ada", "The file comes an hour late on Thursdays; it is being asked about.")
        if number == 2:
            put(incident, Step.SNOOZED, "ada", "until tomorrow morning", snoozed_until=now + 15 * HOUR, assignee=ada)
        if number > 3:
            put(incident, Step.CLOSED, "", "The next run completed.", closed_at=incident.last_seen_at + HOUR)
    open_freshness(rules["Weather is fresh"], now)
    make_days(now)
    ApiToken.objects.create(
        user=admin,
        name="deploy from CI",
        key_id="a1b2c3d4",
        key_hash="0" * 64,
        scopes=["read"],
        created_at=now - 9 * DAY,
        last_used_at=now - HOUR,
    )
    SavedView.objects.create(
        user=admin, page="runs:list", name="Failed this week", query="status=failed", created_at=now - DAY
    )


def make_channels(now: datetime) -> list[Channel]:
    found = []
    for name, kind, url in (
        ("on call", ChannelKind.WEBHOOK, "https://hooks.example.com/orchestrator"),
        ("data team", ChannelKind.APPRISE, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#data"),
        ("mail of the morning", ChannelKind.APPRISE, "mailto://sender:secret@mail.example.com?to=team@example.com"),
    ):
        channel = Channel(name=name, kind=kind, created_at=now - 20 * DAY, last_sent_at=now - HOUR)
        set_address(channel, url)
        found.append(channel)
    found[2].problem, found[2].last_failed_at = "The mail server refused the password (535).", now - 3 * HOUR
    for channel in found:
        channel.save()
    return found


def make_rules(now: datetime, channels: list[Channel]) -> dict[str, AlertRule]:
    common: dict[str, Any] = {"created_at": now - 20 * DAY, "updated_at": now - 20 * DAY, "created_by": "ada"}
    AlertRule.objects.create(
        name="Weather is fresh",
        kind=Kind.FRESHNESS,
        settings={"seconds": 21600},
        tag="weather",
        severity=Severity.CRITICAL,
        renotify_every=2 * HOUR,
        **common,
    )
    AlertRule.objects.create(
        name="Slower than usual", kind=Kind.SLOWER, settings={"factor": 2.0, "samples": 20}, is_active=False, **common
    )
    AlertRule.objects.create(
        name="Errors in the heartbeat",
        kind=Kind.LOG_PATTERN,
        settings={"pattern": "gust over"},
        severity=Severity.INFO,
        **common,
    )
    for rule in AlertRule.objects.all():
        rule.channels.set(channels[:2])
    return {rule.name: rule for rule in AlertRule.objects.all()}


def open_incident(run: PipelineRun, rule: AlertRule, times: int) -> Incident:
    assert run.completed_at
    began = run.completed_at - (times - 1) * HOUR
    incident = Incident.objects.create(
        rule=rule,
        fingerprint=f"lively {run.pk}",
        title=f"{run.pipeline.uuid} failed",
        detail=run.reason,
        severity=rule.severity if times < 5 else Severity.WARNING,
        pipeline=run.pipeline,
        run_id=run.pk,
        trigger_id=run.trigger_id,
        runbook_url="https://wiki.example.com/runbooks/failed-runs",
        breaches_count=times,
        opened_at=began,
        last_seen_at=run.completed_at,
        told_at=began,
    )
    for number in range(times):
        at = began + number * HOUR
        Breach.objects.create(
            rule=rule,
            key=f"run {run.pk} {number}",
            incident=incident,
            message=run.reason,
            run_id=run.pk if number == times - 1 else None,
            happened_at=at,
            noted_at=at,
        )
        Change.objects.create(
            incident=incident, step=Step.SEEN_AGAIN if number else Step.OPENED, at=at, message=run.reason
        )
    return incident


def put(incident: Incident, step: Step, by: str, message: str, **fields: Any) -> None:
    at = fields.get("closed_at") or incident.last_seen_at + 4 * MINUTE
    Change.objects.create(incident=incident, step=step, by=by, message=message, at=at)
    for name, value in fields.items():
        setattr(incident, name, value)
    incident.save()


def tell(incident: Incident, channels: list[Channel], fails: bool) -> None:
    change = incident.changes.filter(step=Step.OPENED).get()
    for number, channel in enumerate(channels):
        has_failed = fails and number == 2
        Delivery.objects.create(
            uuid=uuid.uuid5(uuid.NAMESPACE_OID, f"{change.pk} {channel.pk}"),
            change=change,
            channel=channel,
            dedupe_key=f"lively {change.pk} {channel.pk}",
            event_type="incident.opened",
            title=incident.title,
            body=incident.detail,
            tries=6 if has_failed else 1,
            last_error="535 5.7.8 Authentication failed" if has_failed else "",
            created_at=change.at,
            sent_at=None if has_failed else change.at + MINUTE / 40,
            given_up_at=change.at + HOUR if has_failed else None,
        )


def open_freshness(rule: AlertRule, now: datetime) -> None:
    incident = Incident.objects.create(
        rule=rule,
        fingerprint="lively freshness",
        title="weather_bulletin has not completed for 6 h",
        detail="The last completed run ended 6 h 12 min ago.",
        severity=Severity.CRITICAL,
        opened_at=now - 12 * MINUTE,
        last_seen_at=now - MINUTE,
        told_at=now - 12 * MINUTE,
    )
    Change.objects.create(incident=incident, step=Step.OPENED, at=now - 12 * MINUTE, message=incident.detail)


def make_days(now: datetime) -> None:
    Calendar.objects.create(
        name="bavaria", kind="holidays", country="DE", subdivision="BY", description="Public holidays in Bavaria"
    )
    Calendar.objects.create(name="weekends", kind="weekdays", weekdays=["saturday", "sunday"])
    MaintenanceWindow.objects.create(
        name="Warehouse upgrade",
        scope="tag",
        value="energy",
        effect="both",
        starts_at=now + 5 * HOUR,
        ends_at=now + 7 * HOUR,
        reason="Version 17 of Postgres",
    )
    MaintenanceWindow.objects.create(
        name="Nightly backup",
        effect="hold_starts",
        recurrence="0 2 * * *",
        duration=30 * MINUTE,
        timezone="Europe/Berlin",
    )
