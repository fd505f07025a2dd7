"""Taking triggers.yaml over into rows, again and again."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from pipelines import secrets
from pipelines.models import Pipeline
from runs.states import RunStatus
from schedules import scheduler
from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule, Source
from tests.factories import NOON, make_pipeline, make_run, make_schedule
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
PATH = "pipelines/etl/triggers.yaml"
TIMES = count(1_000_000_000)


def file_with(*entries: str) -> str:
    return "triggers:\n" + "".join(f"- name: {entry}\n" for entry in entries)


HOURLY = "hourly\n  schedule_interval: '@hourly'\n  status: active"
NIGHTLY = "nightly\n  schedule_interval: '30 2 * * *'\n  timezone: Europe/Berlin\n  status: inactive"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[ProjectOnDisk]:
    triggers_yaml.forget()
    make_pipeline("etl")
    yield ProjectOnDisk(tmp_path)
    triggers_yaml.forget()


def write(project: ProjectOnDisk, text: str) -> None:
    """Write the file with another time of change than ever before, however coarse the disk's clock is."""
    file = project.write(PATH, text)
    os.utime(file, (0, next(TIMES)))


def rows() -> dict[str, PipelineSchedule]:
    return {row.name: row for row in PipelineSchedule.objects.all()}


def test_entries_become_schedules_that_are_planned_from_now(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY, NIGHTLY))

    diff = triggers_yaml.sync(project.root, NOON)

    assert diff.created == ["etl/hourly", "etl/nightly"]
    hourly, nightly = rows()["hourly"], rows()["nightly"]
    assert (hourly.is_active, hourly.next_due_at, hourly.source) == (True, NOON + HOUR, Source.CODE)
    assert (nightly.is_active, nightly.next_due_at, nightly.timezone) == (False, None, "Europe/Berlin")
    assert scheduler.tick(NOON).fired == 0


def test_an_unchanged_file_is_not_read_and_writes_nothing(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)

    with CaptureQueriesContext(connection) as queries:
        diff = triggers_yaml.sync(project.root, NOON)

    assert len(queries) == 1
    assert diff == triggers_yaml.Diff()


