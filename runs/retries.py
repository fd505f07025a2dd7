"""When a failed block tries again. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

DEFAULT_DELAY = 5.0
DEFAULT_MAX_DELAY = 60.0


def delay_before_next(config: Mapping[str, Any], used: int) -> timedelta | None:
    """Return how long to wait before the next try, or None when all retries are used up.

    `config`: retries (0), delay (5 s), max_delay (60 s, caps a single delay), exponential_backoff (true).
    `used`: retries already made.
    """
    if used >= int(config.get("retries") or 0):
        return None
    delay = float(config.get("delay", DEFAULT_DELAY))
    if config.get("exponential_backoff", True):
        delay *= 2 ** min(used, 30)
    cap = config.get("max_delay", DEFAULT_MAX_DELAY)
    return timedelta(seconds=min(delay, float(cap)) if cap else delay)
