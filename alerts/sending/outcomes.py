"""How one try at a message went, as data."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Outcome:
    """Sent, if there is no `error`; otherwise why not, with every secret masked, and what follows from it."""

    error: str = ""
    retry_after: timedelta | None = None  # what the receiver asked for
    is_final: bool = False  # trying again would change nothing
    closes_channel: bool = False  # the receiver wants no more messages at all

    @property
    def is_sent(self) -> bool:
        return not self.error


SENT = Outcome()
