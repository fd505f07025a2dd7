"""Blocks that wait: sensors, attempts to come, and what is handed back."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from pipelines.graph import Block
from pipelines.models import Pipeline
from runs import lifecycle
from runs.lifecycle import create_run
from runs.models import Event, Origin, PipelineRun
from runs.states import BlockStatus
from tests.factories import make_pipeline
from tests.runs.outcomes import FAILED, HANDED_BACK, NOT_YET, claim, make_owner, statuses

pytestmark = pytest.mark.django_db


def start(pipeline: Pipeline, moment: datetime, **fields: Any) -> PipelineRun:
    return create_run(pipeline, moment=moment, origin=Origin.MANUAL, **fields)


def block(uuid: str, *upstream: str, **fields: Any) -> Block:
    return Block(uuid=uuid, name=uuid, type="transformer", upstream=upstream, **fields)


def test_a_sensor_that_is_not_true_gives_its_worker_back(now: datetime) -> None:
    run = start(make_pipeline(blocks=[block("sensor", poke_interval=30.0)]), now)
    sensor = claim(run, "sensor", make_owner(now), now)

    lifecycle.finish_block(sensor, NOT_YET, moment=now)

    sensor.refresh_from_db()
    assert (sensor.status, sensor.worker_id, sensor.attempt) == (BlockStatus.WAITING, None, 1)
    assert sensor.next_attempt_at == now + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("interval", "looked", "due"),
    [
        (5, 1.25, 6.25),  # when it was asked for
        (10, 1.25, 12),  # at the next full second
        (60, 1.25, 65),  # at the next five
        (60, 5, 65),
        (3600, 0.000001, 3605),
    ],
)
def test_sensors_that_may_wait_a_little_are_woken_together(
    now: datetime, interval: float, looked: float, due: float
) -> None:
    run = start(make_pipeline(blocks=[block("sensor", poke_interval=float(interval))]), now)
    at = now + timedelta(seconds=looked)
    lifecycle.finish_block(claim(run, "sensor", make_owner(now), now), NOT_YET, moment=at)
    assert run.block_runs.get().next_attempt_at == now + timedelta(seconds=due)


@pytest.mark.parametrize(("soft", "status"), [(False, "failed"), (True, "condition_failed")])
def test_a_sensor_loses_patience(now: datetime, soft: bool, status: str) -> None:
    run = start(make_pipeline(blocks=[block("sensor", poke_timeout=60.0, soft_fail=soft)]), now)
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "sensor", worker, now), NOT_YET, moment=now)
    later = now + timedelta(seconds=60)
    run.block_runs.move_to(BlockStatus.WAITING, BlockStatus.QUEUED)

    lifecycle.finish_block(claim(run, "sensor", worker, later), NOT_YET, moment=later)

    assert statuses(run) == {"sensor": status}


def test_a_failed_attempt_waits_and_tries_again_with_a_new_number(now: datetime) -> None:
    run = start(make_pipeline(blocks=[block("flaky", retry_config={"retries": 1, "delay": 7})]), now)
    worker = make_owner(now)

    lifecycle.finish_block(claim(run, "flaky", worker, now), FAILED, moment=now)

    row = run.block_runs.get()
    assert (row.status, row.attempt, row.retries) == (BlockStatus.WAITING, 2, 1)
    assert row.next_attempt_at == now + timedelta(seconds=7)
    assert row.error["message"] == "no such day"
    row.move_to(BlockStatus.QUEUED)
    lifecycle.finish_block(claim(run, "flaky", worker, now), FAILED, moment=now)
    assert statuses(run) == {"flaky": "failed"}


def test_retries_of_the_pipeline_hold_unless_the_block_has_its_own(now: datetime) -> None:
    blocks = [block("a"), block("b", retry_config={"retries": 0})]
    run = start(make_pipeline(blocks=blocks, retry_config={"retries": 2}), now)
    worker = make_owner(now)

    for uuid in ("a", "b"):
        lifecycle.finish_block(claim(run, uuid, worker, now), FAILED, moment=now)

    assert statuses(run) == {"a": "cancelled", "b": "failed"}
    assert Event.objects.filter(kind="retry", block_run__block_uuid="a").count() == 1


def test_a_block_handed_back_is_queued_again_without_a_charge(now: datetime) -> None:
    run = start(make_pipeline(), now)
    held = claim(run, "load", make_owner(now), now)

    lifecycle.finish_block(held, HANDED_BACK, moment=now)

    row = run.block_runs.get(block_uuid="load")
    assert (row.status, row.attempt, row.retries, row.losses) == (BlockStatus.QUEUED, 2, 0, 0)
