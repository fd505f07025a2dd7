"""A worker's ear for stops, asked in passing while a block runs: it never waits and needs no connection of its own.

A hint like every ring: what it misses is seen at the next look at the row, a second later at most.
"""

import logging
import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from runs import bell

logger = logging.getLogger(__name__)
TRY_AGAIN_AFTER = 10.0  # seconds, when the carrier is away


class StopEar:
    """For one thread."""

    def __init__(self) -> None:
        self.ear: bell.Ear | None = None
        self.listening: Any = None  # the connection on which Postgres was told
        self.deaf_until = 0.0

    def heard(self) -> list[str]:
        """Return the runs, by number, of which something was stopped since it was asked last. Never raises."""
        now = time.monotonic()
        if now < self.deaf_until:
            return []
        try:
            if connection.vendor == "postgresql" and not settings.REDIS_URL:
                return self.heard_by_connection()
            return self.heard_by_carrier()
        except (DatabaseError, OSError):
            logger.debug("cannot hear of stops", exc_info=True)
            self.deaf_until = now + TRY_AGAIN_AFTER
            self.close()
            return []

    def heard_by_connection(self) -> list[str]:
        """Postgres tells it on the connection that the worker has anyway."""
        raw = connection.connection
        if raw is None or raw.closed:
            return []
        with connection.wrap_database_errors:
            if raw is not self.listening:
                with raw.cursor() as cursor:
                    cursor.execute("LISTEN orchestrator_stops")
                self.listening = raw
            if bell.readable([raw], 0):
                raw.poll()
            texts = [notice.payload for notice in raw.notifies]
            raw.notifies.clear()
            return texts

    def heard_by_carrier(self) -> list[str]:
        if self.ear is None:
            self.ear = bell.open_ear("stops")
        texts = self.ear.wait(0)
        if getattr(self.ear, "is_deaf", False):  # Redis is away: to try again may take a second each time
            self.deaf_until = time.monotonic() + TRY_AGAIN_AFTER
        return texts

    def close(self) -> None:
        self.listening = None
        if self.ear is not None:
            with suppress(DatabaseError, OSError):
                self.ear.close()
        self.ear = None
