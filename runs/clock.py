"""What time it is, for whoever decides what is due and whose lease has ended: on Postgres the server's time.

Several hosts may differ in what their clocks say; the database is the one thing that they share. Between two looks at
it time is counted by the monotonic clock, so that a step of a host's clock goes unnoticed.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

ASK_EVERY = 4.0  # seconds


@dataclass
class Reading:
    """What the server's clock said, and when, by the monotonic clock."""

    said: datetime
    at: float

    def now(self) -> datetime:
        return self.said + timedelta(seconds=time.monotonic() - self.at)


_reading: Reading | None = None
_asked_at = float("-inf")


def now() -> datetime:
    """Return the time in UTC. Asks the server at most every four seconds, and never within a transaction."""
    global _reading, _asked_at
    if connection.vendor != "postgresql":
        return timezone.now()
    if time.monotonic() - _asked_at >= ASK_EVERY and not connection.in_atomic_block:
        _asked_at = time.monotonic()
        _reading = ask() or _reading
    return _reading.now() if _reading else timezone.now()


def ask() -> Reading | None:
    """Return what the server says; None while it does not answer: what is asked of it next tells so."""
    try:
        with connection.cursor() as cursor:
            before = time.monotonic()
            cursor.execute("SELECT clock_timestamp()")
            said: datetime = cursor.fetchone()[0]
    except DatabaseError:
        return None
    return Reading(said.astimezone(UTC), (before + time.monotonic()) / 2)
