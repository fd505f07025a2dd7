"""Limits: how many runs of a pipeline, how many blocks of a run."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.models import Pipeline
from runs import admission, lifecycle
from runs.limits import Answer, Gate, Limits
from runs.models import Origin, PipelineRun
from runs.planning import RunSettings, draft_run
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
FAN = [(f"b{number}",) for number in range(6)]


LIMITED = {"pipeline_run_limit_all_triggers": 1}


def by_hand(pipeline: Pipeline, **fields: Any) -> PipelineRun:
    defaults: dict[str, Any] = {"moment": NOON, "origin": Origin.MANUAL}
    return lifecycle.create_run(pipeline, **defaults | fields)


@pytest.mark.parametrize("origin", [Origin.MANUAL, Origin.API, Origin.EVENT, Origin.SCHEDULE, Origin.BACKFILL])
def test_whoever_starts_it_a_run_over_the_limit_waits_and_is_told_why(origin: Origin) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    by_hand(pipeline)

    second = by_hand(pipeline, origin=origin)

    assert second.status == RunStatus.INITIAL
    assert second.reason == "waits: The limit was reached: 1 run of the pipeline at a time."


@pytest.mark.parametrize("origin", [Origin.MANUAL, Origin.API, Origin.EVENT, Origin.SCHEDULE, Origin.BACKFILL])
def test_where_the_limit_says_skip_nothing_is_kept(origin: Origin) -> None:
    pipeline = make_pipeline(concurrency_config={**LIMITED, "on_pipeline_run_limit_reached": "skip"})
    by_hand(pipeline)

    with pytest.raises(admission.NotAdmitted, match="etl does not start: The limit was reached"):
        by_hand(pipeline, origin=origin)

    assert PipelineRun.objects.count() == 1


def test_a_run_is_held_to_what_its_trigger_says_even_after_the_trigger_changed() -> None:
    pipeline = make_pipeline()
    settings = RunSettings(trigger_id=7, limits=Limits(run_limit=1, on_limit="wait"))
    first, second = by_hand(pipeline, settings=settings), by_hand(pipeline, settings=settings)

    assert lifecycle.start_held(pipeline.pk, NOON) == 0
    lifecycle.cancel(first, moment=NOON, reason="enough")

    assert lifecycle.start_held(pipeline.pk, NOON) == 1
    second.refresh_from_db()
    assert (second.status, second.reason) == (RunStatus.RUNNING, "")


def test_a_newer_run_ends_the_older_ones_where_its_trigger_says_so() -> None:
    pipeline = make_pipeline()
    settings = RunSettings(trigger_id=7, trigger_name="often", limits=Limits(overlap="cancel_other"))
    first, other = by_hand(pipeline, settings=settings), by_hand(pipeline)

    second = by_hand(pipeline, settings=settings)

    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.status, second.status, other.status) == ("cancelled", "running", "running")
    assert first.reason == "a newer run was started by often (overlap: cancel_other)"


def test_a_blocked_run_does_not_hold_up_others_behind_it() -> None:
    pipeline = make_pipeline(concurrency_config={"run_limit_by_variable": {"customer": 1}})
    runs = [by_hand(pipeline, variables={"customer": name}) for name in ("acme", "acme", "other", "other")]
    lifecycle.cancel(runs[2], moment=NOON, reason="enough")

    assert lifecycle.start_held(pipeline.pk, NOON) == 1

    assert [PipelineRun.objects.get(pk=run.pk).status for run in runs] == [
        "running",
        "initial",
        "cancelled",
        "running",
    ]


def test_the_most_urgent_run_goes_first() -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    first = by_hand(pipeline)
    late, urgent = (by_hand(pipeline, settings=RunSettings(priority=priority)) for priority in (0, -1))
    lifecycle.cancel(first, moment=NOON, reason="enough")

    lifecycle.start_held(pipeline.pk, NOON)

    late.refresh_from_db()
    urgent.refresh_from_db()
    assert (late.status, urgent.status) == ("initial", "running")


def test_only_runs_of_the_same_pipeline_count() -> None:
    make_run(make_pipeline("other"))
    pipeline = make_pipeline(concurrency_config=LIMITED)
    for status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED):
        make_run(pipeline, status=status)

    assert by_hand(pipeline).status == RunStatus.RUNNING


def test_what_is_not_limited_costs_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "HOLDS", [])
    pipeline = make_pipeline()
    run = draft_run(pipeline, RunSettings(), None, moment=NOON).run

    with CaptureQueriesContext(connection) as queries:
        assert admission.Door.open([run], NOON).admit(run).is_open

    assert len(queries) == 0


def test_what_is_above_may_hold_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    shut = Gate("window", Answer.WAIT, "Maintenance until 13:00.")
    monkeypatch.setattr(admission, "HOLDS", [lambda moment: lambda run: shut])

    run = by_hand(make_pipeline())

    assert (run.status, run.reason) == ("initial", "waits: Maintenance until 13:00.")
    assert [gate.name for gate in admission.gates_of(run, NOON, is_new=False)] == ["window", "overlap"]


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


def test_many_that_wait_on_keep_nobody_from_a_free_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "HELD_AT_A_TIME", 3)
    pipeline = make_pipeline("slow")
    limits = Limits(by_variable={"customer": 1}, on_limit="wait")

    def ask(customer: int) -> PipelineRun:
        return lifecycle.create_run(
            pipeline,
            moment=NOON,
            origin=Origin.API,
            variables={"customer": customer},
            settings=RunSettings(trigger_id=1, limits=limits),
        )

    ask(1)
    first_of_two = ask(2)
    for _ in range(7):
        ask(1)
    second_of_two = ask(2)
    PipelineRun.objects.filter(pk=first_of_two.pk).update(status=RunStatus.COMPLETED)

    assert lifecycle.start_held(pipeline.pk, NOON) == 1
    second_of_two.refresh_from_db()
    assert second_of_two.status == RunStatus.RUNNING
