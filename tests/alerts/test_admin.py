"""Alerts on the admin site: rules checked as everywhere, channels without secrets, history only to be read."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from alerts import channel_changes
from alerts.models import AlertRule, Kind
from tests.alerts.facts import make_delivery, make_incident, rule_of
from tests.factories import NOON, text_of

pytestmark = pytest.mark.django_db
RULE = {
    "name": "in a row",
    "kind": "consecutive_failures",
    "settings": '{"count": 3}',
    "severity": "warning",
    "timezone": "UTC",
}


@pytest.fixture
def site(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_a_rule_that_makes_sense_is_kept(site: Client) -> None:
    site.post("/admin/alerts/alertrule/add/", RULE)

    rule = AlertRule.objects.get(name="in a row")
    assert (rule.settings, rule.created_by) == ({"count": 3}, "boss")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": '{"count": 1}'}, "outside 2 to 100"),
        ({"kind": "row_count", "settings": '{"low": 1}'}, "Whose rows are counted?"),
        ({"timezone": "Mars/Base"}, "Unknown time zone"),
    ],
)
def test_a_rule_that_makes_none_is_told_beside_its_field(site: Client, changes: dict[str, str], said: str) -> None:
    answer = site.post("/admin/alerts/alertrule/add/", RULE | changes)

    assert said in text_of(answer)
    assert not AlertRule.objects.filter(name="in a row").exists()


def test_rules_are_switched_off_and_on_from_their_list(site: Client) -> None:
    def act(action: str) -> str:
        data = {"action": action, "_selected_action": [rule_of().pk, rule_of(Kind.SLA).pk]}
        return text_of(site.post("/admin/alerts/alertrule/", data, follow=True))

    assert "2 switched off." in act("switch_off")
    assert not rule_of(Kind.SLA).is_active
    assert "2 switched on." in act("switch_on")
    assert rule_of().is_active


def test_a_channel_is_shown_without_its_secrets_and_made_elsewhere(site: Client) -> None:
    fields = {"name": "pager", "kind": "webhook", "address": "https://hooks.example.com/s3cr3t-path", "is_active": True}
    channel, key = channel_changes.create(fields, NOON)
    address = f"/admin/alerts/channel/{channel.pk}/change/"

    text = text_of(site.get(address))
    site.post(address, {"name": "night pager"})

    assert "https://hooks.example.com/…" in text
    assert not any(secret in text for secret in ("s3cr3t", key, channel.address, channel.signing_key))
    channel.refresh_from_db()
    assert (channel.name, channel.is_active) == ("night pager", False)
    assert site.get("/admin/alerts/channel/add/").status_code == 403


def test_two_channels_do_not_share_a_name(site: Client) -> None:
    fields = {"kind": "webhook", "address": "https://hooks.example.com/x"}
    channel = channel_changes.create({**fields, "name": "one"}, NOON)[0]
    channel_changes.create({**fields, "name": "two"}, NOON)

    answer = text_of(site.post(f"/admin/alerts/channel/{channel.pk}/change/", {"name": "two"}))

    assert "already" in answer


@pytest.mark.parametrize("model", ["incident", "breach", "change", "delivery"])
def test_history_is_read_and_not_changed(site: Client, model: str) -> None:
    incident = make_incident("<script>alert(1)</script>")
    rows: dict[str, Any] = {
        "incident": incident,
        "breach": incident.breaches.get(),
        "change": incident.changes.get(),
        "delivery": make_delivery(incident.changes.get()),
    }
    address = f"/admin/alerts/{model}/"

    assert site.get(address, {"q": "1"}).status_code == 200
    assert "<script>alert" not in text_of(site.get(f"{address}{rows[model].pk}/change/"))
    assert site.post(f"{address}{rows[model].pk}/change/", {}).status_code == 403
    assert site.get(f"{address}add/").status_code == 403
