"""Migrations beside a running system: they wait for nobody for long, so that nobody waits for them."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg2
import pytest

from tests.schedules.scratch import ROOT, postgres_database

pytestmark = pytest.mark.processes
BEFORE = "0003"  # of runs: the next one changes the two largest tables


def migrate(url: str, folder: Path, *words: str) -> "subprocess.Popen[str]":
    env = {**os.environ, "DATABASE_URL": url, "ORCHESTRATOR_DATA_DIR": str(folder / "data")}
    env |= {"DJANGO_SETTINGS_MODULE": "orchestrator_site.settings"}
    command = [sys.executable, "manage.py", "migrate", "-v0", *words]
    return subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> str:
    _, said = process.communicate(timeout=90)
    assert process.returncode == 0, said
    return said


def test_a_migration_that_has_to_wait_holds_up_nobody_and_is_applied_in_the_end(tmp_path: Path) -> None:
    with postgres_database() as url:
        ended(migrate(url, tmp_path, "runs", BEFORE))
        reader, asker = psycopg2.connect(url), psycopg2.connect(url)
        asker.autocommit = True
        slowest, is_over = 0.0, threading.Event()

        def ask() -> None:
            nonlocal slowest
            while not is_over.is_set():
                began = time.monotonic()
                with asker.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM runs_blockrun")
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.02)

        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM runs_blockrun")  # a long transaction that has read the table
        asking = threading.Thread(target=ask)
        asking.start()
        process = migrate(url, tmp_path)
        assert process.stderr is not None
        assert "a table is in use" in process.stderr.readline()
        reader.rollback()
        ended(process)
        is_over.set()
        asking.join()
        reader.close()
        asker.close()

    assert slowest < 2 + 1
