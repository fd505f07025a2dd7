"""Each setting that cannot be read stops the start with one line that says what would be right."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def check(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = {**kept, "ORCHESTRATOR_DATA_DIR": str(tmp_path / "data"), **env}
    command = [sys.executable, "manage.py", "check"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKERS", "many", "WORKERS='many' is not a number; use 1 to 256."),
        ("WORKERS", "0", "WORKERS=0 is outside 1 to 256."),
        ("ENV", "banana", "ENV='banana' is not known; use one of: dev, test, staging, prod."),
        ("DEBUG", "maybe", "DEBUG='maybe' is not a yes or no; use true or false."),
        ("DATABASE_URL", "oracle://x", "DATABASE_URL has the scheme 'oracle'; use sqlite or postgres or postgresql."),
        ("REDIS_URL", "http://x", "REDIS_URL has the scheme 'http'; use redis or rediss or unix."),
        ("SECRET_KEY", "short", "SECRET_KEY is shorter than 32 characters"),
        ("LOGS_URL", "memory://logs", "LOGS_URL='memory://logs' is no place for logs; use an absolute folder, or"),
        ("LOGS_URL", "logs", "LOGS_URL='logs' is no place for logs"),
        ("LOGS_URL", "s4://bucket/logs", "LOGS_URL='s4://bucket/logs' is no place for logs"),
        ("ORCHESTRATOR_DATADIR", "/tmp/x", "ORCHESTRATOR_DATADIR is not a setting"),
        ("ORCHESTRATOR_DATA_DIR", "/proc/nowhere", "The data folder /proc/nowhere cannot be written"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, name: str, value: str, said: str) -> None:
    answer = check(tmp_path, **{name: value})

    assert answer.returncode == 2
    assert answer.stderr.startswith("error: ")
    assert said in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("env", [{"ALLOWED_HOSTS": "*"}, {"DEBUG": "true"}])
def test_what_is_unsafe_in_production_is_refused_there(tmp_path: Path, env: dict[str, str]) -> None:
    assert check(tmp_path, **env).returncode == 0
    assert check(tmp_path, ENV="prod", **env).returncode == 2


def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    check(tmp_path)
    path = tmp_path / "data" / "secret_key"
    first = path.read_text()
    check(tmp_path)

    assert len(first) > 50
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_password_in_a_url_is_never_told(tmp_path: Path) -> None:
    answer = check(tmp_path, DATABASE_URL="mysql://root:hunter2@db/x")

    assert "hunter2" not in answer.stdout + answer.stderr
