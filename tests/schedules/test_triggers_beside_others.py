"""What an entry says can be wrong beside other rows only: a chain in a ring, a calendar that is not there."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from schedules.files import triggers_yaml
from schedules.models import ChainLink, Occurrence, PipelineSchedule
from tests.factories import NOON
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectOnDisk]:
    triggers_yaml.forget()
    project = ProjectOnDisk(tmp_path)
    project.chain("load")
    project.chain("load", uuid="report")
    with override_settings(PROJECT_DIR=tmp_path):
        yield project
    triggers_yaml.forget()


def take_over(project: ProjectOnDisk, uuid: str, *lines: str, dry_run: bool = False) -> triggers_yaml.Diff:
    """Write a file with one entry, whose first line is the second of the file."""
    entry = "\n  ".join(["- name: only", *lines])
    project.write(f"pipelines/{uuid}/triggers.yaml", f"triggers:\n{entry}\n")
    return triggers_yaml.apply(project.root, NOON, dry_run=dry_run)


AFTER = ("schedule_type: event", "status: active", "settings:")


def test_a_trigger_in_code_may_follow_other_pipelines(project: ProjectOnDisk) -> None:
    assert take_over(project, "report", *AFTER, "  after: {pipelines: [etl]}").created == ["report/only"]

    assert [link.pipeline_uuid for link in ChainLink.objects.all()] == ["etl"]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_chain_that_goes_round_is_refused_with_its_line(project: ProjectOnDisk, dry_run: bool) -> None:
    take_over(project, "report", *AFTER, "  after: {pipelines: [etl]}")

    diff = take_over(project, "etl", *AFTER, "  priority: 1", "  after: {pipelines: [report]}", dry_run=dry_run)

    (problem,) = diff.problems
    assert (problem["file"], problem["line"]) == ("pipelines/etl/triggers.yaml", 7)
    assert "go round for ever" in problem["reason"]
    assert (diff.created, diff.unchanged) == ([], 1)
    assert PipelineSchedule.objects.count() == 1


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("after: {pipelines: [report]}", "A trigger of type time follows no other pipelines."),
        ("calendar: nowhere", ""),
    ],
)
def test_what_a_file_alone_does_not_tell_is_told_too(project: ProjectOnDisk, setting: str, reason: str) -> None:
    diff = take_over(project, "etl", "schedule_interval: '@daily'", f"settings: {{{setting}}}")

    (problem,) = diff.problems
    assert problem["line"] == 4
    assert problem["reason"].startswith(reason)
    assert not PipelineSchedule.objects.exists()


def test_a_setting_that_moves_moments_counts_from_the_edit_on(project: ProjectOnDisk) -> None:
    lines = ("schedule_interval: '0 * * * *'", "status: active")
    take_over(project, "etl", *lines)
    assert PipelineSchedule.objects.get().next_due_at == NOON + timedelta(hours=1)

    take_over(project, "etl", *lines, "settings: {active_hours: '20:00-22:00'}")

    assert PipelineSchedule.objects.get().next_due_at == NOON + timedelta(hours=8)
    assert not Occurrence.objects.exists()


def test_every_setting_may_be_in_the_file(project: ProjectOnDisk) -> None:
    diff = take_over(
        project,
        "etl",
        "schedule_interval: '0 * * * *'",
        "tags: [night, 010]",
        "description: All of it.",
        "envs: [dev, test]",
        "settings:",
        "  overlap: wait_one",
        "  catchup: all",
        "  catchup_max: 5",
        "  start_deadline: 600",
        "  priority: -3",
        "  run_limit_by_variable: {customer: 1}",
        "  stop_after_failures: 3",
        "  jitter: 60",
        "  landing_time_enabled: true",
        "  retry_config: {retries: 2}",
    )

    assert diff.problems == []
    row = PipelineSchedule.objects.get()
    assert (row.tags, row.description) == (["night", "010"], "All of it.")
    assert row.checked_settings().stop_after_failures == 3
    assert row.checked_settings().others == {}
