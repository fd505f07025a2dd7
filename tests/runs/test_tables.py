import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from pipelines.refusal import Refusal
from runs import tables

MIGRATE = "import django; django.setup(); from runs import tables; print(tables.bring_up_to_date())"


@pytest.mark.django_db
def test_nothing_is_missing_after_migrating() -> None:
    assert tables.unapplied() == []
    assert tables.bring_up_to_date() == 0


@pytest.mark.django_db
def test_a_missing_migration_is_named() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'runs'")

    assert "runs.0001_first_tables" in tables.unapplied()


@pytest.mark.processes
def test_two_that_start_on_an_empty_database_do_not_collide(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
        "ORCHESTRATOR_DATA_DIR": str(tmp_path),
        "DATABASE_URL": "",
    }
    both = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    answers = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], answers
    first, second = sorted(int(out) for out, _ in answers)
    assert first == 0
    assert second > 0


@pytest.mark.django_db
def test_whoever_waits_too_long_for_another_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PATIENCE", 0.0)

    with pytest.raises(Refusal, match="Another process has been migrating"):
        tables.wait_for(lambda: False)
