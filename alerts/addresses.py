"""Where a channel's messages go: encrypted in its row, masked wherever people look.

An address is encrypted with what is shown of it, so that rows cannot swap them unseen.
"""

import base64
import binascii
import ipaddress
import secrets
from urllib.parse import urlsplit

from django.conf import settings

from alerts.models import Channel, ChannelKind
from alerts.sending import apprise_urls, guard, posting
from pipelines.refusal import Refusal
from pipelines.secrets import decrypt, encrypt

MOST = 2000  # characters
KEY_PREFIX = "whsec_"
KEY_NAME = "signing key of a channel"


def set_address(channel: Channel, url: str) -> None:
    """Put an address into a channel that the caller saves; refuse what its kind cannot send to.

    A webhook without a signing key gets one.
    """
    url = url.strip()
    if not url or len(url) > MOST or not url.isprintable() or " " in url:
        hint = f"Use one line of at most {MOST} characters, without spaces."
        raise Refusal("The address is empty, too long, or has spaces.", field="address", hint=hint)
    if channel.kind == ChannelKind.WEBHOOK:
        check_webhook(url)
        channel.shown_address = shown_webhook(url)
        if not channel.signing_key:
            set_signing_key(channel, new_key())
    else:
        apprise_urls.check(url)
        channel.shown_address = apprise_urls.shown(url)
        apprise_urls.service_of(url)
    channel.address = encrypt(name_of(channel), url)


def address_of(channel: Channel) -> str:
    """Return the whole address; refuse if no key of ours reads it, or if it is another channel's."""
    try:
        return decrypt(name_of(channel), channel.address)
    except Refusal:
        hint = "Enter it again, or add the key it was stored with."
        raise Refusal("The address cannot be read with the keys in SECRETS_KEYS.", field="address", hint=hint) from None


def name_of(channel: Channel) -> str:
    return f"channel {channel.kind} {channel.shown_address}"


def check_webhook(url: str) -> None:
    """Refuse what is no address of a web server, or of one that messages may not go to."""
    if not posting.is_web_address(url):
        hint = "For example https://hooks.example.com/orchestrator."
        raise Refusal("A webhook needs an http:// or https:// address.", field="address", hint=hint)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.username is not None:
        hint = "Receivers can tell our messages by their signature."
        raise Refusal("The address may not hold a user and a password.", field="address", hint=hint)
    if settings.ALERTS_ALLOW_PRIVATE_ADDRESSES:
        return
    if parts.port is not None and parts.port not in guard.WEB_PORTS:
        raise Refusal(f"Port {parts.port} is none of a web server's.", field="address", hint=guard.PORTS_HINT)
    if is_private(host):
        raise Refusal(f"{host[:80]} is not an address of the internet.", field="address", hint=guard.HINT)


def is_private(host: str) -> bool:
    """Of a number only: what a name means is looked at whenever a message is sent."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return not guard.is_public(host)


def shown_webhook(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{'…' if parts.path.strip('/') or parts.query else ''}"[:200]


# --- signing keys ---------------------------------------------------------------------------------------------------


def new_key() -> str:
    return KEY_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def set_signing_key(channel: Channel, key: str) -> None:
    """Sign with this key alone; refuse what is no key of Standard Webhooks. The caller saves the channel."""
    store(channel, [checked(key.strip())])


def rotate_signing_key(channel: Channel) -> str:
    """Sign with a new key as well as with the one before, until `retire_old_key`; return it: it is shown once."""
    key = new_key()
    store(channel, [key, *readable_keys_of(channel)[:1]])
    return key


def retire_old_key(channel: Channel) -> None:
    """Sign with the newest key alone."""
    store(channel, signing_keys_of(channel)[:1])


def signing_keys_of(channel: Channel) -> list[str]:
    """Return the keys, the newest first: two while they are rotated."""
    try:
        return decrypt(KEY_NAME, channel.signing_key).split() if channel.signing_key else []
    except Refusal:
        hint = "Make a new key, or add the one that it was stored with."
        message = "The signing key cannot be read with the keys in SECRETS_KEYS."
        raise Refusal(message, field="signing_key", hint=hint) from None


def readable_keys_of(channel: Channel) -> list[str]:
    """Return the keys, none if they were stored with a key of SECRETS_KEYS that is gone."""
    try:
        return signing_keys_of(channel)
    except Refusal:
        return []


def store(channel: Channel, keys: list[str]) -> None:
    channel.signing_key = encrypt(KEY_NAME, " ".join(keys)) if keys else ""


def checked(key: str) -> str:
    try:
        size = len(base64.b64decode(key.removeprefix(KEY_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not key.startswith(KEY_PREFIX) or not 24 <= size <= 64:
        hint = f"Use {KEY_PREFIX} and 24 to 64 bytes in base64, or leave it empty for a new one."
        raise Refusal("The signing key is not one of Standard Webhooks.", field="signing_key", hint=hint)
    return key
