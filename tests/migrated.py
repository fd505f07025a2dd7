"""A database after all migrations, made once in a test run; who needs one of its own takes a copy."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from django.db.backends.sqlite3.creation import DatabaseCreation

ROOT = Path(__file__).resolve().parents[1]
SERVER = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
# The process that began the test run; the workers of pytest-xdist inherit its number.
RUN = os.environ.setdefault("TEST_RUN", str(os.getpid()))
FOLDER = Path(tempfile.gettempdir()) / f"orchestrator-tests-{RUN}-migrated"
FILE, TEMPLATE = FOLDER / "original.sqlite3", f"migrated_{RUN}"
ON_SERVER = FOLDER / "on_server"
IN_MEMORY: list[sqlite3.Connection] = []  # such a database is there as long as somebody is connected to it


def copy_sqlite(path: Path) -> None:
    """Make a database file at `path`, in WAL mode as one that was migrated in place."""
    with locked():
        make_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FILE, path)


def make_file() -> None:
    if not FILE.exists():
        migrate(f"sqlite:///{FOLDER / 'new.sqlite3'}")
        (FOLDER / "new.sqlite3").rename(FILE)


def create_on_postgres(name: str) -> None:
    """Make the database `name` on the server."""
    with locked():
        make_template()
        execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")


def make_template() -> None:
    if not ON_SERVER.exists():
        execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE}")
        migrate(url_of(TEMPLATE))
        ON_SERVER.touch()


def share_migrations(on_postgres: bool, test: dict[str, Any]) -> None:
    """Have the test database of this worker begin as a copy; `test` is what the settings say of it."""
    with locked():
        if on_postgres:
            make_template()
            test["TEMPLATE"] = TEMPLATE
        else:
            make_file()
            setattr(DatabaseCreation, "_create_test_db", create_in_memory)  # noqa: B010  # a type checker would not see why


create_empty = DatabaseCreation._create_test_db


def create_in_memory(self: DatabaseCreation, *args: Any, **options: Any) -> str:
    """Do as Django does, and fill what came of it."""
    name: str = create_empty(self, *args, **options)
    IN_MEMORY.append(sqlite3.connect(name, uri=True))
    with closing(sqlite3.connect(FILE)) as original:
        original.backup(IN_MEMORY[-1])
    return name


def forget() -> None:
    """Remove what was made, at the end of the test run."""
    if str(os.getpid()) == RUN and FOLDER.exists():
        if ON_SERVER.exists():
            execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
        shutil.rmtree(FOLDER)


def url_of(name: str) -> str:
    return SERVER.rsplit("/", 1)[0] + f"/{name}"


@contextmanager
def locked() -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate(url: str) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "orchestrator_site.settings", "ORCHESTRATOR_DATA_DIR": str(FOLDER / "data")}
    env = {**os.environ, **settings, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True)


def execute(*statements: str) -> None:
    with closing(psycopg2.connect(SERVER, connect_timeout=10)) as server, server.cursor() as cursor:
        server.autocommit = True
        for statement in statements:
            cursor.execute(statement)
