"""`manage.py run` as people and scripts use it: a process, its output and its exit code."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection, connections

from pipelines.refusal import Refusal
from runs.management.commands.run import Command, check_tables, read_object, read_variables
from runs.models import PipelineRun
from tests.runs.small_project import write_project

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
processes = pytest.mark.processes


class Shell:
    """A data folder and a project; `run` in it, to its end or on."""

    def __init__(self, folder: Path) -> None:
        self.project = write_project(folder / "project")
        self.folder = folder
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
            "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
            "ORCHESTRATOR_PROJECT": str(self.project),
            "DATABASE_URL": "",
            "WORKERS": "2",
        }

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [*MANAGE, "run", *arguments]
        return subprocess.run(command, env={**self.env, **env}, capture_output=True, text=True, timeout=60)

    def report(self, *arguments: str) -> dict[str, Any]:
        """Run with --json; return its last line."""
        ended = self.run(*arguments, "--json")
        assert ended.stdout, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return {**found, "exit": ended.returncode, "lines": len(ended.stdout.splitlines())}

    def begin(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        command = [*MANAGE, "run", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.env, text=True, **{"stdout": pipe, "stderr": pipe, **options})


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("run"))


def wait_for_line(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"{words!r} was never printed: {process.stderr and process.stderr.read()}")


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


# --- what it does ---------------------------------------------------------------------------------------------------


@processes
def test_a_pipeline_runs_with_no_server_and_a_fresh_database(shell: Shell) -> None:
    ended = shell.run("chain")

    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert "numbers | loading 3" in lines
    assert "total | total 6" in lines
    assert lines.index("numbers: running") < lines.index("numbers | loading 3")
    assert lines[-1].startswith("run ")
    assert "of chain completed in" in lines[-1]
    assert "\x1b" not in ended.stdout, "no colors without a terminal"
    assert ended.stderr == ""


@processes
def test_json_is_all_that_programs_get(shell: Shell) -> None:
    report = shell.report("chain", "-v", "limit=5")

    assert (report["exit"], report["lines"]) == (0, 1)
    assert {key: report[key] for key in ("pipeline", "status")} == {"pipeline": "chain", "status": "completed"}
    assert isinstance(report["pipeline_run"], int)
    assert report["started_at"].endswith("Z")
    assert report["duration"] > 0
    assert [block["block"] for block in report["blocks"]] == ["numbers", "double", "total"]
    assert report["blocks"][0].keys() == {"block", "status", "attempt", "duration", "error"}
    assert all(block["error"] is None for block in report["blocks"])


@processes
def test_a_failed_run_ends_with_1_and_shows_why(shell: Shell) -> None:
    ended = shell.run("failing")

    assert ended.returncode == 1
    assert "raises | so far so good" in ended.stdout
    assert "ValueError: the sky is green" in ended.stdout
    assert "custom/raises.py" in ended.stdout, "the traceback"
    assert "of failing failed in" in ended.stdout.splitlines()[-1]


@processes
def test_a_failure_is_data_in_json(shell: Shell) -> None:
    report = shell.report("failing")

    assert (report["exit"], report["status"]) == (1, "failed")
    assert report["blocks"][0]["error"] == {"type": "ValueError", "message": "the sky is green"}
    assert report["blocks"][1]["status"] == "upstream_failed"


@processes
def test_a_retry_delay_passes_without_a_scheduler(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("retrying", "-v", f"mark={tmp_path}/mark")

    assert ended.returncode == 0, ended.stdout
    assert "flaky: waiting, attempt 1 failed; tries again (RuntimeError: not the first time)" in ended.stdout
    assert "flaky | now it works" in ended.stdout


@processes
def test_a_sensor_is_asked_again_without_a_scheduler(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("sensing", "-v", f"mark={tmp_path}/mark")

    assert ended.returncode == 0, ended.stdout
    assert "looks: waiting" in ended.stdout
    assert "numbers: completed" in ended.stdout


@processes
def test_sensors_can_be_skipped(shell: Shell, tmp_path: Path) -> None:
    ended = shell.run("sensing", "--skip-sensors", "-v", f"mark={tmp_path}/mark")

    assert ended.returncode == 0
    assert "waiting" not in ended.stdout
    assert not (tmp_path / "mark").exists()


@processes
def test_one_block_runs_alone_on_what_was_there(shell: Shell) -> None:
    shell.run("chain", "-v", "limit=4")

    report = shell.report("chain", "--block", "double")

    assert (report["exit"], [block["block"] for block in report["blocks"]]) == (0, ["double"])


@processes
def test_blocks_side_by_side_run_side_by_side(shell: Shell) -> None:
    ended = shell.run("fanning", "--workers", "2")

    states = [line.split(": ")[1].split()[0] for line in ended.stdout.splitlines() if line.startswith("piece_")]
    assert ended.returncode == 0
    assert states.count("completed") == 4
    going_on = [states[:n].count("running") - states[:n].count("completed") for n in range(len(states))]
    assert max(going_on) == 2


@processes
def test_no_wait_leaves_the_run_to_workers(shell: Shell) -> None:
    report = shell.report("chain", "--no-wait")

    assert (report["exit"], report["status"], report["completed_at"]) == (0, "running", None)
    assert [block["status"] for block in report["blocks"]] == ["queued", "initial", "initial"]


@processes
def test_another_project_can_be_named(shell: Shell, tmp_path: Path) -> None:
    write_project(tmp_path / "other")
    (tmp_path / "other" / "custom" / "talks.py").write_text("@custom\ndef talk():\n    print('from the other')\n")

    ended = shell.run("talking", "--project", str(tmp_path / "other"), ORCHESTRATOR_DATA_DIR=str(tmp_path / "data"))

    assert "talks | from the other" in ended.stdout


# --- stopping -------------------------------------------------------------------------------------------------------


@processes
def test_ctrl_c_cancels_the_run_and_ends_its_processes(shell: Shell) -> None:
    process = shell.begin("sleeping")
    wait_for_line(process, "sleeps | asleep")
    tree = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 3
    assert "stopping, 1 block running; Ctrl-C again to end everything at once" in err
    assert "of sleeping cancelled in" in out.splitlines()[-1]
    assert not [child for child in tree if child.is_running()]


@processes
def test_callbacks_are_waited_for_and_heard(shell: Shell) -> None:
    ended = shell.run("called_back", "--var", "seconds=0.0")

    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert "tell@numbers | told of success" in lines
    assert "tell@sleeps | told of success" in lines
    assert any(line.startswith("tell@sleeps: completed") for line in lines)


@processes
def test_ctrl_c_has_the_cancelled_callback_called(shell: Shell, tmp_path: Path) -> None:
    process = shell.begin("called_back", "--var", f"file={tmp_path / 'told'}")
    wait_for_line(process, "sleeps | asleep")

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)

    assert process.returncode == 3
    assert "tell@sleeps | told of cancelled" in out
    assert "sleeps cancelled None None" in (tmp_path / "told").read_text()


@processes
def test_a_second_ctrl_c_does_not_wait(shell: Shell, tmp_path: Path) -> None:
    deaf = "import signal, time\n@custom\ndef nap():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    deaf += "    print('asleep', flush=True)\n    time.sleep(60)\n"
    write_project(tmp_path / "deaf")
    (tmp_path / "deaf" / "custom" / "sleeps.py").write_text(
        f"{deaf}    print('asleep', flush=True)\n    time.sleep(60)\n"
    )
    process = shell.begin("sleeping", "--project", str(tmp_path / "deaf"))
    wait_for_line(process, "sleeps | asleep")
    tree = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)

    assert process.returncode == 130
    assert "Traceback" not in err
    wait_until(lambda: not [child for child in tree if child.is_running()])


@processes
def test_a_killed_run_takes_its_block_along(shell: Shell, tmp_path: Path) -> None:
    arguments = ["witnessed", "-v", f"file={tmp_path}/file", "-v", "seconds=2"]
    process = shell.begin(*arguments)
    wait_until((tmp_path / "file").exists)
    tree = psutil.Process(process.pid).children(recursive=True)

    process.kill()
    process.communicate()

    wait_until(lambda: not [child for child in tree if child.is_running()])
    assert (tmp_path / "file").read_text() == "began\n", "its block ended with it"


@processes
def test_a_reader_that_goes_away_does_not_end_the_run(shell: Shell) -> None:
    process = shell.begin("talking", "-v", "lines=5000", stderr=subprocess.PIPE)
    wait_for_line(process, "talks | line 0")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


@processes
@pytest.mark.parametrize("columns", [20, 100])
def test_a_terminal_sees_a_line_per_block(shell: Shell, columns: int) -> None:
    screen = on_terminal(shell, "chain", columns)

    assert "\x1b[" in screen
    assert "✓" in screen
    assert "numbers" in screen
    assert "Traceback" not in screen


def on_terminal(shell: Shell, pipeline: str, columns: int) -> str:
    """Run on a terminal of that width; return everything it was sent."""
    ours, theirs = pty.openpty()
    env = {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [*MANAGE, "run", pipeline], env={**shell.env, **env}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    screen = b""
    while process.poll() is None or select.select([ours], [], [], 0.1)[0]:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                screen += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.wait(30) == 0
    return screen.decode()


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Call it with arguments that `run` must refuse; get what it wrote to stdout and stderr."""
    project = write_project(tmp_path / "project")
    monkeypatch.setattr(settings, "PROJECT_DIR", project)
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(project))
    monkeypatch.setattr(type(connections), "close_all", lambda _: None)  # the test's transaction is on it

    def run(*arguments: str) -> tuple[str, str]:
        with pytest.raises(SystemExit) as stop:
            Command().run_from_argv(["manage.py", "run", *arguments])
        assert stop.value.code == 2
        assert not PipelineRun.objects.exists(), "nothing was created"
        said = capsys.readouterr()
        return said.out, said.err

    return run


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chian"], ["chian", "chain"]),
        (["circular"], ["numbers", "→"]),
        (["chain", "--block", "dubble"], ["'dubble'", "double"]),
        (["chain", "--executor", "kubernetis"], ["'kubernetis'", "local_python"]),
        (["chain", "--project", "/nowhere"], ["/nowhere is not a folder."]),
        (["chain", "--execution-date", "2025-02-30"], ["'2025-02-30'", "ISO 8601 with a zone"]),
        (["chain", "--workers", "0"], ["--workers 0", "1 to 256"]),
        (["chain", "--wurst"], ["--wurst", "--help"]),
        ([], ["PIPELINE"]),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    refused: Callable[..., tuple[str, str]], arguments: list[str], words: list[str]
) -> None:
    out, err = refused(*arguments)

    assert out == ""
    (line,) = err.splitlines()
    assert all(word in line for word in words), line


