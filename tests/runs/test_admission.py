"""Limits: how many runs of a pipeline, how many blocks of a run."""

from typing import Any

import pytest

from runs import admission
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import make_pipeline, make_run

pytestmark = pytest.mark.django_db
FAN = [(f"b{number}",) for number in range(6)]


@pytest.mark.parametrize(
    ("limits", "is_open"),
    [
        ({}, True),
        ({"pipeline_run_limit": None}, True),
        ({"pipeline_run_limit": 3}, True),
        ({"pipeline_run_limit": 2}, False),
        ({"pipeline_run_limit": "2"}, False),
        ({"pipeline_run_limit": 3, "pipeline_run_limit_all_triggers": 2}, False),
    ],
)
def test_a_run_starts_while_there_is_room(limits: dict[str, Any], is_open: bool) -> None:
    pipeline = make_pipeline()
    for _ in range(2):
        make_run(pipeline)

    assert admission.may_start(pipeline, limits).is_open is is_open


def test_only_running_runs_of_the_same_pipeline_count() -> None:
    pipeline = make_pipeline()
    make_run(make_pipeline("other"))
    for status in (RunStatus.INITIAL, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED):
        make_run(pipeline, status=status)

    assert admission.may_start(pipeline, {"pipeline_run_limit": 1}).is_open


def test_a_run_does_not_stand_in_its_own_way() -> None:
    run = make_run()

    assert admission.may_start(run.pipeline, {"pipeline_run_limit": 1}, but=run).is_open


def test_who_must_wait_is_told_why() -> None:
    run = make_run()

    verdict = admission.may_start(run.pipeline, {"pipeline_run_limit": 1})

    assert verdict.reason == "1 of at most 1 runs of etl are running"


def fan(**fields: Any) -> PipelineRun:
    """A run with a block completed, and one queued, one running, one waiting."""
    states = (BlockStatus.COMPLETED, BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)
    blocks = {f"b{number}": status for number, status in enumerate(states)}
    return make_run(make_pipeline(blocks=FAN), blocks=blocks, **fields)


@pytest.mark.parametrize(("limit", "free"), [(None, None), (5, 2), (3, 0), (2, 0)])
def test_what_is_queued_runs_or_waits_holds_a_slot(limit: int | None, free: int | None) -> None:
    assert admission.free_slots(fan(block_run_limit=limit)) == free


def test_in_one_process_there_is_one_slot() -> None:
    assert admission.free_slots(fan(in_one_process=True, block_run_limit=5)) == 0
    assert admission.first_slots(fan_like_new()) == 1


def fan_like_new() -> PipelineRun:
    return make_run(make_pipeline("new", blocks=FAN), in_one_process=True)


def test_a_slot_that_was_just_freed_can_be_taken() -> None:
    run = make_run(make_pipeline(blocks=FAN), blocks={"b0": BlockStatus.COMPLETED}, in_one_process=True)

    assert admission.free_slots(run, one_was_freed=True) == 1
