"""Secrets at rest: encrypted with the first of SECRETS_KEYS, readable with any of them.

The name is encrypted with the value, so that a row cannot pass for another by swapping their tokens.
"""

import json
import re

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from pipelines.models import Secret
from pipelines.refusal import Refusal

NAME = re.compile(r"[\w][\w .:/@-]{0,99}")
MAX_BYTES = 64 * 1024
MIN_LENGTH = 8  # a shorter one could not be masked in logs without masking half of them


def get(name: str) -> str | None:
    """Return the secret's value, None if there is none of that name; refuse if no key of ours reads it."""
    token = Secret.objects.filter(name=name).values_list("token", flat=True).first()
    return None if token is None else decrypt(name, token)


def get_many(names: set[str]) -> dict[str, str]:
    """Return the values of those that are stored, by name, in one query."""
    found = Secret.objects.filter(name__in=names).values_list("name", "token")
    return {name: decrypt(name, token) for name, token in found}


def put(name: str, value: str) -> None:
    """Store a value under a name, in place of what is there."""
    check(name, value)
    Secret.objects.update_or_create(name=name, defaults={"token": encrypt(name, value)})


def check(name: str, value: str) -> None:
    """Refuse a name or a value that cannot be kept."""
    if not NAME.fullmatch(name):
        hint = "Use 1 to 100 letters, digits, and _ - . : / @ or spaces."
        raise Refusal(f"{name[:80]!r} cannot be the name of a secret.", field="name", hint=hint)
    if len(value) < MIN_LENGTH:
        hint = f"Use at least {MIN_LENGTH} characters: a shorter value cannot be masked in logs."
        raise Refusal("The secret is too short.", field="value", hint=hint)
    if "\0" in value or len(value.encode(errors="replace")) > MAX_BYTES:
        raise Refusal(
            "The secret is too long, or contains a NUL.", field="value", hint=f"Use at most {MAX_BYTES} bytes."
        )


def encrypt(name: str, value: str) -> str:
    return keys().encrypt(json.dumps({"name": name, "value": value}).encode()).decode()


def decrypt(name: str, token: str) -> str:
    try:
        content = json.loads(keys().decrypt(token.encode()))
    except InvalidToken:
        content = {}
    if content.get("name") != name:
        message = f"The secret {name!r} cannot be read with the keys in SECRETS_KEYS."
        raise Refusal(message, field="secret", hint="Store it again, or add the key it was stored with.")
    return str(content["value"])


def keys() -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in settings.SECRETS_KEYS])
    except ValueError:
        hint = "Each is 32 bytes in URL-safe base64; the newest comes first, separated by commas."
        raise Refusal("SECRETS_KEYS has a key that is no Fernet key.", field="SECRETS_KEYS", hint=hint) from None
