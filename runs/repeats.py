"""`Idempotency-Key`: a request that is sent again starts nothing again."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from django.db import IntegrityError
from rest_framework.request import Request

from pipelines.refusal import Refusal
from runs.models import PipelineRun

LONGEST_KEY = 255


class Repeatable(Protocol):
    """What a request starts: a run, a backfill. It keeps the key and the digest of that request."""

    @property
    def request_digest(self) -> str: ...


T = TypeVar("T", bound=Repeatable)


def start_once(
    request: Request, *, owner: str, start: Callable[[str | None, str], PipelineRun]
) -> tuple[PipelineRun, bool]:
    """`make_once` for a run."""
    return make_once(request, owner=owner, make=start, find=kept)


def make_once(
    request: Request, *, owner: str, make: Callable[[str | None, str], T], find: Callable[[str], T | None]
) -> tuple[T, bool]:
    """Return what `make(key, digest)` made, or what this key made before, and whether it is new.

    `owner` is whose keys these are: two users may use the same one. Raises `Refusal` for a key that came with
    another request before.
    """
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return make(None, ""), True
    key, digest = stored_key(text, owner), request_digest(request)
    found, is_new = kept_or_made(key, lambda: make(key, digest), find)
    return found if is_new else same_request(found, digest), is_new


def kept_or_started(key: str, start: Callable[[], PipelineRun]) -> tuple[PipelineRun, bool]:
    """`kept_or_made` for a run."""
    return kept_or_made(key, start, kept)


def kept_or_made(key: str, make: Callable[[], T], find: Callable[[str], T | None]) -> tuple[T, bool]:
    """Return what has this key, or what `make()` makes with it, and whether it is new."""
    if earlier := find(key):
        return earlier, False
    try:
        return make(), True  # in a transaction of its own; what it notes about a refusal stays
    except (IntegrityError, Refusal):  # the latter: what another made with this key meanwhile may stand in the way
        winner = find(key)
        if winner is None:
            raise
        return winner, False


def kept(key: str) -> PipelineRun | None:
    return PipelineRun.objects.filter(idempotency_key=key).select_related("pipeline").first()


def stored_key(text: str, owner: str) -> str:
    """What is kept of a key: its owner and a hash, which always fits."""
    if not 1 <= len(text) <= LONGEST_KEY:
        raise Refusal(
            f"Idempotency-Key has {len(text)} characters; 1 to {LONGEST_KEY} are allowed.",
            field="Idempotency-Key",
            hint="A UUID is a good key.",
            code="invalid_idempotency_key",
        )
    return f"{owner}:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


def request_digest(request: Request) -> str:
    """Of the address and the body's meaning: spaces and the order of keys make no difference."""
    body: Any = request.data
    said = json.dumps([request.path.rstrip("/"), body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def same_request(found: T, digest: str) -> T:
    if found.request_digest != digest:
        raise Refusal(
            f"This Idempotency-Key came with another request, which started {found}.",
            field="Idempotency-Key",
            hint="Use a new key for a new request.",
            code="idempotency_key_reused",
        )
    return found
