"""Rows that go, rows that are marked, and what is noted about their files."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import PipelineVersion
from runs import events
from runs.models import Attempt, BlockRun, Event, PipelineRun, Removal, Worker
from runs.retaining import removing, retention
from runs.retrying import repeating
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence
from schedules.reasons import invariants
from tests.factories import NOON, make_pipeline, make_run, make_schedule, make_worker
from tests.runs.kept import days_later, old_run, pipeline_with

pytestmark = pytest.mark.django_db

LATER = days_later(100)


def tidy(moment: Any = LATER) -> dict[str, int]:
    """Apply all rules; return how many runs each kind of removal met."""
    found: dict[str, int] = {}
    for done in removing.steps(retention.policies(), moment):
        if done:
            found[done.cut.kind] = found.get(done.cut.kind, 0) + done.runs
    return found


def test_a_run_goes_with_all_that_hangs_on_it() -> None:
    pipeline = pipeline_with(runs={"age": 720})
    run, stays = old_run(pipeline), old_run(pipeline, days_later(99))
    block_run = run.block_runs.get(block_uuid="load")
    BlockRun.objects.filter(pk=run.block_runs.get(block_uuid="clean").pk).update(parent=block_run)
    events.note(run, "completed", NOON, block_run=block_run)
    Attempt.objects.create(block_run=block_run, number=1, ended_as="failed", ended_at=NOON, executor="local_python")
    child = old_run(make_pipeline("child"), parent_block_run=block_run)

    assert tidy() == {"runs": 1}

    assert set(PipelineRun.objects.all()) == {stays, child}
    assert PipelineRun.objects.get(pk=child.pk).parent_block_run is None
    assert not Event.objects.exists()
    assert not Attempt.objects.exists()
    assert not BlockRun.objects.filter(pipeline_run_id=run.pk).exists()
    assert list(Removal.objects.values_list("run_id", "kind")) == [(run.pk, "runs")]


def test_the_moment_stays_in_the_ledger_and_says_what_became_of_its_run() -> None:
    pipeline = pipeline_with(runs={"age": 720})
    run = old_run(pipeline)
    old_run(pipeline, days_later(99))
    row = Occurrence.objects.create(
        pipeline=pipeline,
        schedule=make_schedule(pipeline),
        scheduled_for=NOON,
        decision=Decision.STARTED,
        pipeline_run=run,
        decided_at=NOON,
    )

    tidy()

    row.refresh_from_db()
    assert (row.pipeline_run, row.decision, row.reason) == (None, Decision.STARTED, "run removed by retention")
    assert [finding for finding in invariants.find(LATER) if finding.kind == "no_run"] == []


def test_logs_and_outputs_are_marked_and_noted() -> None:
    pipeline = pipeline_with(logs={"age": 720}, outputs={"age": 1200})
    run = old_run(pipeline)
    old_run(pipeline, days_later(99))

    assert tidy() == {"logs": 1, "outputs": 1}
    assert tidy() == {}

    run.refresh_from_db()
    assert (run.logs_removed_at, run.outputs_removed_at) == (LATER, LATER)
    assert list(Removal.objects.order_by("kind").values_list("run_id", "kind")) == [
        (run.pk, "logs"),
        (run.pk, "outputs"),
    ]


def test_a_removal_of_logs_is_part_of_the_removal_of_the_run() -> None:
    pipeline = pipeline_with(runs={"age": 1200}, logs={"age": 720})
    run = old_run(pipeline)
    old_run(pipeline, days_later(99))

    tidy(days_later(40))
    tidy()

    assert list(Removal.objects.values_list("run_id", "kind")) == [(run.pk, "runs")]


def test_a_run_that_was_kept_or_retried_meanwhile_stays() -> None:
    pipeline = pipeline_with(runs={"age": 720}, logs={"age": 720})
    run, other = old_run(pipeline), old_run(pipeline)
    PipelineRun.objects.filter(pk=run.pk).update(is_kept=True)
    PipelineRun.objects.filter(pk=other.pk).update(status=RunStatus.RUNNING, completed_at=None)

    assert removing.remove_runs([run.pk, other.pk], LATER) == 0
    assert removing.mark([run.pk, other.pk], "logs", LATER) == 0

    assert PipelineRun.objects.count() == 2
    assert not Removal.objects.exists()


def test_a_retry_takes_the_marks_away() -> None:
    pipeline = make_pipeline()
    run = old_run(pipeline, status=RunStatus.FAILED, logs_removed_at=NOON, outputs_removed_at=NOON)

    assert repeating.retry(run, moment=LATER, incomplete=False)

    run.refresh_from_db()
    assert (run.logs_removed_at, run.outputs_removed_at) == (None, None)


def test_what_goes_at_once_is_bounded_by_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "MOST_ROWS", 7)  # of three blocks each
    pipeline = pipeline_with(runs={"age": 720})
    for _ in range(5):
        old_run(pipeline)
    old_run(pipeline, days_later(99))

    sizes = [done.runs for done in removing.steps(retention.policies(), LATER) if done]

    assert sizes == [2, 2, 1]


def test_a_run_with_more_block_runs_than_that_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "MOST_ROWS", 2)
    run, other = old_run(make_pipeline()), old_run(make_pipeline("other"))

    assert removing.as_many_as_fit([run.pk, other.pk]) == [run.pk]


def test_removing_many_runs_costs_as_many_queries_as_one(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    pipeline = make_pipeline()
    ids = [old_run(pipeline).pk for _ in range(30)]

    with django_assert_max_num_queries(14):
        assert removing.remove_runs(ids, LATER) == 30


def test_processes_that_ended_a_week_ago_and_own_nothing_are_forgotten() -> None:
    old, lately = NOON - timedelta(days=8), NOON - timedelta(days=6)
    make_worker(seen_at=old, stopped_at=old)
    make_worker(seen_at=old)
    stay = [make_worker(seen_at=lately, stopped_at=lately), make_worker(seen_at=old, stopped_at=old), make_worker()]
    make_run().block_runs.update(worker=stay[1])

    assert removing.forget_workers(NOON) == 2

    assert list(Worker.objects.order_by("pk")) == stay


def test_versions_that_no_run_uses_go_where_runs_go() -> None:
    pipeline, forever = pipeline_with(runs={"age": 720}), make_pipeline("forever")
    for each in (pipeline, forever):
        PipelineVersion.objects.create(pipeline=each, content_hash="old", graph={"blocks": []})
    used = PipelineVersion.objects.create(pipeline=pipeline, content_hash="used", graph={"blocks": []})
    PipelineRun.objects.filter(pk=make_run(pipeline, blocks={"load": BlockStatus.COMPLETED}).pk).update(version=used)
    PipelineVersion.objects.update(created_at=NOON)
    PipelineVersion.objects.create(pipeline=pipeline, content_hash="new", graph={"blocks": []})

    assert removing.forget_versions(retention.policies(), NOON + timedelta(days=2)) == 1

    assert not PipelineVersion.objects.filter(pipeline=pipeline, content_hash="old").exists()
    assert PipelineVersion.objects.count() == 5


def test_whatever_hangs_on_a_run_is_known_here() -> None:
    """A new table that refers to runs must be seen to in `remove_runs`, which asks no row what hangs on it."""
    found = {
        f"{model.__name__} ← {relation.related_model.__name__}.{relation.field.name}"
        for model in (PipelineRun, BlockRun, Attempt, Event)
        for relation in model._meta.related_objects
    }

    assert found == {
        "PipelineRun ← BlockRun.pipeline_run",
        "PipelineRun ← Event.pipeline_run",
        "PipelineRun ← Occurrence.pipeline_run",
        "BlockRun ← Attempt.block_run",
        "BlockRun ← BlockRun.parent",
        "BlockRun ← Event.block_run",
        "BlockRun ← PipelineRun.parent_block_run",
    }
