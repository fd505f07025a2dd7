"""clean_runs, clean_old_logs and clean_cached_variables."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from runs.models import PipelineRun
from runs.retaining import janitor
from tests.factories import make_pipeline
from tests.runs.kept import files_of, old_run, pipeline_with, with_files
from tests.runs.small_project import write_project

pytestmark = pytest.mark.django_db
Clean = Callable[..., str]


@pytest.fixture
def clean(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Clean:
    settings.LOGS_URL, settings.VARIABLES_URL = str(tmp_path / "logs"), str(tmp_path / "variables")
    settings.PROJECT_DIR = write_project(tmp_path / "project")
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(settings.PROJECT_DIR))

    def call(name: str, *arguments: str) -> str:
        out = StringIO()
        call_command(name, *arguments, stdout=out)
        return out.getvalue()

    return call


def old_and_new(uuid: str = "mine", **rules: Any) -> tuple[PipelineRun, PipelineRun]:
    pipeline = pipeline_with(uuid, **rules) if rules else make_pipeline(uuid)
    return with_files(old_run(pipeline)), with_files(old_run(pipeline, timezone.now()))


def refused(clean: Clean, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        clean(*arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_runs_older_than_the_period_go_with_their_files(clean: Clean) -> None:
    old, new = old_and_new()

    text = clean("clean_runs", "--retention-period", "30d")

    assert text.splitlines()[0] == "mine: 1 run went"
    assert "6 files" in text
    assert list(PipelineRun.objects.all()) == [new]
    assert (files_of(old.pk), files_of(new.pk)) == ((0, 0), (3, 3))


@pytest.mark.parametrize(
    ("command", "left", "word"), [("clean_old_logs", (0, 3), "logs"), ("clean_cached_variables", (3, 0), "outputs")]
)
def test_logs_or_outputs_go_and_the_run_stays(clean: Clean, command: str, left: tuple[int, int], word: str) -> None:
    old, _ = old_and_new()

    assert f"mine: {word} of 1 run went" in clean(command, "--retention-period", "30d")

    assert files_of(old.pk) == left
    assert PipelineRun.objects.count() == 2


def test_a_dry_run_says_what_would_go_and_removes_nothing(clean: Clean) -> None:
    old, _ = old_and_new()

    text = clean("clean_runs", "--retention-period", "30d", "--dry-run")

    assert "mine: 1 run (6 files," in text
    assert "would go, being older than 30 d" in text
    assert files_of(old.pk) == (3, 3)
    assert PipelineRun.objects.count() == 2


def test_without_a_period_the_rules_count_and_each_command_takes_its_own(clean: Clean) -> None:
    old_and_new(runs={"age": 720}, logs={"age": 720})
    old_and_new("other")

    assert clean("clean_old_logs").splitlines()[0] == "mine: logs of 1 run went"
    assert PipelineRun.objects.count() == 4
    assert clean("clean_runs").splitlines()[0] == "mine: 1 run went"
    assert PipelineRun.objects.count() == 3


def test_without_a_period_and_without_rules_nothing_goes(clean: Clean) -> None:
    old_and_new()

    assert "No rule says how long runs are kept: nothing goes." in clean("clean_runs")
    assert PipelineRun.objects.count() == 2


def test_one_pipeline_can_be_named(clean: Clean) -> None:
    old_and_new()
    old_and_new("other")

    assert clean("clean_runs", "--retention-period", "30d", "--pipeline", "other").startswith("other: 1 run went")
    assert PipelineRun.objects.count() == 3


def test_programs_get_one_object(clean: Clean) -> None:
    old_and_new()

    dry = json.loads(clean("clean_runs", "--retention-period", "30d", "--dry-run", "--json"))
    assert [(row["pipeline_uuid"], row["runs"]) for row in dry["pipelines"] if row["runs"]] == [("mine", 1)]
    told = json.loads(clean("clean_runs", "--retention-period", "30d", "--json"))
    assert (told["removed"], told["files"], told["problems"]) == ({"mine": 1}, 6, [])


def test_what_is_no_age_is_refused(clean: Clean, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'a while' is not an age" in refused(clean, capsys, "clean_runs", "--retention-period", "a while")


def test_an_unknown_pipeline_is_refused(clean: Clean, capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no pipeline 'nope'" in refused(clean, capsys, "clean_runs", "--pipeline", "nope")


def test_a_fault_of_the_disk_is_told_and_the_rest_goes(clean: Clean, tmp_path: Path) -> None:
    old, _ = old_and_new()
    folder = tmp_path / "logs" / str(old.pk // 1000)
    folder.rename(tmp_path / "aside")
    folder.symlink_to(folder.name)  # a link to itself

    text = clean("clean_runs", "--retention-period", "30d")

    assert "cannot be removed now" in text
    assert files_of(old.pk)[1] == 0
    assert janitor.open_leavings(timezone.now()) == []
