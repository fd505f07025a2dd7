"""What the drawing of a run in time is made from: its block runs, and their earlier attempts."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from runs.models import Attempt, BlockRun, PipelineRun
from runs.shown_gantt import gantt_of
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_run, text_of

pytestmark = pytest.mark.django_db


def a_run(**load: Any) -> PipelineRun:
    run = make_run(status=RunStatus.RUNNING, blocks={"load": BlockStatus.RUNNING})
    times: dict[str, Any] = {"queued_at": NOON, "started_at": NOON + timedelta(seconds=2)}
    run.block_runs.filter(block_uuid="load").update(**times | load)
    return run


def parts_of(run: PipelineRun, seconds: float = 60) -> list[tuple[str, float]]:
    now = NOON + timedelta(seconds=seconds)
    drawn = gantt_of(run, list(run.block_runs.order_by("position")), {}, now)
    return [(part.kind, part.seconds) for part in drawn.rows[0].parts]


def earlier(run: PipelineRun, number: int, begin: float, end: float, **fields: Any) -> Attempt:
    moments = {"started_at": NOON + timedelta(seconds=begin), "ended_at": NOON + timedelta(seconds=end)}
    row = BlockRun.objects.get(pipeline_run=run, block_uuid="load")
    known: dict[str, Any] = {"ended_as": "failed", "executor": "local_python", **moments, **fields}
    return Attempt.objects.create(block_run=row, number=number, **known)


def test_a_block_at_work_waits_starts_and_runs() -> None:
    run = a_run(metrics={"starting_seconds": 3})

    assert parts_of(run) == [("waiting", 2), ("starting", 3), ("running", 55)]


def test_an_earlier_attempt_comes_before_the_latest() -> None:
    run = a_run(attempt=2, queued_at=NOON + timedelta(seconds=20), started_at=NOON + timedelta(seconds=21))
    earlier(run, 1, 2, 10)

    assert parts_of(run) == [("running", 8), ("waiting", 1), ("running", 39)]


def test_an_attempt_at_the_run_before_this_one_is_not_drawn() -> None:
    run = a_run(attempt=2)
    PipelineRun.objects.filter(pk=run.pk).update(attempt=2)
    run.refresh_from_db()
    earlier(run, 1, 2, 10, run_attempt=1)

    assert [kind for kind, _ in parts_of(run)] == ["waiting", "running"]


def test_a_retry_that_waits_for_its_moment_has_only_what_was() -> None:
    run = a_run(attempt=2, status=BlockStatus.WAITING)
    earlier(run, 1, 2, 10)

    assert parts_of(run) == [("running", 8)]


def test_a_sensor_waits_from_its_first_look_on() -> None:
    run = a_run(status=BlockStatus.WAITING, pokes=4, first_started_at=NOON)

    assert parts_of(run, 90) == [("waiting", 90)]


def test_metrics_that_are_no_number_are_none() -> None:
    assert [kind for kind, _ in parts_of(a_run(metrics={"starting_seconds": "soon"}))] == ["waiting", "running"]


def test_the_page_draws_it_and_says_what_decided(page: Client) -> None:
    run = a_run()

    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert 'id="gantt"' in text
    assert "So far it is decided by <b>load</b>" in text
    assert "on the way that decided" in text
