"""What a stream has done so far, as its heartbeats tell it."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipelines import typed_json

SAMPLE = 20  # messages of a batch that are measured


class Counts:
    """Counted in the thread that handles batches, read by the one that tells of them."""

    def __init__(self, blocks: Sequence[str]) -> None:
        self.lock = threading.Lock()
        self.messages = self.bytes = self.batches = 0
        self.blocks = dict.fromkeys(blocks, 0)  # messages that each was given
        self.last_batch_at: datetime | None = None
        self.since = now()  # since when it waits for the source, or handles a batch
        self.is_handling = False

    def begin(self, messages: Any) -> None:
        with self.lock:
            self.is_handling, self.since = True, now()
            self.messages += count_of(messages)
            self.bytes += size_of(messages if isinstance(messages, list | tuple) else [messages])

    def give(self, block: str, messages: Any) -> None:
        with self.lock:
            self.blocks[block] += count_of(messages)

    def end(self, *, is_done: bool) -> None:
        with self.lock:
            self.is_handling, self.since = False, now()
            if is_done:
                self.batches += 1
                self.last_batch_at = self.since

    def as_dict(self) -> dict[str, Any]:
        """As JSON. `handling`: a batch is on its way `since` then; else the source has given nothing since then."""
        with self.lock:
            return {
                "messages": self.messages,
                "bytes": self.bytes,
                "batches": self.batches,
                "last_batch_at": self.last_batch_at.isoformat() if self.last_batch_at else None,
                "handling": self.is_handling,
                "since": self.since.isoformat(),
                "blocks": dict(self.blocks),
            }


def count_of(messages: Any) -> int:
    return len(messages) if hasattr(messages, "__len__") else 1


def size_of(messages: Sequence[Any]) -> int:
    """Return about how many bytes the messages have: measured on the first few, as JSON where they are no bytes."""
    sample = messages[:SAMPLE]
    measured = sum(map(size_of_one, sample))
    return measured if len(sample) == len(messages) else round(measured / SAMPLE * len(messages))


def size_of_one(message: Any) -> int:
    if isinstance(message, bytes | bytearray):
        return len(message)
    if isinstance(message, str):
        return len(message.encode("utf-8", "replace"))
    try:
        return len(typed_json.dumps(message)[0])
    except Exception:  # whatever a user's object says to that: it is only counted
        return 0


def now() -> datetime:
    return datetime.now(UTC)
