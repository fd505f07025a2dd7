"""Channels and messages over the API: addresses are written and never read."""

from typing import Any

import pytest

from alerts import addresses
from alerts.models import Channel, Delivery
from orchestrator_site import tokens
from tests.alerts.facts import make_delivery, make_incident
from tests.factories import NOON, JSONClient, make_client, make_user

pytestmark = pytest.mark.django_db
CHANNELS, DELIVERIES = "/api/v1/alert_channels", "/api/v1/alert_deliveries"
SECRET = "QMQFqWyxoz9DPX8C"
HOOK = {"name": "pager", "kind": "webhook", "address": f"https://hooks.example.com/{SECRET}"}


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["field"] for error in answer.json()["errors"]]


def test_a_channel_is_made_and_its_address_is_never_told() -> None:
    client = make_client()
    made = client.post(CHANNELS, HOOK)
    address = f"{CHANNELS}/{made.json()['id']}"

    told = [made, client.get(address), client.get(CHANNELS), client.patch(address, {"name": "night"})]

    assert made.status_code == 201
    assert made.json()["signing_key"].startswith("whsec_")
    assert not any(SECRET in str(answer.content) for answer in told)
    assert not any("whsec_" in str(answer.content) for answer in told[1:])
    assert addresses.address_of(Channel.objects.get(name="night")) == HOOK["address"]


def test_a_channel_is_changed_and_deleted_as_it_was_read() -> None:
    client = make_client()
    made = client.post(CHANNELS, HOOK)
    address = f"{CHANNELS}/{made.json()['id']}"

    changed = client.patch(address, {"is_active": False}, headers={"If-Match": made["ETag"]})
    stale = client.patch(address, {"is_active": True}, headers={"If-Match": made["ETag"]})
    gone = client.delete(address, headers={"If-Match": changed["ETag"]})

    assert (changed.status_code, stale.status_code, gone.status_code) == (200, 412, 204)
    assert "Someone changed this channel." in stale.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"kind": "pigeon"}, ["kind"]),
        ({"address": ""}, ["address"]),
        ({"address": "ftp://example.com/"}, ["address"]),
        ({"address": "https://a:b@example.com/"}, ["address"]),
        ({"kind": "apprise", "address": "syslog://"}, ["address"]),
        ({"shown_address": "x"}, ["shown_address"]),
        ({"signing_key": "whsec_x"}, ["signing_key"]),
    ],
)
def test_each_wrong_field_is_named_and_nothing_kept(changes: dict[str, Any], fields: list[str]) -> None:
    answer = make_client().post(CHANNELS, HOOK | changes)

    assert fields_of(answer) == fields
    assert SECRET not in str(answer.content)
    assert not Channel.objects.exists()


def test_a_channel_keeps_its_kind_and_a_name_belongs_to_one() -> None:
    client = make_client()
    address = f"{CHANNELS}/{client.post(CHANNELS, HOOK).json()['id']}"

    assert fields_of(client.patch(address, {"kind": "apprise"})) == ["kind"]
    assert client.post(CHANNELS, HOOK).status_code == 409


def test_a_key_is_rotated_by_way_of_two() -> None:
    client = make_client()
    made = client.post(CHANNELS, HOOK).json()
    address = f"{CHANNELS}/{made['id']}"

    new = client.post(f"{address}/rotate_key").json()["signing_key"]
    assert addresses.signing_keys_of(Channel.objects.get()) == [new, made["signing_key"]]
    assert "signing_key" not in client.post(f"{address}/retire_key").json()
    assert addresses.signing_keys_of(Channel.objects.get()) == [new]


def test_a_service_has_no_key_to_rotate() -> None:
    client = make_client()
    made = client.post(CHANNELS, {"name": "chat", "kind": "apprise", "address": "ntfys://ntfy.example.com/alerts"})

    assert "signing_key" not in made.json()
    assert client.post(f"{CHANNELS}/{made.json()['id']}/rotate_key").status_code == 409


def test_a_test_is_a_delivery_that_can_be_read() -> None:
    client = make_client()
    address = f"{CHANNELS}/{client.post(CHANNELS, HOOK).json()['id']}"

    sent = client.post(f"{address}/test")

    assert (sent.status_code, sent.json()["event_type"], sent.json()["state"]) == (201, "test", "waiting")
    assert client.get(f"{DELIVERIES}/{sent.json()['id']}").json() == sent.json()


def test_messages_are_listed_by_state_and_incident_and_sent_again_when_given_up() -> None:
    incident, client = make_incident(), make_client()
    make_delivery(sent_at=NOON)
    failed = make_delivery(incident.changes.get(), given_up_at=NOON, tries=9, last_error="HTTP 503")

    listed = client.get(DELIVERIES, {"state": "failed", "incident_id": incident.pk}).json()["results"]
    again = client.post(f"{DELIVERIES}/{failed.pk}/resend")
    refused = client.post(f"{DELIVERIES}/{again.json()['id']}/resend")

    assert [(row["id"], row["incident_id"], row["last_error"]) for row in listed] == [
        (failed.pk, incident.pk, "HTTP 503")
    ]
    assert (again.status_code, refused.status_code) == (201, 409)
    assert Delivery.objects.count() == 3
    assert fields_of(client.get(DELIVERIES, {"state": "lost"})) == ["state"]


@pytest.mark.parametrize(("scope", "codes"), [("read", [200, 403, 403]), ("run", [403, 403, 200])])
def test_a_token_may_do_what_its_scopes_say(scope: str, codes: list[int]) -> None:
    from django.utils import timezone

    incident, moment = make_incident(), timezone.now()
    _, plain = tokens.issue(
        make_user(), name="t", scopes=[scope], expires_at=moment + tokens.DEFAULT_LIFE, moment=moment
    )
    client = JSONClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plain}")

    answers = [
        client.get("/api/v1/incidents"),
        client.post(CHANNELS, HOOK),
        client.post(f"/api/v1/incidents/{incident.pk}/acknowledge"),
    ]

    assert [answer.status_code for answer in answers] == codes
