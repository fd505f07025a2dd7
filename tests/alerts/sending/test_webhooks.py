"""Our webhooks, read by a receiver that knows only the specifications."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from alerts.models import Delivery
from alerts.sending import webhooks
from tests.alerts.receivers import Got, Receiver
from tests.alerts.telling import KEY, make_channel, make_delivery
from tests.factories import NOON

OTHER_KEY = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def verifies(got: Got, key: str) -> bool:
    """Standard Webhooks, as a receiver would write it."""
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.{got.body.decode()}"
    wanted = hmac.digest(base64.b64decode(key[6:]), signed.encode(), hashlib.sha256)
    given = [part.split(",", 1) for part in got.headers["webhook-signature"].split()]
    return any(version == "v1" and base64.b64decode(mac) == wanted for version, mac in given)


@pytest.fixture
def delivery(db: None) -> Delivery:
    incident = {"incident": {"id": 12, "severity": "critical"}}
    return make_delivery(make_channel(), body="ValueError: ä", data=incident)


def send(delivery: Delivery, server: Receiver, *keys: str) -> Got:
    assert webhooks.send(delivery, f"{server.url}/hook", keys, NOON, allow_private=True).is_sent
    return server.got[-1]


def test_the_signature_is_right_for_each_key_and_for_no_other(delivery: Delivery, server: Receiver) -> None:
    got = send(delivery, server, KEY, OTHER_KEY)

    assert verifies(got, KEY)
    assert verifies(got, OTHER_KEY)
    assert not verifies(got, "whsec_" + base64.b64encode(b"x" * 24).decode())
    got.body += b" "
    assert not verifies(got, KEY)


def test_the_example_of_the_specification_has_its_signature() -> None:
    body = b'{"test": 2432232314}'

    found = webhooks.signature(KEY, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_has_the_same_id_in_every_try(delivery: Delivery, server: Receiver) -> None:
    first, second = send(delivery, server, KEY), send(delivery, server, KEY)

    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(delivery.uuid)
    assert first.headers["webhook-timestamp"] == str(int(NOON.timestamp()))


@override_settings(PUBLIC_URL="https://jobs.example.org")
def test_the_body_is_a_cloudevent(delivery: Delivery, server: Receiver) -> None:
    got = send(delivery, server, KEY)

    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert got.json == {
        "specversion": "1.0",
        "id": str(delivery.uuid),
        "source": "https://jobs.example.org",
        "type": "orchestrator.incident.opened",
        "time": "2025-03-02T12:00:00Z",
        "subject": "incidents/12",
        "datacontenttype": "application/json",
        "data": {"title": "Critical: etl failed", "text": "ValueError: ä", **delivery.data},
    }


@pytest.mark.parametrize(("fields", "subject"), [({"run_id": 7}, r"runs/7"), ({}, r"deliveries/[0-9a-f-]{36}")])
def test_what_has_no_incident_is_about_its_run_or_itself(fields: dict[str, int], subject: str) -> None:
    assert re.fullmatch(subject, webhooks.subject_of(Delivery(uuid="0" * 8 + "-0000" * 3 + "-" + "0" * 12, **fields)))


def test_without_a_key_nothing_is_claimed_to_be_signed(delivery: Delivery, server: Receiver) -> None:
    assert "webhook-signature" not in send(delivery, server).headers


def test_the_receiver_in_the_documentation_tells_genuine_messages(delivery: Delivery, server: Receiver) -> None:
    page = (settings.BASE_DIR / "docs/channels.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    now = datetime.now(UTC)

    webhooks.send(delivery, server.url, [OTHER_KEY, KEY], now, allow_private=True)
    webhooks.send(delivery, server.url, [KEY], now - timedelta(minutes=6), allow_private=True)

    fresh, old = server.got
    assert names["is_genuine"](KEY, fresh.headers, fresh.body)
    assert not names["is_genuine"](KEY, fresh.headers, fresh.body + b" ")
    assert not names["is_genuine"](KEY, old.headers, old.body)
