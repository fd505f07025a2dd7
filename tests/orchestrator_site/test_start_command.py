"""`start` before it becomes the supervisor: what it refuses, what it sets up, what it will start."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.db import connections

from orchestrator_site.management.commands import start
from orchestrator_site.management.commands.start import Command
from orchestrator_site.supervision import Plan
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from tests.factories import make_user

PIPELINE = """
name: hello
blocks:
  - uuid: greet
    type: custom
    language: python
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pipelines" / "hello").mkdir(parents=True)
    (folder / "pipelines" / "hello" / "metadata.yaml").write_text(PIPELINE)
    (folder / "custom").mkdir()
    (folder / "custom" / "greet.py").write_text("@custom\ndef greet():\n    print('hello')\n")
    (folder / "metadata.yaml").write_text("project_type: standalone\n")
    return folder


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Plan]]:
    """The plans that would have replaced this very process."""
    seen: list[Plan] = []
    monkeypatch.setattr(start, "replace_this_process", seen.append)
    monkeypatch.setattr(type(connections), "close_all", lambda _: None)  # the test's transaction is on it
    monkeypatch.setattr(settings, "PROJECT_DIR", settings.PROJECT_DIR)
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(settings.PROJECT_DIR))
    monkeypatch.delenv("DRAIN_SECONDS", raising=False)
    monkeypatch.delenv("ALLOWED_HOSTS", raising=False)
    yield seen
    for plan in seen:
        if plan.listener is not None:
            os.close(plan.listener)


