"""A database of its own for tests with real processes, and Python processes of ours that use it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests import migrated
from tests.pipelines.project_on_disk import ProjectOnDisk

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = count()
PRELUDE = "import django; django.setup(); from tests.schedules.process import *\n"


class Scratch:
    """A migrated database and a data folder; what runs in `python` sees them as its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
            "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
            "ORCHESTRATOR_PROJECT": str(folder / "project"),
            "DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
        }
        self.kind = url.partition(":")[0]
        ProjectOnDisk(folder / "project").chain("only")  # a pipeline `etl` of one block
        self.env.pop("REDIS_URL", None)
        self.processes: list[subprocess.Popen[str]] = []
        self.answerer: subprocess.Popen[str] | None = None

    def start(self, code: str) -> "subprocess.Popen[str]":
        """Start a process that runs `code` with the names of tests.schedules.process."""
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def ask(self, code: str) -> Any:
        """Return, by way of JSON, what the expression `code` is in a process that stays for all questions."""
        if self.answerer is None:
            self.answerer = self.start("answer()")
        assert self.answerer.stdin
        assert self.answerer.stdout
        self.answerer.stdin.write(json.dumps(code) + "\n")
        self.answerer.stdin.flush()
        line = self.answerer.stdout.readline()
        assert line, self.answerer.communicate()[1]
        return json.loads(line)

    def kill_all(self) -> None:
        """End what was started, but for the process that answers."""
        for process in self.processes:
            if process is not self.answerer:
                process.kill()
                process.communicate()
        self.processes = [self.answerer] if self.answerer else []

    def close(self) -> None:
        self.kill_all()
        if self.answerer:
            self.answerer.kill()
            self.answerer.communicate()


@contextmanager
def scratch_database(kind: str, folder: Path) -> Iterator[Scratch]:
    with database_of(kind, folder / "scratch.sqlite3") as url:
        scratch = Scratch(folder, url)
        try:
            yield scratch
        finally:
            scratch.close()


@contextmanager
def database_of(kind: str, path: Path) -> Iterator[str]:
    """Make a migrated database of that kind, at `path` if it is a file; return its URL."""
    if kind == "postgres":
        with postgres_database(is_migrated=True) as url:
            yield url
    else:
        migrated.copy_sqlite(path)
        yield f"sqlite:///{path}"


@contextmanager
def postgres_database(is_migrated: bool = False) -> Iterator[str]:
    """Make a database, return its URL, drop it afterwards."""
    name = f"scratch_{os.getpid()}_{next(NUMBERS)}"
    try:
        server = psycopg2.connect(migrated.SERVER, connect_timeout=10)
    except psycopg2.OperationalError as error:
        pytest.skip(f"no Postgres answers: {str(error).strip().splitlines()[0]}")
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if is_migrated:
            migrated.create_on_postgres(name)
        else:
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield migrated.url_of(name)
        finally:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    server.close()
