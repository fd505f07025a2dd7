"""What lists show beside pipelines and runs, in a constant number of queries."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import Pipeline
from runs import overview
from runs.states import BlockStatus, RunStatus
from schedules.models import PipelineSchedule
from tests.factories import make_pipeline, make_run, make_schedule, make_worker

pytestmark = pytest.mark.django_db


def test_a_strip_holds_the_newest_runs_oldest_first() -> None:
    pipeline = make_pipeline()
    runs = [make_run(pipeline) for _ in range(5)]

    strips = overview.last_runs(Pipeline.objects.all(), "pipeline", 3)

    assert strips == {pipeline.pk: runs[2:]}


def test_a_pipeline_that_never_ran_has_an_empty_strip() -> None:
    pipeline = make_pipeline()

    assert overview.last_runs(Pipeline.objects.all(), "pipeline") == {pipeline.pk: []}


def test_each_pipeline_has_its_own_strip() -> None:
    first, second = make_pipeline("first"), make_pipeline("second")
    one, other = make_run(first), make_run(second)

    assert overview.last_runs(Pipeline.objects.all(), "pipeline") == {first.pk: [one], second.pk: [other]}


def test_a_schedule_has_a_strip_of_its_own_runs() -> None:
    schedule = make_schedule()
    mine = make_run(trigger_id=schedule.pk)
    make_run()

    assert overview.last_runs(PipelineSchedule.objects.all(), "trigger_id") == {schedule.pk: [mine]}


def test_strips_of_many_pipelines_are_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(10):
        pipeline = make_pipeline(f"p{number}")
        make_run(pipeline)
        make_run(pipeline)

    with django_assert_num_queries(2):
        strips = overview.last_runs(Pipeline.objects.all(), "pipeline")
        assert all(run.completed_at is None for runs in strips.values() for run in runs)


def test_progress_counts_the_states_of_a_runs_blocks(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.RUNNING})
    other = make_run()

    with django_assert_num_queries(1):
        progress = overview.progress([run, other])

    assert progress[run.pk] == Counter(completed=1, running=1, initial=1)
    assert progress[other.pk] == Counter(initial=3)


def test_progress_of_nothing_is_nothing() -> None:
    assert overview.progress([]) == {}


def test_numbers_count_what_goes_on(now: datetime) -> None:
    make_run(blocks={"load": BlockStatus.RUNNING, "clean": BlockStatus.QUEUED, "save": BlockStatus.WAITING})
    make_run(status=RunStatus.INITIAL)
    make_run(status=RunStatus.FAILED, completed_at=now)
    make_run(status=RunStatus.FAILED, completed_at=now - timedelta(days=3))
    make_run(status=RunStatus.COMPLETED)

    assert overview.numbers(now, now - timedelta(days=1)) == {
        "running": 1,
        "initial": 1,
        "failed": 1,
        "blocks_queued": 1,
        "blocks_running": 1,
        "blocks_waiting": 1,
        "overdue": 0,
    }


def test_processes_are_those_at_work_and_those_of_the_day(now: datetime) -> None:
    at_work = make_worker(seen_at=now)
    ended = make_worker(seen_at=now, stopped_at=now - timedelta(hours=2))
    make_worker(seen_at=now, stopped_at=now - timedelta(days=2))

    assert set(overview.processes(now)) == {at_work, ended}
