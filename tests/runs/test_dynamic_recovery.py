"""Blocks that run many times, when something is lost."""

from datetime import datetime, timedelta

import pytest

from runs import recovery
from runs.lifecycle import cancel, claim_next, finish_block
from runs.models import BlockRun, PipelineRun, Worker
from schedules.reasons import invariants
from tests.runs.fans import a_block, a_dynamic, fan, start
from tests.runs.outcomes import COMPLETED, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def expanded(now: datetime) -> tuple[PipelineRun, Worker]:
    run, worker = start(now, a_dynamic("D"), a_block("child", "D")), make_owner(now)
    finish_block(claim(run, "D", worker, now), fan(3), moment=now)
    return run, worker


def test_a_member_lost_with_its_worker_is_taken_up_again(now: datetime) -> None:
    run, worker = expanded(now)
    claim(run, "child:1", worker, now)

    recovery.take_back_lost(now + MINUTE)

    assert run.block_runs.get(block_uuid="child:1").losses == 1
    assert len(drive(run, now + MINUTE)) == 3
    assert run.status == "completed"


def test_a_block_that_waits_for_its_members_hides_no_stuck_run(now: datetime) -> None:
    run, _ = expanded(now)
    BlockRun.objects.filter(parent__block_uuid="child").update(status="initial", pending=7)  # as a bug might leave it

    assert run in invariants.idle_runs(now + 5 * MINUTE)
    assert recovery.unstick(now + 5 * MINUTE) == 1

    assert len(drive(run, now + 5 * MINUTE)) == 3
    assert run.status == "completed"


def test_a_count_that_has_gone_wrong_is_put_right_by_a_look_at_the_whole(now: datetime) -> None:
    run, worker = expanded(now)
    run.block_runs.filter(block_uuid="child").update(pending=1)

    finish_block(claim(run, "child:0", worker, now), COMPLETED, moment=now)

    assert run.block_runs.get(block_uuid="child").pending == 2
    drive(run, now)
    assert run.status == "completed"


def test_a_block_that_waits_for_its_members_sets_no_timer(now: datetime) -> None:
    expanded(now)
    sensor = start_sensor(now)

    assert recovery.due_timers(now) == sensor


def start_sensor(now: datetime) -> datetime:
    """A run with a block that is looked at again later; return when."""
    from tests.factories import make_pipeline, make_run

    run = make_run(make_pipeline("sensing"))
    due = now + timedelta(seconds=30)
    run.block_runs.filter(block_uuid="load").update(status="waiting", next_attempt_at=due)
    return due


def test_cancelling_ends_members_and_the_block_that_waits_for_them(now: datetime) -> None:
    run, worker = expanded(now)
    claim_next(worker, now, run=run)

    cancel(run, moment=now, reason="enough")

    assert set(statuses(run).values()) == {"completed", "cancelled"}
    assert statuses(run)["child"] == "cancelled"