@pytest.mark.django_db
def test_a_refusal_is_json_for_programs(refused: Callable[..., tuple[str, str]]) -> None:
    out, err = refused("chain", "--runtime-vars", "[1]", "--json")

    error = json.loads(out)["error"]
    assert (error["field"], err) == ("runtime_vars", "")
    assert error["message"] == "--runtime-vars is '[1]'."
    assert "must be a JSON object" in error["hint"]


@pytest.mark.django_db
def test_a_server_database_is_not_migrated_in_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'runs'")
    monkeypatch.setattr(connection, "vendor", "postgresql")

    with pytest.raises(
        Refusal, match=r"The database lacks \d+ migrations \(runs\.0001_first_tables\b.*\)\. Run manage\.py migrate"
    ):
        check_tables()


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("x=5", 5),
        ("x=0.5", 0.5),
        ("x=true", True),
        ("x=null", None),
        ('x={"a": [1]}', {"a": [1]}),
        ('x="5"', "5"),
        ("x=2025-03-02", "2025-03-02"),
        ("x=a=b", "a=b"),
        ("x=", ""),
        ("x=NaN", "NaN"),
        ("x=1e400", "1e400"),
        ("x=@/etc/passwd", "@/etc/passwd"),
        ("x=$(id)", "$(id)"),
        ("x={broken", "{broken"),
    ],
)
def test_a_value_is_json_where_it_can_be_and_else_text(assignment: str, value: Any) -> None:
    assert read_variables(None, [assignment]) == {"x": value}


