"""What retention may remove, and what it leaves alone whatever the rules say."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import Pipeline
from runs.models import Origin, PipelineRun
from runs.retaining import retention
from runs.states import BlockStatus, RunStatus
from schedules.models import Backfill, IntervalType
from tests.factories import NOON, make_pipeline, make_run
from tests.runs.kept import days_later, old_run, pipeline_with

pytestmark = pytest.mark.django_db

MONTH = {"age": 720}


def newest(pipeline: Pipeline) -> PipelineRun:
    """A completed run that keeps its outputs in use, so that those of others are not."""
    return old_run(pipeline, days_later(99))


def going(moment: Any = None) -> list[tuple[str, int]]:
    """What would go at the moment: kind and run."""
    moment = moment or days_later(100)
    found = retention.cuts(retention.policies(), moment)
    return [(cut.kind, run.pk) for cut in found for run in retention.due(cut, moment)]


def test_without_rules_nothing_goes() -> None:
    pipeline = make_pipeline()
    for _ in range(3):
        old_run(pipeline)

    assert going() == []


def test_what_is_older_than_its_age_goes_oldest_first() -> None:
    pipeline = pipeline_with(runs=MONTH)
    second, first = old_run(pipeline, days_later(1)), old_run(pipeline)
    newest(pipeline)

    assert going() == [("runs", first.pk), ("runs", second.pk)]
    assert going(days_later(30.5)) == [("runs", first.pk)]


def test_what_is_as_old_as_its_age_stays() -> None:
    old_run(pipeline := pipeline_with(runs=MONTH))
    newest(pipeline)

    assert going(days_later(30)) == []
    assert len(going(days_later(30) + timedelta(microseconds=1))) == 1


def test_what_is_beyond_the_newest_so_many_goes() -> None:
    pipeline = pipeline_with(runs={"count": 2})
    runs = [old_run(pipeline, days_later(day)) for day in range(4)]

    assert going(days_later(5)) == [("runs", run.pk) for run in runs[:2]]


def test_runs_that_ended_at_the_same_moment_stay_together() -> None:
    pipeline = pipeline_with(runs={"count": 2})
    for _ in range(5):
        old_run(pipeline)

    assert going() == []


def test_either_limit_is_enough() -> None:
    pipeline = pipeline_with(runs={"count": 1000, "age": 720}, logs={"count": 1})
    run = old_run(pipeline)
    newest(pipeline)

    assert going() == [("runs", run.pk), ("logs", run.pk)]


def test_each_pipeline_has_its_own_rules_and_its_own_count() -> None:
    one, other = pipeline_with("one", runs={"count": 1}), pipeline_with("other", runs={"count": 1})
    make_pipeline("third")
    first, second = old_run(one), old_run(other)
    newest(one), newest(other)

    assert going() == [("runs", first.pk), ("runs", second.pk)]


def test_logs_that_are_gone_are_not_due_again() -> None:
    pipeline = pipeline_with(logs=MONTH, outputs=MONTH)
    run = old_run(pipeline, logs_removed_at=days_later(50))
    newest(pipeline)

    assert going() == [("outputs", run.pk)]


PROTECTED: dict[str, dict[str, Any]] = {
    "kept": {"is_kept": True},
    "running": {"status": RunStatus.RUNNING},
    "waiting to start": {"status": RunStatus.INITIAL},
    "with a callback still to come": {"blocks": {"load": BlockStatus.COMPLETED, "clean": BlockStatus.QUEUED}},
    "that just ended": {"ended": days_later(100) - timedelta(minutes=10)},
}


@pytest.mark.parametrize("fields", PROTECTED.values(), ids=PROTECTED)
def test_a_run_is_left_alone_that_is(fields: dict[str, Any]) -> None:
    rule = {"count": 1}
    pipeline = pipeline_with(runs=rule, logs=rule, outputs=rule)
    run = old_run(pipeline, **fields)
    if not run.is_finished:
        PipelineRun.objects.filter(pk=run.pk).update(completed_at=None)
    old_run(pipeline, days_later(100))

    assert going() == []


def test_a_run_is_left_alone_while_a_run_that_it_started_goes_on() -> None:
    pipeline = pipeline_with(runs=MONTH)
    parent = old_run(pipeline)
    newest(pipeline)
    child = make_run(make_pipeline("child"), parent_block_run=parent.block_runs.first())

    assert going() == []
    PipelineRun.objects.filter(pk=child.pk).update(status=RunStatus.COMPLETED)
    assert going() == [("runs", parent.pk)]


def test_a_run_is_left_alone_while_the_run_that_started_it_goes_on() -> None:
    pipeline = pipeline_with(runs=MONTH)
    parent = make_run(make_pipeline("parent"))
    child = old_run(pipeline, parent_block_run=parent.block_runs.first())
    newest(pipeline)

    assert going() == []
    PipelineRun.objects.filter(pk=parent.pk).update(status=RunStatus.COMPLETED)
    assert going() == [("runs", child.pk)]


def test_the_newest_completed_run_is_left_alone() -> None:
    pipeline = pipeline_with(runs=MONTH)
    failed, completed = old_run(pipeline), old_run(pipeline)
    PipelineRun.objects.filter(pk=failed.pk).update(status=RunStatus.FAILED)

    assert going() == [("runs", failed.pk)]
    assert retention.in_use([pipeline.pk]) == {completed.pk}


def test_the_newest_outputs_of_each_block_are_left_alone() -> None:
    pipeline = pipeline_with(outputs=MONTH)
    old_run(pipeline)
    whole = old_run(pipeline)
    alone = old_run(pipeline)
    alone.block_runs.exclude(block_uuid="load").delete()

    assert retention.in_use([pipeline.pk]) == {whole.pk, alone.pk}


def test_a_run_of_an_open_backfill_is_left_alone() -> None:
    pipeline = pipeline_with(runs=MONTH)
    interval = {"interval_type": IntervalType.DAY, "start_at": NOON, "end_at": NOON, "created_at": NOON}
    backfill = Backfill.objects.create(name="again", pipeline=pipeline, **interval)
    run = old_run(pipeline, backfill_id=backfill.pk, origin=Origin.BACKFILL)
    newest(pipeline)

    assert going() == []
    Backfill.objects.update(completed_at=days_later(1))
    assert going() == [("runs", run.pk)]


def test_a_run_that_a_repeated_request_must_find_is_left_alone_for_a_day() -> None:
    pipeline = pipeline_with(runs={"age": 1})
    run = old_run(pipeline, idempotency_key="user:1:abc")
    old_run(pipeline, days_later(0.01))

    assert going(days_later(0.9)) == []
    assert going(days_later(1.1)) == [("runs", run.pk)]


def test_logs_go_also_of_a_run_that_a_repeated_request_must_find() -> None:
    pipeline = pipeline_with(logs={"age": 1})
    run = old_run(pipeline, idempotency_key="user:1:abc")
    old_run(pipeline, days_later(0.01))

    assert going(days_later(0.5)) == [("logs", run.pk)]


def test_looking_at_many_pipelines_of_the_same_rules_is_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(20):
        old_run(pipeline_with(f"p{number}", runs={"age": 720, "count": 9}, logs={"count": 3}, outputs=MONTH))

    with django_assert_num_queries(2):
        assert list(retention.cuts(retention.policies(), NOON)) == []
