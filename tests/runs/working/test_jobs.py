"""What a block is given: its context, variables, secrets, the outputs of others, and a place for its own."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from executors.base import Work
from pipelines import secrets
from pipelines.graph import Block
from pipelines.refusal import Refusal
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from runs.working import jobs, pinned
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
DONE = dict.fromkeys(("load", "clean"), BlockStatus.COMPLETED)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.PROJECT_DIR, settings.VARIABLES_URL = tmp_path, "/outputs"
    (tmp_path / "metadata.yaml").write_text("preload: [json]\n")
    return tmp_path


def block_of(run: PipelineRun, uuid: str = "load") -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def job_of(run: PipelineRun, uuid: str = "load", **done: Any) -> dict[str, Any]:
    return dict(jobs.work_for(block_of(run, uuid), run, done or None).job)


def work_of(run: PipelineRun, uuid: str = "load") -> Work:
    return jobs.work_for(block_of(run, uuid), run)


def returned(run: PipelineRun, uuid: str, value: str) -> None:
    """As if the block had completed with that output."""
    run.block_runs.filter(block_uuid=uuid).update(status=BlockStatus.COMPLETED, output=[{"name": value}])


# --- context ----------------------------------------------------------------------------------------------------------


def test_a_block_of_a_schedules_run_knows_its_interval() -> None:
    run = make_run(interval_end=NOON + timedelta(hours=6), trigger_name="four times a day", trigger_id=7)

    told = job_of(run)["context"]

    assert (told["ds"], told["hr"], told["execution_date"]) == ("2025-03-02", "12", "2025-03-02T12:00:00+00:00")
    assert told["interval_start_datetime"] == "2025-03-02T12:00:00+00:00"
    assert told["interval_end_datetime"] == "2025-03-02T18:00:00+00:00"
    assert told["interval_start_datetime_previous"] == "2025-03-02T06:00:00+00:00"
    assert told["interval_seconds"] == 21_600
    assert (told["trigger_name"], told["execution_partition"]) == ("four times a day", "7/20250302T120000")


def test_a_run_that_no_schedule_started_has_no_interval() -> None:
    told = job_of(make_run())["context"]

    assert [told[f"interval_{name}"] for name in ("end_datetime", "seconds", "start_datetime_previous")] == [None] * 3
    assert told["execution_partition"] == "manual/20250302T120000"


def test_a_variable_may_set_the_partition() -> None:
    run = make_run(variables={"execution_partition": "2025/week 9"})

    assert job_of(run)["context"]["execution_partition"] == "2025/week 9"


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (2, 3)])
def test_a_block_knows_which_try_it_is(retries: int, attempts: int) -> None:
    run = make_run()
    run.block_runs.update(retries=retries, attempt=9)  # attempts of lost workers are no tries of the block's

    assert job_of(run)["context"]["retry"] == {"attempts": attempts}


def test_what_came_with_an_event_reaches_the_block() -> None:
    run = make_run(event={"file": "in.csv"})

    assert job_of(run)["context"]["event"] == {"file": "in.csv"}


# --- upstream outputs -------------------------------------------------------------------------------------------------


def test_outputs_come_in_the_order_of_the_upstream_blocks() -> None:
    pipeline = make_pipeline(blocks=[("b",), ("a",), ("join", "b", "a")])
    run = make_run(pipeline)
    returned(run, "a", "from a")
    returned(run, "b", "from b")

    assert job_of(run, "join")["upstream"] == [
        {"block": "b", "outputs": [{"name": "from b"}]},
        {"block": "a", "outputs": [{"name": "from a"}]},
    ]


def test_what_did_not_complete_gives_nothing() -> None:
    run = make_run(make_pipeline(blocks=[("a",), ("b",), ("join", "a", "b")]))
    returned(run, "a", "from a")
    run.block_runs.filter(block_uuid="b").update(status=BlockStatus.FAILED, output=[{"name": "old"}])

    assert [each["block"] for each in job_of(run, "join")["upstream"]] == ["a"]


def test_outputs_that_the_worker_knows_are_not_read(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    run = make_run(blocks=DONE)
    block = block_of(run, "clean")
    pinned.content(run.version)  # read once by each process

    with django_assert_num_queries(0):
        job = jobs.work_for(block, run, {"load": [{"name": "known"}]}).job

    assert job["upstream"] == [{"block": "load", "outputs": [{"name": "known"}]}]


def test_a_block_alone_takes_the_newest_outputs_that_there_are() -> None:
    pipeline = make_pipeline()
    for value in ("first", "second"):
        returned(make_run(pipeline, status=RunStatus.COMPLETED), "load", value)
    make_run(pipeline, status=RunStatus.FAILED)  # in which it never completed
    alone = make_run(pipeline)
    alone.block_runs.exclude(block_uuid="clean").delete()

    assert job_of(alone, "clean")["upstream"] == [{"block": "load", "outputs": [{"name": "second"}]}]


def test_a_block_alone_never_takes_outputs_of_another_pipeline() -> None:
    returned(make_run(make_pipeline("other")), "load", "not ours")
    alone = make_run(make_pipeline())
    alone.block_runs.exclude(block_uuid="clean").delete()

    assert job_of(alone, "clean")["upstream"] == []


# --- secrets ----------------------------------------------------------------------------------------------------------


def secretive(**fields: Any) -> PipelineRun:
    """A run of one block that names the secret `password`."""
    block = Block(uuid="load", name="load", type="custom", upstream=(), secrets=("password",), **fields)
    return make_run(make_pipeline(blocks=[block]))


def test_a_block_gets_the_secrets_it_names_and_no_other() -> None:
    secrets.put("password", "hunter2-hunter2")
    secrets.put("other", "not for this one")

    assert job_of(secretive())["secrets"] == {"password": "hunter2-hunter2"}


def test_a_secret_that_is_not_stored_is_left_for_the_block_to_miss() -> None:
    assert job_of(secretive())["secrets"] == {}


def test_a_block_that_names_no_secret_asks_for_none(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    run = make_run()
    block = block_of(run)
    pinned.content(run.version)  # read once by each process

    with django_assert_num_queries(0):
        assert jobs.work_for(block, run).job["secrets"] == {}


def test_a_secret_is_filled_into_what_the_projects_files_say_only() -> None:
    secrets.put("password", "hunter2-hunter2")
    asks = "{{ secret_var('password') }}"
    run = secretive(configuration={"url": f"db://user:{asks}@host"})
    run.variables = {"mine": asks, "sent": asks}
    run.variable_origins = {"mine": "pipeline", "sent": "run"}

    job = job_of(run)

    assert job["block"]["configuration"] == {"url": "db://user:hunter2-hunter2@host"}
    assert job["variables"] == {"mine": "hunter2-hunter2", "sent": asks}


def test_a_file_that_needs_a_secret_that_is_missing_is_refused_by_name() -> None:
    run = secretive(configuration={"password": "{{ secret_var('password') }}"})

    with pytest.raises(Refusal, match="password"):
        job_of(run)


# --- where and how ----------------------------------------------------------------------------------------------------


def test_each_attempt_has_a_place_of_its_own_for_outputs() -> None:
    run = make_run()
    first = job_of(run)["output_url"]
    run.block_runs.update(attempt=2)

    assert first == f"/outputs/{run.pk // 1000}/{run.pk}/load/1"
    assert job_of(run)["output_url"] == f"/outputs/{run.pk // 1000}/{run.pk}/load/2"


@pytest.mark.parametrize("uuid", ["sub/folder/block", "child:0", "a" * 200, "../../etc"])
def test_an_odd_name_stays_one_folder_of_sensible_length(uuid: str) -> None:
    run = make_run()
    block = block_of(run)
    block.block_uuid = uuid

    rest = jobs.output_url(block, run).removeprefix(f"/outputs/{run.pk // 1000}/{run.pk}/")

    name, attempt = rest.split("/")
    assert attempt == "1"
    assert 0 < len(name) <= 100
    assert name not in (".", "..")


def test_two_long_names_do_not_share_a_folder() -> None:
    run = make_run()
    one, other = block_of(run), block_of(run)
    one.block_uuid, other.block_uuid = "a" * 200 + "1", "a" * 200 + "2"

    assert jobs.output_url(one, run) != jobs.output_url(other, run)


def test_limits_and_session_go_to_the_executor() -> None:
    block = Block(uuid="load", name="load", type="custom", upstream=(), resources={"memory_bytes": 10**9})
    run = make_run(make_pipeline(blocks=[block]), in_one_process=True, attempt=2)
    run.block_runs.update(timeout=timedelta(minutes=1))

    work = work_of(run)

    assert (work.timeout, work.config["memory_bytes"], work.session) == (60, 10**9, f"run-{run.pk}-2")
    assert work.job["cache_outputs"] is True
    assert make_run().in_one_process is False


def test_a_changed_list_of_libraries_is_seen_with_the_next_block(folder: Path) -> None:
    run = make_run()
    before = work_of(run).config["preload"]
    (folder / "metadata.yaml").write_text("preload: [json, decimal]\n")

    assert before == ["json"]
    assert work_of(run).config["preload"] == ["json", "decimal"]


def test_a_broken_project_does_not_keep_a_run_from_going_on(folder: Path) -> None:
    run = make_run()
    (folder / "metadata.yaml").write_text("preload: [json\n")

    assert work_of(run).config["preload"] == []
