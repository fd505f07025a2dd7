"""`Idempotency-Key`: a request that is sent again starts nothing again."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.request import Request

from pipelines.refusal import Refusal
from runs.models import PipelineRun

LONGEST_KEY = 255


def start_once(
    request: Request, *, owner: str, start: Callable[[str | None, str], PipelineRun]
) -> tuple[PipelineRun, bool]:
    """Return the run that `start(key, digest)` made, or the one this key made before, and whether it is new.

    `owner` is whose keys these are: two users may use the same one. Raises `Refusal` for a key that came with
    another request before.
    """
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return start(None, ""), True
    key, digest = stored_key(text, owner), request_digest(request)
    run, is_new = kept_or_started(key, lambda: start(key, digest))
    return run if is_new else same_request(run, digest), is_new


def kept_or_started(key: str, start: Callable[[], PipelineRun]) -> tuple[PipelineRun, bool]:
    """Return the run that has this key, or the one that `start()` makes with it, and whether it is new."""
    if earlier := kept(key):
        return earlier, False
    try:
        with transaction.atomic():
            return start(), True
    except IntegrityError:
        winner = kept(key)
        if winner is None:  # some other constraint
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


def same_request(run: PipelineRun, digest: str) -> PipelineRun:
    if run.request_digest != digest:
        raise Refusal(
            f"This Idempotency-Key came with another request, which started run {run.pk}.",
            field="Idempotency-Key",
            hint="Use a new key for a new request.",
            code="idempotency_key_reused",
        )
    return run