@pytest.mark.parametrize("assignment", ["a", "=1", " =1", ""])
def test_an_assignment_needs_a_name_and_a_value(assignment: str) -> None:
    with pytest.raises(Refusal, match="-v needs NAME=VALUE"):
        read_variables(None, [assignment])


@pytest.mark.parametrize("assignment", ["x=\x00", "\x00=1", "x=\udcff"])
def test_what_no_database_can_keep_is_refused(assignment: str) -> None:
    with pytest.raises(Refusal, match="cannot be stored"):
        read_variables(None, [assignment])


def test_the_later_of_two_values_wins_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_variables('{"a": 0, "b": 1}', ["a=1", "a=2"]) == {"a": 2, "b": 1}
    assert capsys.readouterr().err == "warning: a is given twice; the later value is taken\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [("[1]", r"--runtime-vars is '\[1\]'"), ('{"a" 1}', "--runtime-vars is not JSON: line 1, column 6")],
)
def test_runtime_vars_must_be_an_object(text: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        read_object(text)


@processes
def test_a_run_without_a_server_does_what_its_blocks_wait_for(shell: Shell) -> None:
    (shell.project / "custom" / "waits.py").write_text(
        "from mage_ai.orchestration.triggers.api import trigger_pipeline\n"
        "@custom\ndef wait(**_):\n    print('child', trigger_pipeline('chain', check_status=True).status)\n"
        "    trigger_pipeline('sleeping')\n"
    )
    (shell.project / "pipelines" / "waiting").mkdir()
    (shell.project / "pipelines" / "waiting" / "metadata.yaml").write_text("blocks:\n- {uuid: waits, type: custom}\n")

    ended = shell.run("waiting", "--workers", "1")

    assert ended.returncode == 0, ended.stderr
    assert "child completed" in ended.stdout
    assert "of sleeping, which it started, is running: left to a server" in ended.stdout + ended.stderr
