"""A server works on one project: a command for another one beside it is refused before anything is changed."""

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import one_project
from runs.models import PipelineRun, WorkerKind
from runs.working import workers
from tests.factories import NOON, make_pipeline, make_worker
from tests.runs.small_project import write_project

pytestmark = pytest.mark.django_db

A_PID_THAT_IS_NONE = 2**22 + 1  # beyond what Linux gives out


@pytest.fixture(autouse=True)
def served(tmp_path: Path, settings: pytest.FixtureRequest) -> Path:
    """A project that a scheduler has said it serves."""
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    one_project.note(tmp_path / "served")
    return tmp_path / "served"


def make_scheduler(**fields: object) -> None:
    make_worker(WorkerKind.SCHEDULER, **{"host": workers.this_host(), "pid": os.getpid(), **fields})


def test_another_project_is_refused_while_a_scheduler_lives(tmp_path: Path, served: Path) -> None:
    make_scheduler()

    with pytest.raises(Refusal) as refused:
        one_project.refuse_another(tmp_path / "other", NOON)

    assert f"serves another project, {served}." in str(refused.value)
    assert "ORCHESTRATOR_DATA_DIR=~/.other" in str(refused.value)


def test_the_project_that_is_served_is_welcome(served: Path) -> None:
    make_scheduler()

    one_project.refuse_another(served, NOON)


def test_another_project_is_welcome_once_the_scheduler_has_stopped_or_died(tmp_path: Path) -> None:
    make_scheduler(stopped_at=NOON)
    make_scheduler(pid=A_PID_THAT_IS_NONE)

    one_project.refuse_another(tmp_path / "other", NOON)


def test_a_scheduler_of_another_host_says_nothing_about_this_data_folder(tmp_path: Path) -> None:
    make_scheduler(host="elsewhere")

    one_project.refuse_another(tmp_path / "other", NOON)


def test_a_data_folder_that_served_nothing_takes_any_project(tmp_path: Path) -> None:
    one_project.marker().unlink()
    make_scheduler()

    one_project.refuse_another(tmp_path / "other", NOON)


@pytest.mark.parametrize("command", ["run", "start"])
def test_a_refused_command_leaves_the_served_pipelines_as_they_are(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.utils import timezone

    make_scheduler(seen_at=timezone.now())
    make_pipeline("etl")
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(settings.PROJECT_DIR))
    other = write_project(tmp_path / "other")
    arguments = ["chain", "--project", str(other)] if command == "run" else [str(other), "--port", "0"]

    with pytest.raises(SystemExit) as exit:
        call_command(command, *arguments)

    assert exit.value.code == 2
    assert "serves another project" in capsys.readouterr().err
    assert list(Pipeline.objects.present().values_list("uuid", flat=True)) == ["etl"]
    assert not PipelineRun.objects.exists()
