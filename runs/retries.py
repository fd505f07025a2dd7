"""Whether and when a failed block tries again. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pipelines import exception_names

DEFAULT_DELAY = 5.0
DEFAULT_MAX_DELAY = 60.0


def delay_before_next(config: Mapping[str, Any], used: int, seed: str = "") -> timedelta | None:
    """Return how long to wait before the next try, or None when all retries are used up.

    `config`: retries (0), delay (5 s), max_delay (60 s, caps a single delay; 0: no cap), exponential_backoff (true),
    jitter (0: the delay as it is; 0.2: up to a fifth shorter or longer). `used`: retries already made. `seed`: the same
    one gives the same jitter.
    """
    if used >= int(config.get("retries") or 0):
        return None
    given = config.get("delay")
    delay = DEFAULT_DELAY if given is None else float(given)
    if config.get("exponential_backoff", True):
        delay *= 2 ** min(used, 30)
    cap = config.get("max_delay", DEFAULT_MAX_DELAY)
    most = float(cap) if cap else delay * 2
    return timedelta(seconds=min(min(delay, most) * spread(config.get("jitter"), f"{seed} {used}"), most))


def spread(jitter: float | None, seed: str) -> float:
    """Return a factor from 1 - jitter to 1 + jitter, always the same for a seed."""
    if not jitter:
        return 1.0
    place = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) / 2**64
    return 1.0 + float(jitter) * (2.0 * place - 1.0)


def objection(config: Mapping[str, Any], names: Sequence[str]) -> str:
    """Say why a failure is none to try again after, or "". `names`: of its exception and what that derives from."""
    given_up, tried = (as_list(config.get(key)) for key in ("give_up_on", "retry_on"))
    if found := exception_names.first_match(given_up, names):
        return f"not tried again: give_up_on names {found}"
    if tried and not exception_names.first_match(tried, names):
        return f"not tried again: retry_on names {', '.join(tried)}"[:500]
    return ""


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
