"""Our own webhooks: the headers of Standard Webhooks, signed, around a CloudEvent."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from alerts.models import Delivery
from alerts.sending import posting
from alerts.sending.outcomes import Outcome

PREFIX = "whsec_"


def send(delivery: Delivery, url: str, keys: Sequence[str], moment: datetime, *, allow_private: bool) -> Outcome:
    """Post the message; its `webhook-id` is the same in every try, the timestamp is the try's."""
    body = json.dumps(event_of(delivery)).encode()
    headers = {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": f"Orchestrator/{settings.VERSION}",
        **signed(keys, str(delivery.uuid), moment, body),
    }
    return posting.post(url, body, headers, moment=moment, allow_private=allow_private)


def signed(keys: Sequence[str], message_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove who sent the body and when; one signature for each key."""
    timestamp = str(int(moment.timestamp()))
    signatures = " ".join(signature(key, message_id, timestamp, body) for key in keys)
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp}
    return {**headers, "webhook-signature": signatures} if signatures else headers


def signature(key: str, message_id: str, timestamp: str, body: bytes) -> str:
    secret = base64.b64decode(key.removeprefix(PREFIX))
    mac = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def event_of(delivery: Delivery) -> dict[str, Any]:
    """Return the message as a CloudEvent 1.0."""
    return {
        "specversion": "1.0",
        "id": str(delivery.uuid),
        "source": settings.PUBLIC_URL or "/orchestrator",
        "type": f"orchestrator.{delivery.event_type}",
        "time": delivery.created_at.isoformat().replace("+00:00", "Z"),
        "subject": subject_of(delivery),
        "datacontenttype": "application/json",
        "data": {"title": delivery.title, "text": delivery.body, **delivery.data},
    }


def subject_of(delivery: Delivery) -> str:
    if incident := delivery.data.get("incident"):
        return f"incidents/{incident['id']}"
    return f"runs/{delivery.run_id}" if delivery.run_id else f"deliveries/{delivery.uuid}"