def run_manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings", **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["nowhere is not a folder.", "create_project"]),
        (["--port", "99999"], ["--port 99999 is no port.", "65535"]),
        (["--port", "http"], ["http"]),
        (["--workers", "0", "--instance-type", "worker"], ["--workers 0 is out of range.", "1 to 256"]),
        (["--workers", "-1"], ["--workers -1 is out of range.", "0 to 256"]),
        (["--workers", "1000000000"], ["out of range"]),
        (["--workers", "2", "--instance-type", "web_server"], ["A web server has no workers."]),
        (["--instance-type", "broker"], ["broker", "web_server"]),
        (["--host", "no.such.host.invalid"], ["'no.such.host.invalid' is not known.", "127.0.0.1"]),
        (["--host", "192.0.2.1"], ["192.0.2.1"]),
    ],
)
@pytest.mark.django_db
def test_a_wrong_argument_is_refused_in_one_line(
    arguments: list[str], words: list[str], plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        Command().run_from_argv(["manage.py", "start", "--port", "0", *arguments])

    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert all(word in line for word in words), line
    assert plans == []


@pytest.mark.django_db
def test_a_port_in_use_is_refused_before_anything_is_made(
    project: Path, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(SystemExit):
            call_command("start", str(project), port=port)

    assert f"Port {port} of 127.0.0.1 is in use. Stop what uses it, or take another: --port" in capsys.readouterr().err
    assert not Pipeline.objects.exists()
    assert not get_user_model().objects.exists()


@pytest.mark.django_db
def test_a_folder_without_a_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("start", str(tmp_path), port=0)

    assert "has no metadata.yaml and no pipelines folder" in capsys.readouterr().err


@pytest.mark.processes
def test_a_database_that_does_not_answer_is_told_without_its_password(project: Path) -> None:
    url = "postgres://someone:hush-hush@127.0.0.1:1/none"

    ended = run_manage("start", str(project), "--port", "0", DATABASE_URL=url)

    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("The database does not answer")
    assert "DATABASE_URL" in line
    assert "hush" not in line


@pytest.mark.processes
def test_a_data_folder_that_cannot_be_written_is_told(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = run_manage("start", str(project), ORCHESTRATOR_DATA_DIR=str(tmp_path / "file" / "data"), DATABASE_URL="")

    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert "cannot be written" in line
    assert "ORCHESTRATOR_DATA_DIR" in line


@pytest.mark.processes
def test_a_file_that_is_no_database_is_told(project: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, whatever its name is " * 100)

    ended = run_manage("start", str(project), "--port", "0", DATABASE_URL=f"sqlite:///{tmp_path}/notes.txt")

    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert "The database" in line


# --- set-up ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_first_start_makes_an_administrator_and_says_the_password_once(
    project: Path, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("start", str(project), port=0)

    said = capsys.readouterr().out
    password = said.split("as admin with the password ")[1].split()[0]
    user = authenticate(username="admin", password=password)
    assert user is not None
    assert user.is_superuser
    call_command("start", str(project), port=0)
    assert "password" not in capsys.readouterr().out


@pytest.mark.django_db
def test_no_administrator_is_made_beside_other_users(project: Path, plans: list[Plan]) -> None:
    make_user("ada")

    call_command("start", str(project), port=0)

    assert not get_user_model().objects.filter(username="admin").exists()


@pytest.mark.django_db
def test_processes_without_pages_make_no_administrator(project: Path, plans: list[Plan]) -> None:
    call_command("start", str(project), instance_type="worker")

    assert not get_user_model().objects.exists()


@pytest.mark.django_db
def test_the_project_is_known_before_the_first_page(
    project: Path, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pipelines" / "broken").mkdir()
    (project / "pipelines" / "broken" / "metadata.yaml").write_text("blocks: 7\n")

    call_command("start", str(project), port=0)

    said = capsys.readouterr().out
    assert sorted(Pipeline.objects.values_list("uuid", "is_valid")) == [("broken", False), ("hello", True)]
    assert f"{project} (2 pipelines, 0 active triggers, 1 invalid: see the page Pipelines)" in said
    assert str(settings.DATA_DIR) in said


# --- what is started ------------------------------------------------------------------------------------------------


def started(plans: list[Plan], project: Path, **options: Any) -> Plan:
    call_command("start", str(project), **{"port": 0, **options})
    return plans[-1]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("all", ["The web server", "The scheduler"]),
        ("web_server", ["The web server"]),
        ("scheduler", ["The scheduler"]),
        ("worker", ["The workers"]),
    ],
)
@pytest.mark.django_db
def test_each_instance_type_starts_its_processes(kind: str, names: list[str], project: Path, plans: list[Plan]) -> None:
    plan = started(plans, project, instance_type=kind)

    assert list(plan.commands) == names
    assert (plan.listener is not None) == ("The web server" in names)


@pytest.mark.django_db
def test_children_work_on_the_named_project(project: Path, plans: list[Plan]) -> None:
    started(plans, project)

    assert os.environ["ORCHESTRATOR_PROJECT"] == str(project)


@pytest.mark.parametrize(("workers", "words"), [(5, ["--workers", "5"]), (0, ["--no-workers"])])
@pytest.mark.django_db
def test_the_number_of_workers_is_passed_on(workers: int, words: list[str], project: Path, plans: list[Plan]) -> None:
    plan = started(plans, project, workers=workers)

    assert plan.commands["The scheduler"][3:] == words


@pytest.mark.django_db
def test_running_blocks_get_a_second_unless_the_environment_says_more(
    project: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = started(plans, project)
    monkeypatch.setenv("DRAIN_SECONDS", "20")
    monkeypatch.setattr(settings, "DRAIN_SECONDS", 20.0)
    patient = started(plans, project)

    assert (plain.environment["DRAIN_SECONDS"], plain.stop_seconds) == ("1", 4.5)
    assert (patient.environment["DRAIN_SECONDS"], patient.stop_seconds) == ("20", 23.5)


@pytest.mark.django_db
def test_the_url_is_one_that_a_browser_on_this_machine_can_open(project: Path, plans: list[Plan]) -> None:
    everywhere = started(plans, project, host="0.0.0.0")

    assert everywhere.ask is not None
    assert everywhere.ask[0] == "127.0.0.1"
    assert f"http://127.0.0.1:{everywhere.ask[1]}/" in everywhere.greeting
    assert "ALLOWED_HOSTS" not in everywhere.environment


@pytest.mark.django_db
def test_an_address_that_is_listened_on_may_be_asked_by_its_name(
    project: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = started(plans, project, host="127.0.0.2")
    monkeypatch.setenv("ALLOWED_HOSTS", "example.org")
    decided = started(plans, project, host="127.0.0.2")

    assert named.environment["ALLOWED_HOSTS"].endswith(",127.0.0.2")
    assert "ALLOWED_HOSTS" not in decided.environment


@pytest.mark.django_db
def test_the_public_url_is_shown_where_there_is_one(
    project: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PUBLIC_URL", "https://jobs.example.org")

    assert "https://jobs.example.org/" in started(plans, project).greeting


@pytest.mark.django_db
def test_code_is_watched_for_developers_only(project: Path, plans: list[Plan]) -> None:
    assert started(plans, project).watch == ()
    assert str(settings.BASE_DIR / "templates") in started(plans, project, reload=True).watch


def test_a_host_of_ipv6_is_written_in_brackets() -> None:
    listener = start.open_listener("::1", 0)
    port = listener.getsockname()[1]

    plan = start.with_web_server(Plan(commands={}), listener)

    assert plan.ask == ("::1", port, f"[::1]:{port}")
    assert plan.listener is not None
    os.close(plan.listener)


def test_a_privileged_port_says_which_may_be_used() -> None:
    refusal = start.unbound(PermissionError(13, "Permission denied"), "127.0.0.1", 80)

    assert isinstance(refusal, Refusal)
    assert str(refusal) == "You may not open port 80. Use one from 1024 on."
