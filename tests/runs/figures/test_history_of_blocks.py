"""How blocks did in the last runs of their pipeline."""

from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import Pipeline
from runs.figures import history_of_blocks
from runs.figures.history_of_blocks import Ended, History, history_of, percentile
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_client, make_pipeline, make_run

DONE = dict.fromkeys(("load", "clean", "save"), BlockStatus.COMPLETED)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.95, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.95, 95.0),
        ([float(number) for number in range(1, 101)], 0.5, 50.0),
        ([float(number) for number in range(1, 21)], 0.95, 19.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_the_value_at_the_nearest_rank(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_enough_values_are_no_larger_than_their_percentile(values: list[float], percent: int) -> None:
    found = percentile(values, percent / 100)

    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_only_what_completed_tells_how_long_it_takes_and_skips_count_for_nothing() -> None:
    ended = [
        Ended(1, BlockStatus.COMPLETED, 2.0),
        Ended(2, BlockStatus.FAILED, 90.0),
        Ended(3, BlockStatus.CANCELLED, 50.0),
        Ended(4, BlockStatus.CONDITION_FAILED, 0.1),
        Ended(5, BlockStatus.COMPLETED, 4.0),
    ]

    found = history_of("load", ended)

    assert (found.counted, found.failures, found.failure_rate) == (3, 1, 0.3333)
    assert (found.p50, found.p95, found.last) == (2.0, 4.0, 4.0)


def test_a_block_that_never_ended_has_no_rate() -> None:
    assert history_of("load", []).failure_rate is None


# --- in the database --------------------------------------------------------------------------------------------------


def a_run(pipeline: Pipeline, minute: int, seconds: float, status: RunStatus = RunStatus.COMPLETED) -> PipelineRun:
    """Ended in that minute after so long, each of its blocks after as long."""
    end = NOON + timedelta(minutes=minute)
    times = {"started_at": end - timedelta(seconds=seconds), "completed_at": end}
    run = make_run(pipeline, status=status, blocks=DONE, **times)
    run.block_runs.update(**times)
    return run


def test_blocks_come_in_the_order_of_the_graph_each_with_its_own(db: None) -> None:
    pipeline = make_pipeline()
    for number in range(1, 4):
        run = a_run(pipeline, number, number)
    run.block_runs.filter(block_uuid="clean").update(status=BlockStatus.FAILED)

    found = history_of_blocks.of_blocks(pipeline.pk)

    assert [each.block_uuid for each in found] == ["load", "clean", "save"]
    assert [(each.p50, each.p95, each.last) for each in found] == [(2, 3, 3), (1, 2, 2), (2, 3, 3)]
    assert [each.failures for each in found] == [0, 1, 0]


def test_only_the_last_hundred_finished_runs_count(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_of_blocks, "RUNS", 2)
    pipeline = make_pipeline()
    for number in range(1, 4):
        a_run(pipeline, number, number)
    make_run(pipeline)  # goes on
    a_run(make_pipeline("other"), 9, 100)

    assert history_of_blocks.of_runs(pipeline.pk).p50 == 2
    assert [each.counted for each in history_of_blocks.of_blocks(pipeline.pk)] == [2, 2, 2]


def test_runs_as_a_whole_are_told_alike(db: None) -> None:
    pipeline = make_pipeline()
    a_run(pipeline, 1, 5)
    a_run(pipeline, 2, 7, RunStatus.FAILED)

    found = history_of_blocks.of_runs(pipeline.pk)

    assert (found.counted, found.failures, found.p50) == (2, 1, 5)
    assert [each.status for each in found.recent] == ["completed", "failed"]


def test_members_of_a_dynamic_block_are_told_only_by_name(db: None) -> None:
    pipeline = make_pipeline()
    BlockRun.objects.filter(pk=a_run(pipeline, 1, 5).block_runs.get(block_uuid="save").pk).update(
        role=Role.MEMBER, block_uuid="save:0"
    )

    assert [each.block_uuid for each in history_of_blocks.of_blocks(pipeline.pk)] == ["load", "clean"]
    assert [each.block_uuid for each in history_of_blocks.of_blocks(pipeline.pk, "save:0")] == ["save:0"]


def test_a_history_is_one_query(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    pipeline = make_pipeline()
    for number in range(5):
        a_run(pipeline, number, 1)

    with django_assert_num_queries(1):
        history_of_blocks.of_blocks(pipeline.pk)
    with django_assert_num_queries(1):
        history_of_blocks.of_runs(pipeline.pk)


def test_no_history_reads_a_whole_table(db: None) -> None:
    pipeline = make_pipeline()
    for runs in (history_of_blocks.last_runs(pipeline.pk), history_of_blocks.rows_of(pipeline.pk, "load")):
        plan = runs.explain()
        if connection.vendor == "sqlite":  # Postgres reads small tables as a whole, whatever there is
            assert "SCAN runs_" not in plan
            assert "run_ended" in plan


def test_the_api_tells_the_history(db: None) -> None:
    pipeline = make_pipeline()
    pipeline.is_valid = True
    a_run(pipeline, 1, 5)

    told = make_client().get("/api/v1/pipelines/etl/block_history").json()

    assert told["run"] == {"counted": 1, "failures": 0, "failure_rate": 0.0, "p50": 5.0, "p95": 5.0, "last": 5.0}
    assert [block["block_uuid"] for block in told["blocks"]] == ["load", "clean", "save"]


def test_the_api_knows_no_history_of_a_pipeline_that_is_not_there(db: None) -> None:
    assert make_client().get("/api/v1/pipelines/nope/block_history").status_code == 404


def test_what_never_ran_has_an_empty_history(db: None) -> None:
    pipeline = make_pipeline()

    assert history_of_blocks.of_blocks(pipeline.pk) == []
    assert history_of_blocks.of_runs(pipeline.pk) == History("", 0, 0, None, None, None, [])
