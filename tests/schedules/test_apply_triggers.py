"""The command that takes triggers.yaml over now and prints what that changes."""

import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from pipelines import secrets
from pipelines.models import Pipeline
from runs.models import PipelineRun
from schedules.files import triggers_yaml
from schedules.models import Occurrence, PipelineSchedule, hash_of
from tests.factories import NOON, make_backfill, make_run, make_schedule
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.django_db
PATH = "pipelines/etl/triggers.yaml"
NIGHT = "- name: night\n  schedule_interval: '30 2 * * *'\n  status: active\n"
HOURLY = "- name: hourly\n  schedule_interval: '@hourly'\n  status: active\n"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectOnDisk]:
    triggers_yaml.forget()
    project = ProjectOnDisk(tmp_path)
    project.chain("load")
    with override_settings(PROJECT_DIR=tmp_path):
        yield project
    triggers_yaml.forget()


def write(project: ProjectOnDisk, *entries: str) -> None:
    project.write(PATH, "triggers:\n" + "".join(entries))


def apply(*arguments: str, code: int = 0) -> str:
    """What the command says: its output, then its errors."""
    out, err = StringIO(), StringIO()
    try:
        call_command("apply_triggers", *arguments, stdout=out, stderr=err)
        ended = 0
    except SystemExit as end:
        ended = int(end.code or 0)
    assert ended == code, err.getvalue()
    return out.getvalue() + err.getvalue()


