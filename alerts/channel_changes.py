"""Channels are made, changed and deleted: their addresses go in here and are never told again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from alerts import addresses
from alerts.models import Channel, ChannelKind
from pipelines.refusal import Refusal

LONGEST_NAME = 100


def create(fields: Mapping[str, Any], moment: datetime) -> tuple[Channel, str]:
    """Write down a channel; return it, and the signing key of a webhook, which is shown once."""
    channel = Channel(created_at=moment)
    check_kind(str(fields.get("kind", "")))
    change(channel, fields)
    keys = addresses.signing_keys_of(channel)
    return channel, keys[0] if keys else ""


def change(channel: Channel, fields: Mapping[str, Any]) -> None:
    """Change what is given; refuse what cannot be sent to, and keep nothing then."""
    check_name(channel, str(fields.get("name", channel.name)).strip())
    if channel.pk and fields.get("kind", channel.kind) != channel.kind:
        raise Refusal("A channel keeps its kind.", field="kind", hint="Make another channel.", code="invalid_channel")
    channel.kind = fields.get("kind", channel.kind)
    if address := fields.get("address", ""):
        addresses.set_address(channel, address)
    elif not channel.address:
        raise Refusal("Where shall messages go?", field="address", hint="For example slack://… or https://….")
    is_active = fields.get("is_active", channel.is_active)
    if address or (is_active and not channel.is_active):
        channel.problem = ""
    channel.is_active = is_active
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:  # made by another request at the same time
        raise duplicate(channel.name) from None


def delete(channel: Channel) -> None:
    """Remove a channel with its messages; rules that told it tell the others that they have."""
    channel.delete()


def rotate_key(channel: Channel) -> str:
    """Give a webhook a second key, shown once; both sign until the old one is retired."""
    check_signs(channel)
    key = addresses.rotate_signing_key(channel)
    channel.save(update_fields=["signing_key"])
    return key


def retire_key(channel: Channel) -> None:
    """Sign with the newest key alone."""
    check_signs(channel)
    addresses.retire_old_key(channel)
    channel.save(update_fields=["signing_key"])


def check_signs(channel: Channel) -> None:
    if channel.kind != ChannelKind.WEBHOOK:
        raise Refusal("Only the messages of a webhook are signed.", field="kind", code="conflict")


def check_kind(kind: str) -> None:
    if kind not in ChannelKind.values:
        hint = f"Use {', '.join(ChannelKind.values)}."
        raise Refusal(f"{kind[:80]!r} is no kind of channel.", field="kind", hint=hint, code="invalid_choice")


def check_name(channel: Channel, name: str) -> None:
    if not (name and name.isprintable() and len(name) <= LONGEST_NAME):
        message = f"Name: 1–{LONGEST_NAME} printable characters."
        raise Refusal(message, field="name", hint="For example ops.", code="invalid_channel")
    if Channel.objects.filter(name=name).exclude(pk=channel.pk).exists():
        raise duplicate(name)
    channel.name = name


def duplicate(name: str) -> Refusal:
    return Refusal(
        f"A channel named {name} exists already.", field="name", hint="Choose another name.", code="duplicate_name"
    )
