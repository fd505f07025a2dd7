"""What the pages of alerts say where there is nothing, of what is wrong, and of a deed before it is done."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from alerts import incidents
from alerts.models import Delivery, Incident, Kind, Severity
from runs.states import BlockStatus, RunStatus
from tests.alerts.facts import make_channel, make_delivery, make_incident, rule_of
from tests.factories import make_pipeline, make_run, make_user, text_of

pytestmark = pytest.mark.django_db


def seen(page: Client, address: str, **query: Any) -> str:
    return " ".join(text_of(page.get(address, query)).split())


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "Nothing is wrong.</p><p>An incident opens when a"),
        ({"state": "acknowledged"}, "No incident is acknowledged."),
        ({"state": "snoozed"}, "No incident is snoozed."),
        ({"state": "closed"}, "No incident is closed."),
        ({"state": "all"}, "There has been no incident yet."),
        ({"q": "x"}, "No incident that is open fits these filters."),
        ({"q": "x", "state": "closed"}, "No incident that is closed fits these filters."),
        ({"q": "x", "state": "all"}, "No incident fits these filters."),
        ({"before": "1"}, "There are no older incidents."),
    ],
)
def test_an_empty_list_of_incidents_says_what_it_is_empty_of(page: Client, query: dict[str, str], words: str) -> None:
    assert words in seen(page, "/incidents/", **query)


def test_what_somebody_looks_after_is_not_called_nothing(page: Client) -> None:
    incidents.acknowledge(make_incident(), timezone.now(), "ada")

    assert "Nothing is wrong that nobody looks after." in seen(page, "/incidents/")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "No message has been written yet."),
        ({"state": "failed"}, "No message fits these filters."),
        ({"before": "1"}, "There are no older messages."),
    ],
)
def test_an_empty_log_of_messages_says_what_it_is_empty_of(page: Client, query: dict[str, str], words: str) -> None:
    assert words in seen(page, "/incidents/deliveries/", **query)


def test_a_rule_is_listed_with_its_reminders_and_its_quiet_hours(page: Client) -> None:
    rule = rule_of(Kind.RUN_FAILED)
    rule.renotify_every, rule.quiet_from, rule.quiet_until = timedelta(hours=4), time(22), time(6, 30)
    rule.timezone = "Europe/Berlin"
    rule.save()

    text = seen(page, "/incidents/rules/")

    assert "· reminds every 4 h 00 min" in text
    assert "· quiet 22:00 to 06:30 Europe/Berlin" in text


# --- a rule -----------------------------------------------------------------------------------------------------------

NEW = {"kind": "run_failed", "timezone": "Europe/Berlin", "is_active": "on", "name": "x"}


@pytest.mark.parametrize(
    ("severity", "words"),
    [
        ("critical", "Critical ones are told in quiet hours too."),
        ("warning", "What happens from 22:00 to 06:00 (Europe/Berlin) is told at 06:00."),
    ],
)
def test_what_quiet_hours_mean_is_told_while_they_are_typed(page: Client, severity: str, words: str) -> None:
    sent = {**NEW, "severity": severity, "quiet_from": "22:00", "quiet_until": "06:00"}

    assert words in " ".join(text_of(page.post("/incidents/rules/preview/", sent)).split())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"quiet_from": "22:00"}, "Quiet hours have a beginning and an end. For example from 22:00 to 06:00."),
        ({"quiet_until": "06:00"}, "Quiet hours have a beginning and an end. For example from 22:00 to 06:00."),
        ({"quiet_from": "06:00", "quiet_until": "06:00"}, "Quiet hours end when they begin."),
        ({"quiet_from": "ten"}, "Use hours and minutes, for example 22:00."),
        ({"timezone": "Mars/Base"}, "Unknown time zone. Use an IANA name such as Europe/Berlin, or UTC."),
        ({"timezone": "Europe/Berlni"}, "Unknown time zone. Did you mean Europe/Berlin?"),
        ({"renotify_every": "10 s"}, "Reminders cannot come so often, or so seldom. Every minute at the most"),
        ({"renotify_every": "31 days"}, "Reminders cannot come so often, or so seldom."),
        ({"runbook_url": "wiki"}, "The runbook needs an http:// or https:// address. For example https://wiki"),
        ({"severity": "loud"}, "loud is none of:"),
        ({"kind": "boredom"}, "boredom is none of:"),
        ({"kind": "freshness", "fresh_for": "6 h"}, "Whose runs should complete so often? Name a pipeline, a tag or"),
        ({"kind": "freshness", "pipeline_tag": "a"}, "Write a length of time, for example 6 h or 90 min."),
        ({"kind": "row_count", "low": "1"}, "Whose rows are counted? Name a block."),
        ({"kind": "consecutive_failures", "count": "1"}, "count is 1, which is outside 2 to 100. How many failed runs"),
        ({"kind": "consecutive_failures", "count": "2.5"}, "count is 2.5, which is no whole number."),
        ({"kind": "consecutive_failures", "count": "some"}, "count is no number."),
        ({"kind": "slower", "factor": "0.5"}, "factor is 0.5, which is outside 1 to 1000. How many times the p95"),
        ({"kind": "slower", "samples": "2"}, "samples is 2, which is outside 3 to 100."),
        ({"kind": "log_pattern", "pattern": " * "}, "pattern is missing, or has nothing but * in it."),
        ({"kind": "deadline", "finish_within": "soon"}, "Write a length of time, for example 6 h or 90 min."),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_what_would_be_right(
    page: Client, typed: dict[str, str], said: str
) -> None:
    answer = page.post("/incidents/rules/new/", {**NEW, "severity": "warning", **typed})

    assert answer.status_code == 422
    told = " ".join(str(error) for errors in answer.context["form"].errors.values() for error in errors)
    assert said in told


def test_a_rule_that_nobody_can_be_told_of_leads_to_where_a_channel_is_made(page: Client) -> None:
    text = seen(page, "/incidents/rules/new/")

    assert "There is no channel yet: incidents of this rule are only shown here." in text
    assert 'href="/incidents/channels/new/">Make a channel</a>' in text


def test_a_channel_that_is_off_is_named_so_where_rules_choose_it(page: Client) -> None:
    make_channel("ops")
    make_channel("night", is_active=False)

    text = seen(page, "/incidents/rules/new/")

    assert "night (switched off)" in text
    assert "ops (switched off)" not in text


def test_before_a_rule_is_deleted_it_is_said_what_stays(page: Client) -> None:
    text = seen(page, f"/incidents/rules/{rule_of().pk}/")

    assert "Its incidents stay, without the list of how often they were seen." in text


# --- a channel --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "words"), [(0, "The log of"), (1, "1 rule tells it, and"), (2, "2 rules tell it")])
def test_before_a_channel_is_deleted_it_is_said_who_tells_it(page: Client, rules: int, words: str) -> None:
    channel = make_channel()
    channel.rules.set([rule_of(Kind.RUN_FAILED), rule_of(Kind.SLA)][:rules])

    text = seen(page, f"/incidents/channels/{channel.pk}/")

    assert words in text
    assert ("will not any more" in text) is bool(rules)


def test_a_channel_to_which_nothing_was_sent_says_what_to_do(page: Client) -> None:
    text = seen(page, f"/incidents/channels/{make_channel().pk}/")

    assert "Nothing has been sent yet. Send a test to see whether the address works." in text
    assert "No rule tells this channel." in text
    assert "<dt>Last sent</dt><dd>never</dd>" in text
    assert "Make a new signing key?" not in text, "only webhooks are signed"


def test_a_webhook_says_how_its_messages_are_signed(page: Client) -> None:
    page.post("/incidents/channels/new/", {"name": "hook", "kind": "webhook", "address": "https://hooks.example.com/x"})
    [channel] = page.get("/incidents/channels/").context["channels"]
    address = f"/incidents/channels/{channel.pk}/"

    assert "Messages carry a signature of Standard Webhooks." in seen(page, address)
    assert "Make a new signing key?" in seen(page, address)

    page.post(f"{address}rotate/")

    assert "Messages are signed with two keys, the new one and the one before." in seen(page, address)
    assert "Retire the old key" in seen(page, address)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": ""}, "Name: 1–100 printable characters."),
        ({"name": "x" * 101}, "at most 100 characters (it has 101)."),
        ({"name": "ops"}, "A channel named ops exists already. Choose another name."),
        ({"address": ""}, "Where shall messages go? For example slack://… or https://…."),
        ({"address": "https://a b/"}, "The address is empty, too long, or has spaces."),
        (
            {"address": "ftp://x/"},
            "A webhook needs an http:// or https:// address. For example https://hooks",
        ),
        (
            {"address": "https://u:p@x.example/"},
            "The address may not hold a user and a password. Receivers can",
        ),
        ({"kind": "apprise", "address": "nonsense"}, "The address names no service. Use for example slack://…"),
        ({"kind": "apprise", "address": "syslog://"}, "'syslog' is not a service we send to. Use for example slack://"),
        ({"kind": "apprise", "address": "slack://"}, "apprise cannot read the address."),
        ({"kind": "pigeon"}, "pigeon"),
    ],
)
def test_what_is_wrong_with_a_channel_is_told_with_what_would_be_right(
    page: Client, sent: dict[str, str], said: str
) -> None:
    make_channel("ops")
    fields = {"name": "hook", "kind": "webhook", "address": "https://hooks.example.com/x", "is_active": "on"}

    answer = page.post("/incidents/channels/new/", fields | sent)

    assert answer.status_code == 422
    told = " ".join(str(error) for errors in answer.context["form"].errors.values() for error in errors)
    assert said in told


def test_only_a_message_that_was_given_up_is_sent_again(page: Client) -> None:
    delivery = make_delivery(channel=make_channel())

    said = text_of(page.post(f"/incidents/deliveries/{delivery.pk}/resend/", follow=True))

    assert "is still being tried" in said
    assert Delivery.objects.count() == 1


# --- an incident ------------------------------------------------------------------------------------------------------


def test_an_incident_whose_runs_retention_removed_says_so(page: Client) -> None:
    incident = make_incident(run_id=4711)

    assert "Its runs are there no more: retention has removed them." in seen(page, f"/incidents/{incident.pk}/")


def test_an_incident_offers_to_be_given_to_oneself_to_others_or_to_nobody(page: Client, ada: User) -> None:
    make_user("bob")
    incident = make_incident()
    text = seen(page, f"/incidents/{incident.pk}/")
    assert "To me</button>" in text
    assert "<option>bob</option>" in text
    assert "To nobody" not in text

    incidents.assign(incident, timezone.now(), "ada", ada)
    text = seen(page, f"/incidents/{incident.pk}/")

    assert "To nobody</button>" in text
    assert "To me</button>" not in text


@pytest.mark.parametrize("span", ["For an hour", "Until the morning, 08:00", "Until Monday, 08:00", "For a week"])
def test_an_incident_can_be_put_aside_for_some_lengths_of_time(page: Client, span: str) -> None:
    assert span in seen(page, f"/incidents/{make_incident().pk}/")


def test_before_an_incident_is_closed_it_is_said_what_opens_another(page: Client) -> None:
    text = seen(page, f"/incidents/{make_incident().pk}/")

    assert "Close this incident?" in text
    assert "If the trouble is seen again, a new incident opens." in text


def test_a_run_of_an_open_incident_leads_to_it_and_says_who_looks_after_it(page: Client, ada: User) -> None:
    run = make_run(status=RunStatus.FAILED)
    incident = make_incident(run_id=run.pk, pipeline=run.pipeline)
    incidents.assign(incident, timezone.now(), "ada", ada)

    text = seen(page, f"/runs/{run.pk}/")

    assert f'href="/incidents/{incident.pk}/"' in text
    assert "ada looks after it" in text


def test_more_runs_than_begin_at_once_are_told_to_be_left(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "RETRIED_AT_ONCE", 1)
    pipeline = make_pipeline()
    runs = [make_run(pipeline, status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED}) for _ in range(2)]
    incident = make_incident(run_id=runs[0].pk)
    make_incident(run_id=runs[1].pk)
    address = f"/incidents/{incident.pk}/retry/"

    asked = seen(page, address)
    page.post(address)

    assert "At most 1 begin at once, the oldest first; press again for the rest." in asked
    assert "1 of 1 failed runs began again; more are left" in incident.changes.get(step="retried").message


@pytest.mark.parametrize(
    ("verb", "promise"),
    [
        ("acknowledge", "You look after them: no reminders come any more, and whoever was told of them is told that."),
        ("snooze", "They are put aside: nothing is told of them until then. They go on being watched."),
        ("close", "They are closed by you. If the trouble is seen again, a new incident opens."),
    ],
)
def test_before_many_incidents_are_acted_on_it_is_said_what_that_does(page: Client, verb: str, promise: str) -> None:
    make_incident(severity=Severity.CRITICAL)

    text = " ".join(text_of(page.post("/incidents/bulk/", {"verb": verb, "which": "all"})).split())

    assert f"{verb.capitalize()} 1 incident?" in text
    assert promise in text
    assert ("For how long" in text) is (verb == "snooze")
    assert Incident.objects.open().count() == 1
