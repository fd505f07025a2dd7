"""Several processes refresh one database at once: all succeed, and each pipeline has one row and one version."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.pipelines.project_on_disk import ProjectOnDisk

PROCESSES = 2
# Refreshes at each line that comes in; at the end of the input, tells what the database holds.
REFRESHER = """
import json, sys, django
django.setup()
from pathlib import Path
from pipelines import catalog
from pipelines.models import Pipeline, PipelineVersion
print('ready', flush=True)
for line in sys.stdin:
    catalog.refresh(Path(sys.argv[1]))
    print('done', flush=True)
rows = Pipeline.objects.order_by('uuid').values('uuid', 'is_present', 'is_valid', 'current_version__files')
print(json.dumps({'rows': list(rows), 'versions': PipelineVersion.objects.count()}))
"""


class Refresher:
    """A process of its own that refreshes on demand."""

    def __init__(self, root: Path, database_url: str) -> None:
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings", "DATABASE_URL": database_url}
        self.process = subprocess.Popen(
            [sys.executable, "-c", REFRESHER, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )

    def begin(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def await_word(self, word: str) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == word, self.process.stderr and self.process.stderr.read()

    def end(self) -> dict[str, Any]:
        out, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


@pytest.fixture
def database_url(transactional_db: None, tmp_path: Path) -> str:
    """Where other processes reach the test's database: a copy of it where it is in this process's memory."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(tmp_path / "copy.sqlite3")])
        # A copy is not in WAL mode, as a migrated database is; several that switch it at once get in each other's way.
        with closing(sqlite3.connect(tmp_path / "copy.sqlite3")) as copy:
            assert copy.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
        return f"sqlite:///{tmp_path / 'copy.sqlite3'}"
    config = connection.settings_dict
    return f"postgres://{config['USER']}:{config['PASSWORD']}@{config['HOST']}:{config['PORT']}/{config['NAME']}"


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    disk = ProjectOnDisk(tmp_path / "shop")
    for number in range(10):
        disk.chain("load", "clean", uuid=f"etl_{number}")
    return disk


@pytest.fixture
def refreshers(disk: ProjectOnDisk, database_url: str) -> Iterator[list[Refresher]]:
    started = [Refresher(disk.root, database_url) for _ in range(PROCESSES)]
    for refresher in started:
        refresher.await_word("ready")
    yield started
    for refresher in started:
        refresher.process.kill()
        refresher.process.communicate()


@pytest.mark.processes
def test_processes_that_find_new_pipelines_at_once_make_each_row_once(refreshers: list[Refresher]) -> None:
    for refresher in refreshers:
        refresher.begin()
    found = [refresher.end() for refresher in refreshers]

    assert [row["uuid"] for row in found[-1]["rows"]] == [f"etl_{number}" for number in range(10)]
    assert all(row["is_valid"] and row["current_version__files"] for row in found[-1]["rows"])
    assert found[-1]["versions"] == 10


@pytest.mark.processes
def test_files_that_change_and_go_while_processes_refresh_end_up_right(
    disk: ProjectOnDisk, refreshers: list[Refresher]
) -> None:
    for turn in range(5):
        for refresher in refreshers:
            refresher.begin()
        disk.write("custom/load.py", f"@custom\ndef run():\n    return {turn}\n")
        disk.pipeline("blocks: [\n" if turn % 2 else "blocks: [{uuid: load, type: custom}]\n", "etl_3")
        (disk.root / f"pipelines/etl_{turn + 5}/metadata.yaml").unlink()
        for refresher in refreshers:
            refresher.await_word("done")
    refreshers[0].begin()

    rows = {row["uuid"]: row for row in refreshers[0].end()["rows"]}

    assert [uuid for uuid, row in rows.items() if row["is_present"]] == [f"etl_{number}" for number in range(5)]
    assert all(rows[f"etl_{number}"]["is_valid"] for number in range(5))
    assert "return 4" in rows["etl_0"]["current_version__files"]["custom/load.py"]["text"]
