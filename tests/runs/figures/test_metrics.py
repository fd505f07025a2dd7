"""What a block run and a run took and used, from what is stored."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.figures import metrics
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_client, make_run

pytestmark = pytest.mark.django_db
USED = {"cpu_seconds": 1.5, "peak_memory_bytes": 1000, "duration_seconds": 6.0, "starting_seconds": 0.25}


def after(seconds: float) -> Any:
    return NOON + timedelta(seconds=seconds)


def a_block_run(**fields: Any) -> BlockRun:
    run = make_run(blocks={"load": BlockStatus.COMPLETED})
    times = {"queued_at": after(0), "started_at": after(3), "completed_at": after(10), "metrics": USED}
    run.block_runs.filter(block_uuid="load").update(**times | fields)
    return run.block_runs.get(block_uuid="load")


def test_the_time_of_a_block_is_split_in_waiting_starting_and_running() -> None:
    found = metrics.of_block(a_block_run())

    parts = [found[f"{name}_seconds"] for name in ("waiting", "starting", "running")]
    assert parts == [3.0, 0.25, 6.75]


def test_a_start_that_was_not_measured_is_not_guessed() -> None:
    found = metrics.of_block(a_block_run(metrics={}))

    assert (found["starting_seconds"], found["running_seconds"]) == (None, 7.0)


def test_a_block_that_has_not_ended_has_no_time_of_running() -> None:
    found = metrics.of_block(a_block_run(completed_at=None, metrics={}))

    assert (found["waiting_seconds"], found["running_seconds"]) == (3.0, None)


def test_a_block_that_never_began_has_no_times() -> None:
    found = metrics.of_block(a_block_run(queued_at=None, started_at=None, completed_at=after(1), metrics={}))

    assert {found[f"{name}_seconds"] for name in ("waiting", "starting", "running")} == {None}


def test_a_clock_that_was_set_back_gives_no_negative_times() -> None:
    found = metrics.of_block(a_block_run(started_at=after(-5), completed_at=after(-6)))

    assert (found["waiting_seconds"], found["running_seconds"]) == (0.0, 0.0)


def test_rows_and_bytes_are_summed_over_outputs_and_what_is_stored_wins() -> None:
    outputs = [{"rows": 2, "bytes": 10}, {"rows": None, "bytes": 5}]

    found = metrics.of_block(a_block_run(output=outputs))
    assert (found["rows"], found["bytes"]) == (2, 15)
    assert metrics.of_block(a_block_run(output=outputs, metrics={"rows": 7}))["rows"] == 7
    assert metrics.of_block(a_block_run())["rows"] is None


def a_run(**fields: Any) -> PipelineRun:
    """Created, after 4 s let in, after 2 more begun, 14 s of work."""
    times = {"created_at": after(-4), "started_at": after(0), "completed_at": after(16)}
    run = make_run(status=RunStatus.COMPLETED, **times | fields)
    for number, uuid in enumerate(("load", "clean")):
        outputs = [{"rows": 3, "bytes": 100}, {"rows": None, "bytes": 1}]
        used = {"cpu_seconds": 1.5, "peak_memory_bytes": 1000 * (number + 1)}
        row = {"first_started_at": after(2 + number), "output": outputs, "metrics": used}
        run.block_runs.filter(block_uuid=uuid).update(**row)
    return run


def test_a_run_is_summed_up_in_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    run = a_run()

    with django_assert_num_queries(1):
        found = metrics.of_run(run)

    assert found == {
        "waiting_seconds": 4.0,
        "starting_seconds": 2.0,
        "running_seconds": 14.0,
        "cpu_seconds": 3.0,
        "peak_memory_bytes": 2000,
        "rows": 6,
        "bytes": 202,
        "block_runs": 3,
    }


def test_a_run_that_has_not_begun_has_nothing_to_sum_up() -> None:
    found = metrics.of_run(make_run(status=RunStatus.INITIAL, started_at=None))

    assert {value for name, value in found.items() if name != "block_runs"} == {None}


def test_blocks_that_a_retry_left_alone_do_not_tell_when_it_began() -> None:
    run = a_run(attempt=2, started_at=after(2.5))

    found = metrics.of_run(run)

    assert (found["waiting_seconds"], found["starting_seconds"], found["running_seconds"]) == (None, 0.5, 13.0)


def test_members_are_summed_up_in_the_api_too() -> None:
    run, api = a_run(), make_client()
    load = run.block_runs.get(block_uuid="load")
    before = api.get(f"/api/v1/pipeline_runs/{run.pk}").json()["metrics"]

    output = [{"name": "output_0", "rows": 4, "bytes": 10}]
    BlockRun.objects.filter(block_uuid="save").update(role="member", parent=load, output=output, metrics=USED)

    after_it = api.get(f"/api/v1/pipeline_runs/{run.pk}").json()["metrics"]
    assert after_it["rows"] == before["rows"] + 4
    assert after_it["cpu_seconds"] == before["cpu_seconds"] + USED["cpu_seconds"]


def test_the_api_tells_both() -> None:
    run, api = a_run(), make_client()

    assert api.get(f"/api/v1/pipeline_runs/{run.pk}").json()["metrics"]["rows"] == 6
    block_run = run.block_runs.get(block_uuid="load")
    assert api.get(f"/api/v1/block_runs/{block_run.pk}").json()["metrics"]["bytes"] == 101
