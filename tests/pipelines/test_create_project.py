"""`create_project`: a project that runs as it is, or nothing and one line that says why."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from pipelines import new_projects
from pipelines.management.commands.create_project import Command
from pipelines.project import read_pipeline, read_project
from pipelines.runtime import run_block
from tests.pipelines.block_project import BlockProject

FILES = [
    ".gitignore",
    "README.md",
    "data_exporters/append_report.py",
    "data_loaders/measure_disk.py",
    "metadata.yaml",
    "pipelines/disk_space/metadata.yaml",
    "pipelines/disk_space/triggers.yaml",
    "requirements.txt",
    "transformers/add_percent.py",
]


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Run the command, see it exit with 2, and return what it printed to stdout and to stderr."""
    with pytest.raises(SystemExit) as exit:
        call_command("create_project", *arguments)
    assert exit.value.code == 2
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_a_new_project_has_every_file_under_its_own_name(tmp_path: Path) -> None:
    call_command("create_project", str(tmp_path / "shop"))

    assert files(tmp_path / "shop") == FILES
    assert (tmp_path / "shop").stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    before = (tmp_path / "shop").stat().st_ino

    call_command("create_project", str(tmp_path / "shop"))

    assert files(tmp_path / "shop") == FILES
    assert (tmp_path / "shop").stat().st_ino == before
    assert os.listdir(tmp_path) == ["shop"]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    call_command("create_project", str(tmp_path / "a/b/shop"))

    assert files(tmp_path / "a/b/shop") == FILES


def test_the_new_project_is_valid(tmp_path: Path) -> None:
    new_projects.create_project(tmp_path / "shop")

    project = read_project(tmp_path / "shop")
    pipeline = read_pipeline(project, "disk_space")

    assert project.pipelines == ("disk_space",)
    assert [block.uuid for block in pipeline.graph.blocks] == ["measure_disk", "add_percent", "append_report"]
    assert pipeline.settings["variables"] == {"warn_above_percent": 90}


def test_its_pipeline_runs_and_a_second_run_of_the_moment_replaces_its_line(shop: BlockProject) -> None:
    new_projects.create_project(shop.root)
    pipeline = read_pipeline(read_project(shop.root), "disk_space")

    for _ in range(2):
        upstream: list[dict[str, Any]] = []
        for block in pipeline.graph.blocks:
            job = shop.job(
                uuid=block.uuid, kind=block.type, variables=pipeline.settings["variables"], upstream=upstream
            )
            result = run_block(job)
            assert result["verdict"] == "completed", result["failure"]
            upstream = [{"block": block.uuid, "outputs": result["outputs"]}]

    report = (shop.root / "reports/disk_space.csv").read_text().splitlines()
    assert report[0] == "measured_at,total,used,percent,is_too_full"
    assert len(report) == 2


def test_the_command_tells_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_project", str(tmp_path / "shop"))

    assert f"manage.py run disk_space --project {tmp_path / 'shop'}" in capsys.readouterr().out


def test_json_lists_what_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("create_project", str(tmp_path / "shop"), "--json")

    assert json.loads(capsys.readouterr().out) == {"project": str(tmp_path / "shop"), "files": FILES}


def test_a_folder_with_something_in_it_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("precious")

    out, errors = refused(capsys, str(tmp_path))

    assert out == ""
    assert errors == f"{tmp_path} is not empty. Name a new or an empty folder; nothing was changed.\n"
    assert files(tmp_path) == ["mine.txt"]


def test_refused_input_is_json_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious")

    out, errors = refused(capsys, str(tmp_path), "--json")

    assert errors == ""
    assert json.loads(out) == {
        "error": {
            "field": "path",
            "message": f"{tmp_path} is not empty.",
            "hint": "Name a new or an empty folder; nothing was changed.",
        }
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("x"), "is a file"),
        (lambda path: path.symlink_to("nowhere"), "is a file"),
        (lambda path: path.mkdir() or (path / ".hidden").write_text(""), "is not empty"),
    ],
)
def test_what_is_in_the_way_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, message: str
) -> None:
    make(tmp_path / "shop")

    assert message in refused(capsys, str(tmp_path / "shop"))[1]


@pytest.mark.parametrize("path", ["file/shop", "x" * 300, "a\0b", "/proc/shop"])
def test_a_place_that_cannot_hold_it_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    (tmp_path / "file").write_text("")

    errors = refused(capsys, str(tmp_path / path))[1]

    assert errors.count("\n") == 1
    assert files(tmp_path) == ["file"]


def test_nothing_half_made_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(source: Path, made: Path) -> str:
        (made / "half").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(new_projects, "copy", fails)

    with pytest.raises(KeyboardInterrupt):
        new_projects.create_project(tmp_path / "shop")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: path"),
        (["a", "b"], "unrecognized arguments: b"),
        (["a", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as exit:
        Command().run_from_argv(["manage.py", "create_project", *arguments])

    assert exit.value.code == 2
    assert capsys.readouterr() == ("", f"{message} See manage.py create_project --help.\n")


def test_wrong_arguments_are_json_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "create_project", "a", "b", "--json"])

    assert json.loads(capsys.readouterr().out)["error"]["message"] == "unrecognized arguments: b"


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        Command().run_from_argv(["manage.py", "create_project", "--help"])

    assert exit.value.code == 0
    assert "with one pipeline that runs as it is" in capsys.readouterr().out


@pytest.mark.processes
def test_the_real_command_ends_with_the_code_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    manage = Path(__file__).parents[2] / "manage.py"

    ended = subprocess.run(
        [sys.executable, str(manage), "create_project", "."], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{tmp_path} is not empty. Name a new or an empty folder; nothing was changed.\n"
