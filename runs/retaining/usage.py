"""How much room what runs leave behind takes: the database, logs, block outputs; and how much is left."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from pipelines import storage
from pipelines.refusal import Refusal

PATIENCE = 0.15  # seconds of walking through one folder
FRESH = 60.0  # seconds for which a measure does


@dataclass(frozen=True)
class Usage:
    """What one store holds, in bytes. `size` None: nobody can tell from here; `is_whole` False: at least so much."""

    name: str
    place: str
    size: int | None
    is_whole: bool = True
    free: int | None = None  # on the disk it lies on
    total: int | None = None

    @property
    def is_short(self) -> bool:
        """Tell whether less than a twentieth of the disk, or less than 500 MB, is left."""
        return self.free is not None and self.total is not None and self.free < max(self.total / 20, 500_000_000)


measured: dict[str, tuple[float, Usage]] = {}


def measure() -> list[Usage]:
    """Return the database, the logs and the outputs; folders are walked through at most once a minute."""
    places = [("Logs", str(settings.LOGS_URL)), ("Block outputs", str(settings.VARIABLES_URL))]
    return [database(), *(kept(name, url) for name, url in places)]


def kept(name: str, url: str) -> Usage:
    """Return what a store held when it was last looked at, within the minute."""
    now = time.monotonic()
    at, usage = measured.get(url, (0.0, None))
    if usage is None or now - at > FRESH:
        usage = folder(name, url)
        measured[url] = (now, usage)
    return usage


def database() -> Usage:
    """Ask the database how large it is; one query."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
            return Usage("Database", "PostgreSQL", int(cursor.fetchone()[0]))
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        size = int(cursor.fetchone()[0])
    path = str(connection.settings_dict["NAME"])
    free, total = disk_of(path)
    return Usage("Database", path, size, free=free, total=total)


def folder(name: str, url: str) -> Usage:
    """Walk through a folder on this machine; of other storage nothing is asked, that may cost money and minutes."""
    try:
        path = storage.local_path(url)
    except Refusal:
        path = None
    if path is None:
        return Usage(name, without_credentials(url), None)
    until, size, is_whole = time.monotonic() + PATIENCE, 0, True
    for number, found in enumerate(sizes(path)):
        size += found
        if number % 256 == 255 and time.monotonic() > until:
            is_whole = False
            break
    free, total = disk_of(path)
    return Usage(name, path, size, is_whole, free, total)


def sizes(path: str) -> Iterator[int]:
    """Yield the size of every file below a folder; what goes away meanwhile is passed over."""
    for root, _, names in os.walk(path):
        for name in names:
            try:
                yield os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue


def disk_of(path: str) -> tuple[int | None, int | None]:
    """Return how much is free on the disk of a path, and how large it is; None where nobody can tell."""
    while not os.path.exists(path) and path not in ("", "/"):
        path = os.path.dirname(path)
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None, None
    return usage.free, usage.total


def without_credentials(url: str) -> str:
    """Return a URL without what stands before an @ or behind a ?."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}{found}{rest.partition('?')[0].rpartition('@')[2]}"
