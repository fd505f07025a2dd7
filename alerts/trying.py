"""Messages that somebody asks for: a test of a channel, a failed one once more. The courier sends them."""

import uuid
from datetime import datetime
from typing import Any

from alerts.messages import TITLE
from alerts.models import Channel, Delivery
from alerts.models.telling import TEST
from pipelines.refusal import Refusal
from runs import events


def send_test(channel: Channel, by: str, moment: datetime) -> Delivery:
    """Write a message that says it is a test; it is tried once, so that whoever looks sees how it went."""
    return write(
        channel=channel,
        dedupe_key=f"test {uuid.uuid4()}",
        event_type=TEST,
        title=f"A test of the channel {channel.name}"[:TITLE],
        body=f"{by} asked for this message. If you can read it, the channel works.",
        data={"by": by},
        moment=moment,
    )


def send_again(delivery: Delivery, by: str, moment: datetime) -> Delivery:
    """Write a message that was given up once more, as a new one; refuse one that arrived, or is still tried."""
    if delivery.given_up_at is None:
        state = "was sent" if delivery.sent_at else "is still being tried"
        hint = "Only a message that was given up can be sent again."
        raise Refusal(f"The message {state}.", field="delivery", hint=hint, code="conflict")
    return write(
        change_id=delivery.change_id,
        channel_id=delivery.channel_id,
        service=delivery.service,
        pipeline_uuid=delivery.pipeline_uuid,
        run_id=delivery.run_id,
        dedupe_key=f"again {uuid.uuid4()}",
        event_type=delivery.event_type,
        title=delivery.title,
        body=delivery.body,
        data={**delivery.data, "again": {"of": str(delivery.uuid), "by": by}},
        moment=moment,
    )


def write(*, moment: datetime, **fields: Any) -> Delivery:
    """Store a message that is due, and wake the workers."""
    delivery = Delivery.objects.create(uuid=uuid.uuid4(), created_at=moment, next_try_at=moment, **fields)
    events.publish_work()
    return delivery
