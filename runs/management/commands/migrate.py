"""Django's `migrate`, made safe beside a running system: on Postgres it never makes others queue behind its locks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2.errors
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_SECONDS = 2  # how long others may wait behind a migration that waits for a lock
PAUSES = (0.5, 1, 2, 4, 8, 8, 8, 8)  # seconds before it is tried again


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Apply; what could not get its lock in time is tried again. Each migration is a transaction of its own."""
        connection = connections[options["database"]]
        for pause in PAUSES:
            try:
                return self.apply(connection, *args, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
                    raise
                self.stderr.write(f"a table is in use; tried again in {pause:g} s")
                time.sleep(pause)
        return self.apply(connection, *args, **options)

    def apply(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        with short_locks(connection):
            super().handle(*args, **options)


@contextmanager
def short_locks(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Wait for locks only briefly, and for the work itself (an index of a large table) as long as it takes."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'; SET statement_timeout = 0")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout; RESET statement_timeout")
