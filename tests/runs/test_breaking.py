"""When a pipeline broke."""

import pytest

from pipelines.models import Pipeline, PipelineVersion
from runs import breaking
from runs.breaking import Breaking
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
C, F, X, R = RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.RUNNING


def runs_of(pipeline: Pipeline, *states: RunStatus) -> list[PipelineRun]:
    return [make_run(pipeline, status=state) for state in states]


def found(pipeline: Pipeline) -> Breaking:
    broke = breaking.of(pipeline.pk)
    assert broke is not None
    return broke


@pytest.mark.parametrize("states", [(), (C,), (F, C), (F, C, R), (F, C, X), (X, R)])
def test_a_pipeline_whose_last_run_completed_is_not_broken(states: tuple[RunStatus, ...]) -> None:
    pipeline = make_pipeline()
    runs_of(pipeline, *states)

    assert breaking.of(pipeline.pk) is None


def test_the_first_failure_after_the_last_good_run_is_where_it_broke() -> None:
    pipeline = make_pipeline()
    runs = runs_of(pipeline, F, C, F, X, F, R)

    broke = found(pipeline)

    assert (broke.good, broke.bad, broke.failures) == (runs[1], runs[2], 2)
    assert not broke.is_other_version


def test_a_pipeline_that_never_completed_has_no_good_run() -> None:
    pipeline = make_pipeline()
    runs = runs_of(pipeline, F, F)

    assert (found(pipeline).good, found(pipeline).bad) == (None, runs[0])


def test_another_version_in_between_is_told() -> None:
    pipeline = make_pipeline()
    runs_of(pipeline, C)
    pipeline.current_version = PipelineVersion.objects.create(
        pipeline=pipeline, content_hash="new", graph={"blocks": []}
    )
    runs_of(pipeline, F)

    assert found(pipeline).is_other_version


def test_the_block_that_failed_first_and_the_variables_that_differ_are_told() -> None:
    pipeline = make_pipeline()
    make_run(pipeline, status=C, variables={"day": 1, "city": "Köln"})
    bad = make_run(pipeline, status=F, variables={"day": 2, "city": "Köln"})
    for hour, name in ((13, "save"), (12, "clean")):
        at = NOON.replace(hour=hour)
        BlockRun.objects.filter(pipeline_run=bad, block_uuid=name).update(status=BlockStatus.FAILED, completed_at=at)

    broke = found(pipeline)

    assert broke.block is not None
    assert broke.block.block_uuid == "clean"
    assert [tuple(each) for each in broke.variables] == [("day", 1, 2)]


def test_runs_of_other_pipelines_say_nothing() -> None:
    pipeline = make_pipeline()
    runs_of(pipeline, C)
    runs_of(make_pipeline("other"), F)

    assert breaking.of(pipeline.pk) is None
