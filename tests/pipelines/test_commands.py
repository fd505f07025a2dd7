"""How commands tell bad input: one line, exit code 2; as JSON where that was asked for."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from pipelines.commands import RefusingCommand, use_project
from pipelines.refusal import Refusal


class Refuses(RefusingCommand):
    requires_system_checks = []
    problem: Exception = Refusal("The pipe\nline is\n  unknown.", field="pipeline", hint="Did you mean etl?")

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        raise self.problem


def run(problem: Exception | None = None, **options: Any) -> tuple[str, str]:
    """Run the command, see it exit with 2, and return what it printed to stdout and to stderr."""
    command, out, errors = Refuses(), io.StringIO(), io.StringIO()
    if problem:
        command.problem = problem
    with pytest.raises(SystemExit) as exit:
        call_command(command, stdout=out, stderr=errors, **options)
    assert exit.value.code == 2
    return out.getvalue(), errors.getvalue()


def test_a_refusal_is_one_line_on_stderr() -> None:
    assert run() == ("", "The pipe line is unknown. Did you mean etl?\n")


def test_a_refusal_is_json_on_stdout_when_asked() -> None:
    out, errors = run(json=True)

    assert errors == ""
    assert json.loads(out)["error"]["field"] == "pipeline"


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (
            'connection to server at "127.0.0.1", port 1 failed: Connection refused\n\tIs the server running?\n',
            'The database does not answer (connection to server at "127.0.0.1", port 1 failed: Connection refused '
            "Is the server running?). Check DATABASE_URL and that the database runs.\n",
        ),
        (
            "no such table: runs_pipelinerun",
            "The database is not up to date (no such table: runs_pipelinerun). Run manage.py migrate.\n",
        ),
    ],
)
def test_a_database_that_does_not_answer_is_one_line(reason: str, line: str) -> None:
    assert run(OperationalError(reason)) == ("", line)


def test_a_mistake_in_our_code_is_not_hidden() -> None:
    command = Refuses()
    command.problem = KeyError("ours")

    with pytest.raises(KeyError):
        call_command(command)


def test_a_command_that_fails_in_its_own_way_keeps_its_way() -> None:
    command = Refuses()
    command.problem = CommandError("failed", returncode=1)

    with pytest.raises(CommandError):
        call_command(command)


def test_a_character_that_the_terminal_cannot_show_does_not_end_a_command(tmp_path: Path) -> None:
    environment = {**os.environ, "ORCHESTRATOR_DATA_DIR": str(tmp_path / "data"), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "manage.py", "create_project", str(tmp_path / "caf\u00e9")]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"Made {tmp_path}/caf\\xe9 with" in done.stdout


def test_a_folder_that_is_no_project_leaves_the_process_on_its_own(tmp_path: Path) -> None:
    before = settings.PROJECT_DIR

    with pytest.raises(Refusal, match="has no metadata.yaml and no pipelines folder"):
        use_project(str(tmp_path))

    assert before == settings.PROJECT_DIR
    assert os.environ.get("ORCHESTRATOR_PROJECT") != str(tmp_path)
