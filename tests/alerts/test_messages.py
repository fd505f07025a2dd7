"""What is told of an incident, to whom, and when."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.test import override_settings

from alerts import messages
from alerts.models import AlertRule, Change, Channel, Delivery, Incident, Step
from alerts.quiet_hours import end_of_quiet
from tests.alerts.telling import make_breach, make_change, make_channel, make_incident, make_rule
from tests.factories import NOON, make_pipeline

HOUR = timedelta(hours=1)


@pytest.fixture
def channel(db: None) -> Channel:
    return make_channel()


@pytest.fixture
def rule(channel: Channel) -> AlertRule:
    return make_rule(channel)


@pytest.fixture
def incident(rule: AlertRule) -> Incident:
    return make_incident(rule)


def tell(incident: Incident, step: Step = Step.OPENED, at: datetime = NOON, **fields: str) -> list[Delivery]:
    change = make_change(incident, step, at, **fields)
    messages.write_for(change, at)
    return list(Delivery.objects.filter(change=change))


def test_each_channel_of_the_rule_is_told_once(rule: AlertRule, channel: Channel, incident: Incident) -> None:
    rule.channels.add(make_channel("mail"), make_channel("off", is_active=False))
    change = make_change(incident)

    assert messages.write_for(change, NOON) == 2
    assert messages.write_for(change, NOON) == 0
    told = Delivery.objects.get(channel=channel)
    assert (told.title, told.event_type, told.next_try_at) == ("Warning: etl failed", "incident.opened", NOON)


def test_two_who_write_at_once_write_one_message(
    incident: Incident, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = make_change(incident)
    monkeypatch.setattr(messages, "channels_for", lambda *_: [channel])  # as if neither saw the other's

    for _ in range(2):
        messages.write_for(change, NOON)

    assert Delivery.objects.count() == 1


def test_an_incident_without_a_rule_is_told_to_nobody(incident: Incident) -> None:
    incident.rule = None

    assert tell(incident) == []


@pytest.mark.parametrize("step", [Step.SEEN_AGAIN, Step.ASSIGNED, Step.NOTED, Step.SNOOZED, Step.WOKEN, Step.RETRIED])
def test_what_changes_nothing_for_others_is_not_told(incident: Incident, step: Step) -> None:
    tell(incident)

    assert tell(incident, step) == []


def test_nothing_is_told_while_snoozed(incident: Incident) -> None:
    incident.snoozed_until = NOON + HOUR

    assert tell(incident, Step.ESCALATED) == []
    assert tell(incident, Step.ESCALATED, NOON + HOUR)


def test_what_a_maintenance_window_mutes_is_told_to_nobody(incident: Incident) -> None:
    incident.breaches.update(muted_by="upgrade")

    assert tell(incident) == []
    assert tell(incident, Step.CLOSED) == []


def test_what_goes_on_after_the_maintenance_window_is_told_then(incident: Incident) -> None:
    incident.breaches.update(muted_by="upgrade")
    tell(incident)
    make_breach(incident, "run 18")

    assert tell(incident, Step.RENOTIFIED, NOON + HOUR)


def test_recovery_is_told_where_the_incident_was(rule: AlertRule, channel: Channel, incident: Incident) -> None:
    tell(incident)
    rule.channels.add(make_channel("new since then"))
    later = NOON + timedelta(hours=2, minutes=5)

    [told] = tell(incident, Step.CLOSED, later, message="closed on recovery, lasted 2 h 5 min")

    assert told.channel == channel
    assert told.title == "Recovered after 2 h 5 min: etl failed"
    assert told.body.startswith("closed on recovery")


def test_a_recovery_that_is_found_with_its_trouble_is_told_after_it(incident: Incident) -> None:
    (opened,) = tell(incident)
    incident.told_at = NOON
    (closed,) = tell(incident, Step.CLOSED, NOON - HOUR)

    assert list(Delivery.objects.due(NOON)) == [opened, closed]


def test_recovery_is_not_told_if_the_rule_says_so(rule: AlertRule, incident: Incident) -> None:
    tell(incident)
    rule.tells_recovery = False
    rule.save()
    incident.refresh_from_db()

    assert tell(incident, Step.CLOSED) == []


@pytest.mark.parametrize(
    ("step", "by", "title"),
    [
        (Step.ESCALATED, "", "Now critical: etl failed"),
        (Step.RENOTIFIED, "", "Still open after 1 h: etl failed"),
        (Step.ACKNOWLEDGED, "ada", "Acknowledged by ada: etl failed"),
        (Step.CLOSED, "ada", "Closed by ada after 1 h: etl failed"),
    ],
)
def test_a_title_says_what_changed(incident: Incident, step: Step, by: str, title: str) -> None:
    incident.severity = "critical"
    tell(incident)

    [told] = tell(incident, step, NOON + HOUR, by=by)

    assert told.title == title


@override_settings(PUBLIC_URL="https://jobs.example.org")
def test_a_message_says_since_when_where_and_what_to_read(rule: AlertRule) -> None:
    where = {"pipeline": make_pipeline("etl"), "block_uuid": "load", "run_id": 17}
    incident = make_incident(
        rule, detail="ValueError: no rows", breaches_count=3, runbook_url="https://wiki/etl", **where
    )

    [told] = tell(incident)

    assert told.body.splitlines() == [
        "ValueError: no rows",
        "Since 2025-03-02 12:00:00 UTC, seen 3 times.",
        "Pipeline: etl, block load",
        "Run: https://jobs.example.org/runs/17/",
        "Runbook: https://wiki/etl",
        f"Incident: https://jobs.example.org/incidents/{incident.pk}/",
    ]


def test_programs_are_told_the_same_as_people(incident: Incident, rule: AlertRule) -> None:
    [told] = tell(incident, message="three in a row")

    assert told.data["incident"]["title"] == "etl failed"
    assert told.data["change"] == {"step": "opened", "by": "", "message": "three in a row", "at": NOON.isoformat()}
    assert told.data["rule"] == {"id": rule.pk, "name": rule.name, "kind": "run_failed"}


def test_hostile_names_are_told_as_they_are_written(rule: AlertRule) -> None:
    incident = make_incident(rule, title="{{7*7}} <b>${x} {error}", fingerprint="other")

    [told] = tell(incident)

    assert told.title == "Warning: {{7*7}} <b>${x} {error}"


def test_quiet_hours_put_a_message_off_unless_it_is_critical(rule: AlertRule, incident: Incident) -> None:
    rule.quiet_from, rule.quiet_until = time(11), time(13)
    rule.save()
    incident.refresh_from_db()

    [put_off] = tell(incident)
    incident.severity = "critical"
    [at_once] = tell(incident, Step.ESCALATED)

    assert (put_off.next_try_at, at_once.next_try_at) == (NOON + HOUR, NOON)


def test_writing_a_message_wakes_the_workers(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    rings: list[tuple[str, ...]] = []
    monkeypatch.setattr("runs.bell.ring", lambda *ring: rings.append(ring))

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        tell(incident)

    assert rings == [("queue",)]


def test_changes_cost_a_few_questions_whatever_the_number_of_channels(
    rule: AlertRule, django_assert_max_num_queries: object
) -> None:
    rule.channels.add(*(make_channel(f"channel {number}") for number in range(20)))
    change: Change = make_change(make_incident(rule))

    with django_assert_max_num_queries(6):  # type: ignore[operator]
        assert messages.write_for(Change.objects.get(pk=change.pk), NOON) == 21


@pytest.mark.parametrize(
    ("clock", "begins", "ends", "until"),
    [
        ("12:00", time(22), time(7), None),
        ("23:30", time(22), time(7), "2025-03-03T06:00"),  # over midnight, in Berlin's winter
        ("05:59", time(22), time(7), "2025-03-02T06:00"),
        ("06:00", time(22), time(7), None),
        ("12:00", time(13), time(14), "2025-03-02T13:00"),
        ("13:00", time(13), time(14), None),
        ("12:00", time(8), time(8), None),
        ("12:00", None, time(8), None),
    ],
)
def test_quiet_hours_are_those_of_the_rules_zone(
    clock: str, begins: time | None, ends: time | None, until: str | None
) -> None:
    moment = datetime.fromisoformat(f"2025-03-02T{clock}:00+00:00")

    found = end_of_quiet(moment, begins, ends, "Europe/Berlin")

    assert found == (until and datetime.fromisoformat(f"{until}:00+00:00"))


def test_quiet_hours_end_by_the_clock_on_the_day_that_is_23_hours_long() -> None:
    night = datetime(2025, 3, 29, 22, tzinfo=UTC)  # clocks go forward in Berlin at 1:00 UTC

    assert end_of_quiet(night, time(22), time(7), "Europe/Berlin") == datetime(2025, 3, 30, 5, tzinfo=UTC)


def test_a_zone_that_is_not_known_here_is_read_as_utc() -> None:
    assert end_of_quiet(NOON, time(11), time(13), "Mars/Olympus") == NOON + HOUR


def test_how_long_it_lasted_is_told_as_on_the_pages(rule: AlertRule) -> None:
    incident = make_incident(rule)

    assert titles(incident, Step.RENOTIFIED, NOON + 2 * HOUR + timedelta(minutes=5)) == "Still open after 2 h 5 min"
    assert titles(incident, Step.RENOTIFIED, NOON - HOUR) == "Still open after 0 s"


def titles(incident: Incident, step: Step, at: datetime) -> str:
    return messages.title_of(make_change(incident, step, at)).partition(":")[0]
