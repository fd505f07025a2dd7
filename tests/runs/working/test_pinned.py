"""A run executes the code of the version it was created with."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines import catalog
from runs.lifecycle import create_run
from runs.models import Origin, PipelineRun
from runs.working import jobs, pinned
from schedules.scheduler import start_now
from tests.factories import NOON, make_client, make_schedule
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.django_db
CONDITION = "@condition\ndef sunny(**_):\n    return get_secret_value('weather')\n"


@pytest.fixture
def disk(tmp_path: Path, settings: Any) -> ProjectOnDisk:
    disk = ProjectOnDisk(tmp_path / "shop")
    settings.PROJECT_DIR = disk.root
    disk.chain("a")
    return disk


def started(disk: ProjectOnDisk) -> PipelineRun:
    catalog.refresh(disk.root)
    return create_run(catalog.find("etl"), moment=NOON, origin=Origin.MANUAL)


def job_of(run: PipelineRun) -> dict[str, Any]:
    read = jobs.runs().get(pk=run.pk)
    return dict(jobs.work_for(read.block_runs.get(block_uuid="a"), read).job)


def test_a_block_gets_the_text_that_its_run_was_created_with(disk: ProjectOnDisk) -> None:
    was = (disk.root / "custom/a.py").read_text()
    run = started(disk)
    disk.write("custom/a.py", was.replace("return 1", "return 2"))

    later = started(disk)

    assert job_of(run)["code"] == was
    assert "return 2" in job_of(later)["code"]


def test_conditions_come_with_their_text_their_configuration_and_their_secrets(disk: ProjectOnDisk) -> None:
    from pipelines import secrets

    secrets.put("weather", "always sunny")
    disk.write("conditionals/sunny.py", CONDITION)
    disk.pipeline(
        """
        blocks:
        - {uuid: a, type: custom, conditional_blocks: [sunny]}
        conditionals:
        - {uuid: sunny, type: conditional, configuration: {least: 3}}
        """
    )

    job = job_of(started(disk))

    (condition,) = job["conditions"]
    assert (condition["uuid"], condition["file"]) == ("sunny", "conditionals/sunny.py")
    assert (condition["code"], condition["configuration"]) == (CONDITION, {"least": 3})
    assert job["secrets"] == {"weather": "always sunny"}


def test_a_version_is_read_once(disk: ProjectOnDisk, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    run = started(disk)
    content = pinned.content(run.version)

    with django_assert_num_queries(0):
        assert pinned.content(run.version) is content


def test_reading_a_run_for_its_jobs_leaves_the_version_where_it_is(disk: ProjectOnDisk) -> None:
    run = started(disk)
    version = jobs.runs().get(pk=run.pk).version
    assert {"graph", "settings", "files"} <= version.get_deferred_fields()


def test_a_file_saved_a_moment_ago_is_what_a_start_over_http_runs(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    disk.write("custom/a.py", "@custom\ndef run():\n    return 'saved a moment ago'\n")

    body = make_client().post("/api/v1/pipelines/etl/pipeline_runs", {}).json()

    assert "saved a moment ago" in job_of(PipelineRun.objects.get(pk=body["id"]))["code"]


def test_a_file_saved_a_moment_ago_is_what_a_trigger_started_by_hand_runs(disk: ProjectOnDisk) -> None:
    catalog.refresh(disk.root)
    schedule = make_schedule(catalog.find("etl"))
    disk.write("custom/a.py", "@custom\ndef run():\n    return 'saved a moment ago'\n")

    run = start_now(schedule, moment=NOON, origin=Origin.MANUAL)

    assert "saved a moment ago" in job_of(run)["code"]