def report(*arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(apply(*arguments, "--json", code=code))
    return found


def names() -> list[str]:
    return sorted(PipelineSchedule.objects.values_list("name", flat=True))


def test_what_is_created_changed_and_removed_is_printed(project: ProjectOnDisk) -> None:
    write(project, NIGHT, HOURLY)
    assert apply() == (
        "+ etl/night: created\n+ etl/hourly: created\n2 created, 0 changed, 0 removed, 0 unchanged\n"
    )  # fmt: skip

    write(project, NIGHT.replace("30 2", "45 2") + "  timezone: Europe/Berlin\n  sla: 60\n  variables: {day: monday}\n")
    assert apply().splitlines() == [
        "~ etl/night: changed",
        "    schedule_interval: 30 2 * * * → 45 2 * * *",
        "    timezone: UTC → Europe/Berlin",
        '    variables: {} → {"day": "monday"}',
        "    sla: null → 60",
        "- etl/hourly: switched off, its entry is gone",
        "0 created, 1 changed, 1 removed, 0 unchanged",
    ]
    assert apply() == "0 created, 0 changed, 0 removed, 1 unchanged\n"


def test_a_time_without_a_zone_is_printed_with_the_one_it_was_taken_in(project: ProjectOnDisk) -> None:
    write(project, NIGHT)
    apply()
    write(project, NIGHT + "  timezone: Europe/Berlin\n  start_time: 2025-07-01 06:00:00\n")

    assert "    start_time: null → 2025-07-01 06:00:00+02:00 Europe/Berlin" in apply().splitlines()


def test_a_dry_run_says_the_same_and_changes_nothing(project: ProjectOnDisk) -> None:
    write(project, NIGHT)
    assert "+ etl/night: would be created" in apply("--dry-run")
    assert not Pipeline.objects.exists()

    apply()
    write(project, HOURLY)
    before = list(PipelineSchedule.objects.values())

    said = apply("--dry-run", "--prune")

    assert "+ etl/hourly: would be created\n- etl/night: would be deleted, its entry is gone\n" in said
    assert said.endswith("(dry run: nothing was changed)\n")
    assert list(PipelineSchedule.objects.values()) == before


def test_prune_deletes_what_has_no_entry_with_its_occurrences_and_keeps_its_runs(project: ProjectOnDisk) -> None:
    write(project, NIGHT, HOURLY)
    apply()
    night = PipelineSchedule.objects.get(name="night")
    run = make_run(night.pipeline, trigger_id=night.pk)
    Occurrence.objects.create(
        pipeline=night.pipeline, schedule=night, scheduled_for=NOON, decision="started", decided_at=NOON
    )
    make_schedule(night.pipeline, name="by hand")
    write(project, HOURLY)
    apply()  # switched off for now

    assert "- etl/night: deleted, its entry is gone" in apply("--prune")

    assert names() == ["by hand", "hourly"]
    assert not Occurrence.objects.exists()
    assert PipelineRun.objects.get() == run


def test_prune_waits_for_a_backfill_of_the_trigger(project: ProjectOnDisk) -> None:
    write(project, NIGHT, HOURLY)
    apply()
    night = PipelineSchedule.objects.get(name="night")
    make_backfill(night.pipeline, schedule=night, name="May", created_at=NOON).save()
    write(project, HOURLY)

    said = apply("--prune", code=2)

    assert "The trigger 'night' cannot be deleted: The backfill 'May' of this trigger is not over." in said
    assert names() == ["hourly", "night"]


def test_prune_deletes_the_triggers_in_code_of_a_pipeline_whose_folder_is_gone(project: ProjectOnDisk) -> None:
    project.chain("load", uuid="other")
    write(project, NIGHT)
    apply()
    (project.root / PATH).unlink()
    (project.root / "pipelines/etl/metadata.yaml").unlink()

    assert apply() == "0 created, 0 changed, 0 removed, 0 unchanged\n"
    assert names() == ["night"]
    assert report("--prune")["removed"] == ["etl/night"]
    assert names() == []


def test_a_broken_file_changes_nothing_ends_with_2_and_harms_no_other(project: ProjectOnDisk) -> None:
    write(project, NIGHT)
    apply()
    write(project, HOURLY, NIGHT.replace("30 2", "61 2"))
    project.chain("load", uuid="other")
    project.write("pipelines/other/triggers.yaml", "triggers:\n" + HOURLY)

    said = apply("--prune", code=2)

    assert said.splitlines() == [
        "+ other/hourly: created",
        "1 created, 0 changed, 0 removed, 0 unchanged",
        "pipelines/etl/triggers.yaml line 6: Minute: 61 is outside 0–59.",
    ]
    assert names() == ["hourly", "night"]
    assert Pipeline.objects.get(uuid="etl").trigger_problems[0]["line"] == 6
    write(project, NIGHT)
    apply()
    assert Pipeline.objects.get(uuid="etl").trigger_problems == []


def test_only_the_pipelines_that_are_named_are_looked_at(project: ProjectOnDisk) -> None:
    project.chain("load", uuid="other")
    write(project, NIGHT)
    project.write("pipelines/other/triggers.yaml", "triggers:\n" + HOURLY)

    assert report("other")["created"] == ["other/hourly"]
    assert "There is no pipeline 'othr'. Did you mean other?" in apply("othr", code=2)


def test_the_json_is_the_shape_that_scripts_rely_on(project: ProjectOnDisk) -> None:
    write(project, NIGHT)
    apply()
    write(project, NIGHT.replace("30 2", "45 2"), HOURLY.replace("@hourly", "never"))
    broken = report(code=2)
    assert broken["error"]["message"].startswith(f"{PATH} line 6: A cron expression has exactly 5 fields")
    assert (broken["created"], broken["updated"], broken["error"]["field"]) == ([], [], "triggers")

    write(project, NIGHT.replace("30 2", "45 2"), HOURLY)
    assert report("--dry-run") == {
        "dry_run": True,
        "prune": False,
        "created": ["etl/hourly"],
        "updated": [
            {
                "trigger": "etl/night",
                "changes": {"schedule_interval": {"old": "30 2 * * *", "new": "45 2 * * *"}},
            }
        ],
        "removed": [],
        "unchanged": 0,
        "warnings": [],
        "problems": [],
    }


def test_a_token_is_told_to_differ_and_never_shown(project: ProjectOnDisk) -> None:
    entry = "- name: call\n  schedule_type: api\n  status: active\n"
    write(project, entry)
    apply()
    secrets.put("etl_token", "s3cret-s3cret")
    write(project, entry + "  token: \"{{ secret_var('etl_token') }}\"\n")

    said = apply()

    assert "    token: none → another\n" in said
    assert "s3cret-s3cret" not in said
    assert PipelineSchedule.objects.get().token_hash == hash_of("s3cret-s3cret")


def test_without_a_token_in_the_file_the_rows_token_stays(project: ProjectOnDisk) -> None:
    write(project, "- name: call\n  schedule_type: api\n  status: active\n")
    apply()
    token = PipelineSchedule.objects.get().rotate_token()

    for description in ("deployed", "and again"):
        write(project, f"- name: call\n  schedule_type: api\n  status: active\n  description: {description}\n")
        apply()

    assert PipelineSchedule.objects.get().token_matches(token)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("folder", "The file cannot be read (Is a directory)"),
        ("link", "lies outside the project"),
        ("huge", "The file has 1,073,741,824 bytes; the limit is 1,048,576."),
        ("fifo", "This is not a regular file."),
    ],
)
def test_what_is_no_file_of_the_project_is_named(
    project: ProjectOnDisk, tmp_path: Path, kind: str, reason: str
) -> None:
    path = project.root / PATH
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 2**30)

    (problem,) = report(code=2)["problems"]

    assert problem["file"] == PATH
    assert reason in problem["reason"]


def test_a_folder_that_is_no_project_is_refused(
    project: ProjectOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(tmp_path))

    assert report("--project", str(tmp_path / "nowhere"), code=2)["error"]["field"] == "project"
