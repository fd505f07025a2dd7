"""The database's tables: what is missing, and bringing them up to date, one process at a time."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from pipelines.refusal import Refusal

PATIENCE = 60.0  # seconds to wait for another process that is at it
LOCK_NUMBER = 7_326_104_458  # of Postgres' advisory locks: ours alone


def unapplied() -> list[str]:
    """Return the migrations that the database lacks, as "app.name"; raise Refusal when it cannot be read."""
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except OperationalError:
        raise
    except DatabaseError as error:  # e.g. a file that is no database
        raise Refusal(
            f"The database cannot be used ({' '.join(str(error).split())}).",
            field="database",
            hint="Check DATABASE_URL.",
        ) from error
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def bring_up_to_date() -> int:
    """Apply what is missing and return how many migrations that were. Several processes may call this at once."""
    if not unapplied():
        return 0
    with only_one():
        missing = unapplied()  # another may have been faster
        if missing:
            call_command("migrate", verbosity=0, interactive=False)
    return len(missing)


@contextmanager
def only_one() -> Iterator[None]:
    """Hold, among all processes that use this database, the right to change its tables."""
    with on_postgres() if connection.vendor == "postgresql" else in_data_folder():
        yield


@contextmanager
def on_postgres() -> Iterator[None]:
    with connection.cursor() as cursor:

        def is_mine() -> bool:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_NUMBER])
            return bool(cursor.fetchone()[0])

        wait_for(is_mine)
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_NUMBER])


@contextmanager
def in_data_folder() -> Iterator[None]:
    with open(Path(settings.DATA_DIR) / "migrate.lock", "w") as file:

        def is_mine() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_for(is_mine)
        yield


def wait_for(is_mine: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_mine():
        if time.monotonic() > until:
            raise Refusal(
                f"Another process has been migrating the database for {PATIENCE:g} s.",
                field="database",
                hint="Wait for it, or end it.",
            )
        time.sleep(0.1)
