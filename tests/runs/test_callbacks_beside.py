"""Callbacks beside their run: it ends without them, and they neither hold it up nor take its places."""

from datetime import datetime, timedelta

import pytest
from django.conf import settings

from pipelines.graph import Block
from runs import lifecycle, recovery
from runs.states import BlockStatus, RunStatus
from schedules.reasons import invariants
from tests.runs.called import MINUTE, begin, called, calls, rows
from tests.runs.outcomes import COMPLETED, FAILED, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db


def test_a_run_ends_while_its_callbacks_are_still_queued(now: datetime) -> None:
    run = begin(now)
    worker = make_owner(now)
    for name in ("load", "save"):
        lifecycle.finish_block(claim(run, name, worker, now), COMPLETED, moment=now)

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert calls(run) == {"tell@load": ("success", "queued"), "tell@save": ("success", "queued")}


def test_a_callback_that_fails_is_told_and_nothing_else(now: datetime) -> None:
    run = begin(now)

    drive(run, now, lambda name: FAILED if "@" in name else COMPLETED)

    assert run.status == RunStatus.COMPLETED
    assert statuses(run) == {"load": "completed", "save": "completed", "tell@load": "failed", "tell@save": "failed"}
    kinds = list(run.events.order_by("id").values_list("kind", flat=True))
    assert kinds.count("callback_failed") == 2
    assert "block_failed" not in kinds


def test_a_callback_goes_before_the_next_block(now: datetime) -> None:
    run = begin(now)
    worker = make_owner(now)

    following = lifecycle.finish_block(claim(run, "load", worker, now), COMPLETED, moment=now, next_for=worker)

    assert following is not None
    assert following.block_uuid == "tell@load"
    assert statuses(run)["save"] == "queued"


def test_a_run_in_one_process_goes_on_with_its_blocks_first(now: datetime) -> None:
    run = begin(now, run_pipeline_in_one_process=True)
    worker = make_owner(now)
    block_run = claim(run, "load", worker, now)
    done = []
    while block_run is not None:
        done.append(block_run.block_uuid)
        block_run = lifecycle.finish_block(block_run, COMPLETED, moment=now, next_for=worker)

    assert done == ["load", "save"]
    assert drive(run, now) == ["tell@load", "tell@save"]


def test_a_callback_takes_no_slot_of_its_run(now: datetime) -> None:
    run = begin(now, called("one"), called("two"), called("three"), concurrency_config={"block_run_limit": 1})

    lifecycle.finish_block(claim(run, "one", make_owner(now), now), COMPLETED, moment=now)

    queued = run.block_runs.of_graph().filter(status=BlockStatus.QUEUED)
    assert queued.count() == 1


def test_cancelling_the_run_leaves_its_callbacks_alone(now: datetime) -> None:
    run = begin(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    lifecycle.cancel(run, moment=now, reason="enough")

    assert calls(run) == {"tell@load": ("success", "queued")}


def test_a_running_callback_does_not_hide_that_a_run_is_stuck(now: datetime) -> None:
    run = begin(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)
    claim(run, "tell@load", make_owner(now), now)
    run.block_runs.filter(block_uuid="save").update(status="initial", pending=7)

    assert recovery.unstick(now) == 1

    assert statuses(run)["save"] == "queued"


def test_open_callbacks_of_a_finished_run_break_no_promise(now: datetime) -> None:
    run = begin(now)
    worker = make_owner(now)
    for name in ("load", "save"):
        lifecycle.finish_block(claim(run, name, worker, now), COMPLETED, moment=now)

    assert invariants.ended_with_open_blocks(now + timedelta(minutes=5)) == []


def test_a_lost_callback_is_taken_up_again(now: datetime) -> None:
    run = begin(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)
    held = claim(run, "tell@load", make_owner(now), now)

    recovery.take_back_lost(now + MINUTE)

    (row,) = rows(run)
    assert (row.status, row.attempt, row.losses) == ("queued", held.attempt + 1, 1)


def test_a_callback_is_tried_again_as_its_own_entry_says_and_not_as_the_run(now: datetime) -> None:
    entry = {"uuid": "after", "name": "", "file": "x.py", "retry_config": {"retries": 1, "delay": 5}}
    of_run = {"success": [entry, {"uuid": "other", "file": "y.py"}]}
    run = begin(now, Block(uuid="load"), callbacks=of_run, retry_config={"retries": 3})

    drive(run, now, lambda name: FAILED if "@" in name else COMPLETED)

    assert calls(run) == {"after@": ("success", "waiting"), "other@": ("success", "failed")}


@pytest.mark.parametrize("own", [None, 30])
def test_a_callback_has_a_timeout_of_its_own(own: float | None, now: datetime) -> None:
    run = begin(now, Block(uuid="load", timeout=5), callbacks={"success": [{"uuid": "after", "timeout": own}]})

    drive(run, now)

    assert rows(run)[0].timeout == timedelta(seconds=own or settings.CALLBACK_TIMEOUT_SECONDS)