def test_another_process_reads_the_same_file_and_writes_nothing(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    triggers_yaml.forget()

    diff = triggers_yaml.sync(project.root, NOON + HOUR)

    assert diff == triggers_yaml.Diff()
    assert rows()["hourly"].last_enabled_at == NOON


def test_an_edited_interval_counts_from_now_and_never_fires_at_once(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    write(project, file_with(HOURLY.replace("@hourly", "*/10 * * * *")))

    diff = triggers_yaml.sync(project.root, NOON + HOUR * 0.9)

    assert diff.updated == ["etl/hourly"]
    assert diff.changes == {"etl/hourly": {"schedule_interval": ("@hourly", "*/10 * * * *")}}
    assert rows()["hourly"].next_due_at == NOON + HOUR
    assert scheduler.tick(NOON + HOUR * 0.9).fired == 0


def test_an_edit_of_something_else_leaves_the_next_moment_alone(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    write(project, file_with(HOURLY + "\n  description: better told"))

    triggers_yaml.sync(project.root, NOON + HOUR * 1.5)  # the moment at 13:00 is overdue

    row = rows()["hourly"]
    assert (row.description, row.next_due_at) == ("better told", NOON + HOUR)


def test_a_pause_by_hand_lasts_until_the_entry_changes(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    rows()["hourly"].pause(NOON)

    write(project, file_with(HOURLY, NIGHTLY))
    triggers_yaml.sync(project.root, NOON)
    assert rows()["hourly"].is_active is False

    write(project, file_with(HOURLY + "\n  description: again", NIGHTLY))
    triggers_yaml.sync(project.root, NOON + 3 * HOUR)
    assert (rows()["hourly"].is_active, rows()["hourly"].next_due_at) == (True, NOON + 4 * HOUR)


def test_an_entry_that_says_inactive_switches_it_off(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    write(project, file_with(HOURLY.replace("active", "inactive")))

    triggers_yaml.sync(project.root, NOON)

    assert (rows()["hourly"].is_active, rows()["hourly"].next_due_at) == (False, None)


@pytest.mark.parametrize("is_file_removed", [False, True])
def test_an_entry_that_is_gone_switches_its_schedule_off_and_says_why(
    project: ProjectOnDisk, is_file_removed: bool
) -> None:
    write(project, file_with(HOURLY, NIGHTLY))
    triggers_yaml.sync(project.root, NOON)
    if is_file_removed:
        (project.root / PATH).unlink()
    else:
        write(project, file_with(NIGHTLY))

    diff = triggers_yaml.sync(project.root, NOON)

    assert diff.removed == (["etl/hourly", "etl/nightly"] if is_file_removed else ["etl/hourly"])
    hourly = rows()["hourly"]
    assert (hourly.is_active, hourly.next_due_at, hourly.problem) == (False, None, triggers_yaml.REMOVED)
    assert triggers_yaml.sync(project.root, NOON) == triggers_yaml.Diff()


def test_an_entry_that_comes_back_is_switched_on_again(project: ProjectOnDisk) -> None:
    for entries in ((HOURLY,), (), (HOURLY,)):
        write(project, file_with(*entries))
        triggers_yaml.sync(project.root, NOON)

    row = rows()["hourly"]
    assert (row.is_active, row.problem, row.next_due_at) == (True, "", NOON + HOUR)


def test_schedules_made_on_the_pages_are_not_touched(project: ProjectOnDisk) -> None:
    own = make_schedule(name="by hand")
    write(project, file_with(HOURLY))

    triggers_yaml.sync(project.root, NOON)

    own.refresh_from_db()
    assert (own.is_active, own.source, own.problem) == (True, Source.UI, "")


def test_an_entry_takes_over_a_schedule_of_its_name(project: ProjectOnDisk) -> None:
    own = make_schedule(name="hourly", schedule_interval="@daily")
    write(project, file_with(HOURLY))

    diff = triggers_yaml.sync(project.root, NOON)

    own.refresh_from_db()
    assert diff.updated == ["etl/hourly"]
    assert (own.source, own.schedule_interval, own.next_due_at) == (Source.CODE, "@hourly", NOON + HOUR)


def test_a_broken_file_changes_nothing_and_is_told_as_long_as_it_is_broken(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    write(project, file_with(HOURLY.replace("@hourly", "@daily"), "broken\n  schedule_interval: never"))

    first, second = triggers_yaml.sync(project.root, NOON), triggers_yaml.sync(project.root, NOON)

    assert (first.updated, list(rows()), rows()["hourly"].schedule_interval) == ([], ["hourly"], "@hourly")
    assert [problem["line"] for problem in first.problems] == [6]
    assert first.problems == second.problems == Pipeline.objects.get().trigger_problems

    write(project, file_with(HOURLY))
    assert triggers_yaml.sync(project.root, NOON).problems == []
    assert Pipeline.objects.get().trigger_problems == []


def test_entries_for_other_environments_are_left_out(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY + "\n  envs: [prod]", NIGHTLY + "\n  envs: [dev, test]"))

    with override_settings(ENV="dev"):
        triggers_yaml.sync(project.root, NOON)

    assert list(rows()) == ["nightly"]


def test_a_token_from_the_file_stays_what_it_is(project: ProjectOnDisk) -> None:
    write(project, file_with("on demand\n  schedule_type: api\n  status: active\n  token: s3cret"))

    diff = triggers_yaml.sync(project.root, NOON)

    row = rows()["on demand"]
    assert row.token_matches("s3cret")
    assert not row.token_matches("S3cret")
    assert "s3cret" not in str(diff)
    assert [warning["line"] for warning in diff.warnings] == [5]


def test_a_pipeline_that_is_not_there_is_not_looked_at(project: ProjectOnDisk) -> None:
    Pipeline.objects.update(is_present=False)
    write(project, file_with(HOURLY))

    assert triggers_yaml.sync(project.root, NOON) == triggers_yaml.Diff()


def test_a_pipeline_without_file_costs_no_query_of_its_own(project: ProjectOnDisk) -> None:
    for number in range(5):
        make_pipeline(f"other {number}")

    with CaptureQueriesContext(connection) as queries:
        triggers_yaml.sync(project.root, NOON)

    assert len(queries) == 2


def test_a_secret_that_was_missing_is_found_once_it_is_stored(project: ProjectOnDisk) -> None:
    write(project, file_with("on demand\n  schedule_type: api\n  token: \"{{ secret_var('key') }}\""))
    assert "'key' is not stored" in triggers_yaml.sync(project.root, NOON).problems[0]["reason"]

    secrets.put("key", "hush-hush")

    assert triggers_yaml.sync(project.root, NOON).problems == []
    assert rows()["on demand"].token_matches("hush-hush")


def test_a_file_without_an_entry_for_this_environment_is_warned_about(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY + "\n  envs: [prod]", NIGHTLY + "\n  envs: [test]"))

    with override_settings(ENV="dev"):
        (warning,) = triggers_yaml.sync(project.root, NOON).warnings

    assert (warning["line"], warning["reason"]) == (2, "None of its triggers is for ENV dev.")
    assert list(rows()) == []


@pytest.mark.parametrize("half", ["", "triggers:\n", None])
def test_what_is_missing_from_a_file_that_has_just_changed_may_be_about_to_come_back(
    project: ProjectOnDisk, half: str | None
) -> None:
    """Editors empty a file before they fill it again; git takes it away first."""
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    path = project.root / PATH
    if half is None:
        path.unlink()
    else:
        path.write_text(half)
    changed = datetime.fromtimestamp((path if path.exists() else path.parent).stat().st_mtime, UTC)

    assert triggers_yaml.sync(project.root, changed + timedelta(seconds=0.5)) == triggers_yaml.Diff()
    assert rows()["hourly"].is_active
    assert triggers_yaml.sync(project.root, changed + timedelta(seconds=2)).removed == ["etl/hourly"]
    assert not rows()["hourly"].is_active


def test_a_run_goes_on_when_the_entry_of_its_trigger_is_removed(project: ProjectOnDisk) -> None:
    write(project, file_with(HOURLY))
    triggers_yaml.sync(project.root, NOON)
    run = make_run(trigger_id=rows()["hourly"].pk)
    write(project, file_with())

    triggers_yaml.sync(project.root, NOON)

    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
