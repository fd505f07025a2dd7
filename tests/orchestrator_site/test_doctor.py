import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection

from executors.forking import ForkServer
from orchestrator_site import checks
from orchestrator_site.checks import Finding
from runs.models import WorkerKind
from runs.states import BlockStatus
from tests.factories import make_run, make_worker

CHECKS = [
    "versions",
    "data folder",
    "logs",
    "block outputs",
    "project",
    "executor",
    "optional libraries",
    "database",
    "migrations",
    "clock",
    "scheduler",
    "workers",
    "invariants",
    "promises",
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "pipelines" / "hello").mkdir(parents=True)
    (folder / "pipelines" / "hello" / "metadata.yaml").write_text("blocks:\n  - {uuid: greet, type: custom}\n")
    (folder / "custom").mkdir()
    (folder / "custom" / "greet.py").write_text("@custom\ndef greet():\n    print('hello')\n")
    monkeypatch.setattr(settings, "PROJECT_DIR", folder)
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(folder))
    return folder


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Call it to run `doctor --json` and get its exit code and findings by name."""

    def ask(**options: Any) -> tuple[int, dict[str, dict[str, Any]]]:
        code = 0
        try:
            call_command("doctor", json=True, **options)
        except SystemExit as stop:
            code = int(stop.code or 0)
        findings = json.loads(capsys.readouterr().out)["checks"]
        return code, {finding["name"]: finding for finding in findings}

    return ask


@pytest.mark.django_db
def test_a_set_up_in_order_passes_every_check(project: Path, told: Any) -> None:
    code, findings = told()

    assert code == 0, findings
    assert list(findings) == CHECKS
    assert all(set(finding) == {"name", "ok", "detail", "hint"} for finding in findings.values())
    assert findings["project"]["detail"] == f"{project}: 1 pipelines, 0 invalid"
    assert "lease 20 s" in findings["promises"]["detail"]
    assert "200 moments a batch" in findings["promises"]["detail"]
    assert "catch-up latest (24 h, at most 100)" in findings["promises"]["detail"]


@pytest.mark.django_db
def test_people_read_a_line_per_check(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor", no_color=True)

    lines = capsys.readouterr().out.splitlines()
    assert [line[5:23].strip() for line in lines] == CHECKS
    assert all(line.startswith("ok ") for line in lines)


@pytest.mark.django_db
def test_an_invalid_pipeline_is_named_with_its_reason(
    project: Path, told: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pipelines" / "broken").mkdir()
    (project / "pipelines" / "broken" / "metadata.yaml").write_text("blocks:\n  - {uuid: a, upstream_blocks: [a]}\n")

    code, findings = told()

    assert code == 1
    assert not findings["project"]["ok"]
    assert "Pipeline broken is invalid" in findings["pipeline"]["detail"]
    with pytest.raises(SystemExit):
        call_command("doctor", no_color=True)
    said = capsys.readouterr().out
    assert "FAIL pipeline" in said
    assert "→ " in said


@pytest.mark.django_db
def test_a_missing_project_is_a_finding_and_not_an_end(
    tmp_path: Path, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PROJECT_DIR", tmp_path / "nowhere")

    code, findings = told()

    assert code == 1
    assert "nowhere is not a folder" in findings["project"]["detail"]
    assert "create_project" in findings["project"]["hint"]
    assert findings["database"]["ok"]


@pytest.mark.django_db
def test_missing_migrations_are_told_and_what_needs_them_is_left_out(project: Path, told: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'schedules'")

    code, findings = told()

    assert code == 1
    assert "schedules.0001_first_tables" in findings["migrations"]["detail"]
    assert "migrate" in findings["migrations"]["hint"]
    assert "workers" not in findings


def test_a_silent_database_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseError("could not connect to server:\n  Connection refused")

    monkeypatch.setattr(connection, "cursor", fail)

    finding = checks.database()

    assert not finding.ok
    assert finding.detail == "could not connect to server: Connection refused"
    assert "DATABASE_URL" in finding.hint


@pytest.mark.processes
def test_doctor_goes_on_without_a_database(project: Path, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
        "ORCHESTRATOR_DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": "postgres://someone:hush-hush@127.0.0.1:1/none",
    }
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "doctor", "--json"]

    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1, ended.stderr
    findings = {finding["name"]: finding for finding in json.loads(ended.stdout)["checks"]}
    assert not findings["database"]["ok"]
    assert findings["executor"]["ok"]
    assert "hush" not in ended.stdout + ended.stderr


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LITTLE_SPACE", 10**18)

    finding = checks.data_folder()

    assert not finding.ok
    assert "ORCHESTRATOR_DATA_DIR" in finding.hint


def test_a_store_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(settings, "LOGS_URL", f"{tmp_path}/file/logs")
    monkeypatch.setattr(settings, "VARIABLES_URL", f"{tmp_path}/variables")

    logs, outputs = checks.storage()

    assert not logs.ok
    assert "NotADirectoryError" in logs.detail
    assert "LOGS_URL" in logs.hint
    assert outputs.ok
    assert list((tmp_path / "variables").iterdir()) == [], "the trial file is gone"


def test_an_executor_that_cannot_fork_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(ForkServer, "__init__", refuse)

    finding = checks.executor()

    assert not finding.ok
    assert "Resource temporarily unavailable" in finding.detail


def test_a_block_that_fails_in_the_trial_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "BLOCK", "@custom\ndef trial():\n    raise ValueError('no luck')\n")

    finding = checks.executor()

    assert not finding.ok
    assert "no luck" in finding.detail


def test_another_release_of_django_q2_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "GUARDED", "0.9")

    assert not checks.versions().ok


def test_redis_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")

    finding = checks.redis()

    assert not finding.ok
    assert "by polling" in finding.hint


# --- processes ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_scheduler_that_does_not_get_round_is_told(now: datetime) -> None:
    make_worker(WorkerKind.SCHEDULER, seen_at=now, last_loop_at=now - timedelta(minutes=2))

    finding = checks.scheduler(now)

    assert not finding.ok
    assert finding.detail == "1 alive, last loop 120.0 s ago"


@pytest.mark.django_db
def test_the_best_of_several_schedulers_counts(now: datetime) -> None:
    make_worker(WorkerKind.SCHEDULER, seen_at=now, last_loop_at=None)
    make_worker(WorkerKind.SCHEDULER, seen_at=now, last_loop_at=now - timedelta(seconds=1), pid=101)

    assert checks.scheduler(now) == Finding(
        name="scheduler", ok=True, detail="2 alive, last loop 1.0 s ago", hint="See its messages; start it again."
    )


@pytest.mark.parametrize(("age", "has_worker", "is_ok"), [(120, False, False), (120, True, True), (5, False, True)])
@pytest.mark.django_db
def test_work_that_nobody_takes_is_told(age: int, has_worker: bool, is_ok: bool, now: datetime) -> None:
    run = make_run(blocks={"load": BlockStatus.QUEUED})
    run.block_runs.filter(block_uuid="load").update(queued_at=now - timedelta(seconds=age))
    if has_worker:
        make_worker(seen_at=now)

    assert checks.workers(now).ok is is_ok


@pytest.mark.django_db
def test_what_must_never_be_is_told(now: datetime) -> None:
    run = make_run(started_at=now - timedelta(minutes=5))

    finding = checks.never(now)

    assert not finding.ok
    assert finding.detail.startswith(f"Run {run.pk} is running, but none of its blocks")
    assert "report it" in finding.hint


@pytest.mark.django_db
def test_a_clock_that_is_wrong_is_told() -> None:
    if connection.vendor != "postgresql":
        assert checks.clock(datetime.now(UTC)).ok
        return

    assert checks.clock(datetime.now(UTC)).ok
    finding = checks.clock(datetime.now(UTC) + timedelta(seconds=30))
    assert not finding.ok
    assert "chrony" in finding.hint


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 B"), (105_000_000, "105 MB"), (83_000_000_000, "83.0 GB"), (5e14, "500000.0 GB")]
)
def test_amounts_are_written_for_people(size: float, words: str) -> None:
    assert checks.amount(size) == words


@pytest.mark.django_db
def test_a_file_of_mage_that_nothing_acts_upon_is_named(project: Path, told: Any) -> None:
    (project / "global_hooks.yaml").write_text("resources: {}\n")

    code, findings = told()

    assert code == 0
    assert findings["passed over"]["detail"] == "global_hooks.yaml is there, but global hooks are not called here"
