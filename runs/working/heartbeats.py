"""What a long-lived block tells of itself: whether it is well, and the figures that are written down."""

from collections.abc import Mapping
from typing import Any

EVERY = 5.0  # seconds, at least, between two that are written down
MOST_BLOCKS = 500
LARGEST = 2**53  # what JSON keeps exactly everywhere
COUNTS, TEXTS = ("messages", "bytes", "batches"), ("last_batch_at", "since")


class Health:
    """A beat is a sign of health while the block waits for messages, and when it has done another batch.

    A beat alone is none while a batch is on its way: that one may hang. Times are of the monotonic clock; without a
    `timeout` a block is never silent.
    """

    def __init__(self, timeout: float | None, now: float) -> None:
        self.timeout = timeout
        self.well_at = now
        self.figures: dict[str, Any] = {}
        self.has_news = False
        self.written_at = now - EVERY
        self.is_given_up = False  # it is being ended: nothing more is asked of it

    def take(self, beat: Mapping[str, Any], now: float) -> None:
        figures = figures_of(beat)
        if not figures["handling"] or figures["batches"] > self.figures.get("batches", 0):
            self.well_at = now
        self.figures, self.has_news = figures, True

    def is_silent(self, now: float) -> bool:
        return self.timeout is not None and not self.is_given_up and now - self.well_at > self.timeout

    def news(self, now: float) -> dict[str, Any] | None:
        """Return the figures that are to be written down now; None when there are none, or it is too early."""
        if not self.has_news or now - self.written_at < EVERY:
            return None
        self.has_news, self.written_at = False, now
        return self.figures


def health_of(config: Mapping[str, Any], now: float) -> Health | None:
    """Return the health of a stream that begins; None for any other block. The shortest `heartbeat_timeout` counts."""
    if not config.get("stream"):
        return None
    timeouts = [entry.get("heartbeat_timeout") for entry in config["stream"]]
    return Health(min((each for each in timeouts if each), default=None), now)


def figures_of(beat: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a beat says; users' code can say anything here, and what is no figure is left out."""
    figures: dict[str, Any] = {name: count_of(beat.get(name)) for name in COUNTS}
    figures |= {name: str(beat[name])[:40] for name in TEXTS if beat.get(name)}
    blocks = beat.get("blocks")
    given = list(blocks.items())[:MOST_BLOCKS] if isinstance(blocks, Mapping) else []
    figures["blocks"] = {str(uuid)[:255]: count_of(count) for uuid, count in given}
    return {**figures, "handling": bool(beat.get("handling"))}


def count_of(value: Any) -> int:
    return min(max(0, value), LARGEST) if isinstance(value, int) else 0
