"""Callbacks as rows: which end queues which, what they are told, and that no run waits or fails for them."""

from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from executors.base import Failure, Outcome, Verdict
from pipelines.graph import Block
from pipelines.refusal import Refusal
from runs import callbacks, lifecycle, recovery
from runs.callback_rows import AFTER_BLOCKS, fitting
from runs.lifecycle import create_run
from runs.models import BlockRun, Origin, PipelineRun
from runs.planning import RunSettings
from runs.retrying import marking, repeating
from runs.states import RunStatus
from tests.factories import make_pipeline
from tests.runs.called import GONE, MINUTE, OF_RUN, TELL, begin, called, calls, rows
from tests.runs.fans import fan, outcomes
from tests.runs.outcomes import COMPLETED, FAILED, NOT_YET, REFUSED, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db

# --- which end has which --------------------------------------------------------------------------------------------


def test_a_completed_block_has_its_success_callback_queued_with_its_end(now: datetime) -> None:
    run = begin(now)

    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    (row,) = rows(run)
    assert (row.block_uuid, row.status, row.config["call"]["outcome"]) == ("tell@load", "queued", "success")
    assert row.parent == run.block_runs.get(block_uuid="load")
    assert row.queued_at == now


def test_a_block_that_failed_for_good_has_its_failure_callback_with_the_error(now: datetime) -> None:
    run = begin(now)

    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)

    assert calls(run) == {"tell@load": ("failure", "queued")}  # none of `save`, which never began
    assert rows(run)[0].config["call"]["error"]["message"] == "no such day"


@pytest.mark.parametrize("verdict", [Verdict.TIMED_OUT, Verdict.FAILED])
def test_a_block_that_was_timed_out_or_killed_has_failed(verdict: Verdict, now: datetime) -> None:
    run = begin(now)
    outcome = Outcome(verdict=verdict, failure=Failure(type="Timeout", message="was ended"), exit=-9)

    lifecycle.finish_block(claim(run, "load", make_owner(now), now), outcome, moment=now)

    assert calls(run)["tell@load"] == ("failure", "queued")


def test_a_block_that_cost_three_workers_has_failed(now: datetime) -> None:
    run, moment = begin(now), now
    for _ in range(3):
        assert rows(run) == []
        claim(run, "load", make_owner(moment), moment)
        moment += MINUTE
        recovery.sweep(moment)

    assert calls(run) == {"tell@load": ("failure", "queued")}
    assert rows(run)[0].config["call"]["error"]["type"] == "WorkerLost"


def test_a_failure_that_is_tried_again_calls_nothing(now: datetime) -> None:
    run = begin(now, called("load", retry_config={"retries": 1, "delay": 5}))

    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)
    assert rows(run) == []

    recovery.due_timers(now + MINUTE)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)
    assert calls(run) == {"tell@load": ("success", "queued")}


def test_a_refused_condition_and_what_lies_below_it_call_nothing(now: datetime) -> None:
    run = begin(now)

    lifecycle.finish_block(claim(run, "load", make_owner(now), now), REFUSED, moment=now)

    assert statuses(run) == {"load": "condition_failed", "save": "condition_failed"}


def test_each_callback_of_a_block_is_called(now: datetime) -> None:
    other = Block(uuid="other", type="callback", file="callbacks/other.py")
    run = begin(now, Block(uuid="load", callbacks=("tell", "other")), other)

    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    assert [row.block_uuid for row in rows(run)] == ["tell@load", "other@load"]


def test_no_row_is_made_where_no_function_is_for_the_outcome(now: datetime) -> None:
    run = begin(now)
    entry = run.callbacks["blocks"]["tell"] | {"outcomes": ["failure"]}
    PipelineRun.objects.update(callbacks={"blocks": {"tell": entry}})

    drive(run, now)

    assert rows(run) == []


def test_a_callback_whose_outcomes_are_not_known_is_queued_for_any(now: datetime) -> None:
    run = begin(now)
    assert not run.callbacks["blocks"]["tell"].get("outcomes")

    drive(run, now, fail_all)

    assert calls(run)["tell@load"][0] == "failure"


# --- cancelled ------------------------------------------------------------------------------------------------------


def test_a_block_cancelled_while_it_ran_is_followed_when_its_process_is_gone(now: datetime) -> None:
    run = begin(now)
    held = claim(run, "load", make_owner(now), now)

    lifecycle.cancel(run, moment=now, reason="enough")
    assert calls(run) == {"tell@load": ("cancelled", "waiting")}  # and none of `save`, which never began

    lifecycle.finish_block(held, GONE, moment=now + timedelta(seconds=2))
    (row,) = rows(run)
    assert (row.status, row.queued_at, row.next_attempt_at) == ("queued", now + timedelta(seconds=2), None)


def test_a_process_of_which_nobody_says_that_it_is_gone_is_waited_for_so_long_and_no_longer(now: datetime) -> None:
    run = begin(now)
    claim(run, "load", make_owner(now), now)
    lifecycle.cancel(run, moment=now, reason="enough")
    grace = timedelta(seconds=settings.KILL_GRACE_SECONDS)

    recovery.due_timers(now + grace + timedelta(seconds=4))
    assert calls(run)["tell@load"][1] == "waiting"

    recovery.due_timers(now + grace + timedelta(seconds=6))
    assert calls(run)["tell@load"][1] == "queued"


def test_a_worker_that_had_lost_the_block_before_releases_nothing(now: datetime) -> None:
    run = begin(now)
    lost = claim(run, "load", make_owner(now), now)
    recovery.take_back(copy(lost), now)
    claim(run, "load", make_owner(now), now)
    lifecycle.cancel(run, moment=now, reason="enough")

    lifecycle.finish_block(lost, GONE, moment=now)

    assert calls(run)["tell@load"] == ("cancelled", "waiting")


def test_a_block_that_had_begun_and_waits_is_followed_at_once(now: datetime) -> None:
    run = begin(now, called("load", type="sensor"))
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), NOT_YET, moment=now)

    lifecycle.cancel(run, moment=now, reason="enough")

    assert calls(run) == {"tell@load": ("cancelled", "queued")}


def test_a_block_that_never_began_calls_nothing_when_its_run_is_cancelled(now: datetime) -> None:
    run = begin(now)

    lifecycle.cancel(run, moment=now, reason="enough")

    assert rows(run) == []


def test_blocks_stopped_because_another_failed_are_cancelled(now: datetime) -> None:
    run = begin(now, called("left"), called("right"))
    held, worker = claim(run, "left", make_owner(now), now), make_owner(now)

    lifecycle.finish_block(claim(run, "right", worker, now), FAILED, moment=now)

    assert calls(run) == {"tell@left": ("cancelled", "waiting"), "tell@right": ("failure", "queued")}
    lifecycle.finish_block(held, GONE, moment=now)
    assert calls(run)["tell@left"] == ("cancelled", "queued")


# --- of the run -----------------------------------------------------------------------------------------------------


def fail_all(_: str) -> Outcome:
    return FAILED


def test_a_completed_run_is_followed_by_its_success_callbacks(now: datetime) -> None:
    run = begin(now, callbacks=OF_RUN)
    worker = make_owner(now)
    for name in ("load", "save"):
        lifecycle.finish_block(claim(run, name, worker, now), COMPLETED, moment=now)

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    row = rows(run)[-1]
    assert (row.block_uuid, row.status, row.parent) == ("after_success@", "queued", None)
    assert (row.config["call"]["outcome"], row.config["call"]["run_status"]) == ("success", "completed")


def test_a_failed_run_is_followed_with_the_error_of_the_block_that_failed(now: datetime) -> None:
    run = begin(now, callbacks=OF_RUN)

    drive(run, now, fail_all)

    row = run.block_runs.get(block_uuid="after_failure@")
    assert (row.config["call"]["error"]["type"], row.config["call"]["run_status"]) == ("ValueError", "failed")


def test_a_cancelled_run_is_followed_when_every_process_of_it_is_gone(now: datetime) -> None:
    run = begin(now, Block(uuid="left"), Block(uuid="right"), callbacks=OF_RUN)
    left, right = (claim(run, name, make_owner(now), now) for name in ("left", "right"))

    lifecycle.cancel(run, moment=now, reason="enough")
    assert calls(run) == {"after_cancelled@": ("cancelled", "waiting")}

    lifecycle.finish_block(left, GONE, moment=now)
    assert calls(run)["after_cancelled@"][1] == "waiting"
    lifecycle.finish_block(right, COMPLETED, moment=now)  # it ended by itself, too late to count
    assert calls(run)["after_cancelled@"][1] == "queued"


@pytest.mark.parametrize(("status", "outcome"), [("failed", "failure"), ("cancelled", "cancelled")])
def test_a_run_that_is_past_its_time_is_followed_as_its_trigger_calls_it(
    status: str, outcome: str, now: datetime
) -> None:
    run = begin(now, run=RunSettings(timeout=MINUTE, timeout_status=status), callbacks=OF_RUN)
    claim(run, "load", make_owner(now + MINUTE), now)

    recovery.end_overdue(now + MINUTE - timedelta(microseconds=1))
    assert rows(run) == []
    recovery.end_overdue(now + MINUTE)

    run.refresh_from_db()
    assert (run.status, run.reason) == (status, "did not finish within 0:01:00")
    assert calls(run) == {"tell@load": ("cancelled", "waiting"), f"after_{outcome}@": (outcome, "waiting")}


def test_a_time_out_without_a_failed_block_says_why_the_run_failed(now: datetime) -> None:
    run = begin(now, run=RunSettings(timeout=MINUTE), callbacks=OF_RUN)

    recovery.end_overdue(now + MINUTE)

    error = run.block_runs.get(block_uuid="after_failure@").config["call"]["error"]
    assert error == {"type": "RunFailed", "message": "did not finish within 0:01:00"}


def test_a_run_of_one_block_calls_what_the_block_has_and_not_what_the_pipeline_has(now: datetime) -> None:
    pipeline = make_pipeline("called", [called("load"), TELL], callbacks=OF_RUN)
    run = create_run(pipeline, moment=now, origin=Origin.MANUAL, only_block="load")

    drive(run, now)

    assert list(calls(run)) == ["tell@load"]


def test_a_run_without_callbacks_carries_nothing(now: datetime) -> None:
    run = create_run(make_pipeline(), moment=now, origin=Origin.MANUAL)

    assert run.callbacks == {}


# --- again ----------------------------------------------------------------------------------------------------------


def test_a_block_that_ends_again_has_its_row_used_again_and_the_earlier_attempt_kept(now: datetime) -> None:
    run = begin(now)
    drive(run, now, lambda name: FAILED if name == "load" else COMPLETED)
    later = now + MINUTE

    repeating.retry(run, moment=later)
    lifecycle.finish_block(claim(run, "load", make_owner(later), later), COMPLETED, moment=later)

    (row,) = rows(run)
    assert (row.block_uuid, row.status, row.attempt) == ("tell@load", "queued", 2)
    assert (row.config["call"]["outcome"], row.first_started_at, row.error) == ("success", None, {})
    assert [(kept.number, kept.ended_as) for kept in row.attempts.all()] == [(1, "completed")]


def test_a_retry_touches_no_callback_by_itself(now: datetime) -> None:
    run = begin(now)
    drive(run, now, lambda name: FAILED if name == "load" else COMPLETED)

    repeating.retry(run, moment=now)

    assert calls(run) == {"tell@load": ("failure", "completed")}


def test_an_end_before_the_last_ones_callback_is_done_has_a_row_beside_it(now: datetime) -> None:
    run = begin(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)
    claim(run, "tell@load", make_owner(now), now)

    repeating.retry(run, moment=now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    assert calls(run) == {"tell@load": ("failure", "running"), "tell@load#2": ("success", "queued")}


def test_one_end_is_followed_once_however_often_it_is_told(now: datetime) -> None:
    run = begin(now)
    held = claim(run, "load", make_owner(now), now)
    lifecycle.finish_block(held, COMPLETED, moment=now)

    assert callbacks.follow_block(PipelineRun.objects.get(pk=run.pk), held, now) == 0

    assert len(rows(run)) == 1


def test_a_run_that_ends_again_is_followed_again(now: datetime) -> None:
    run = begin(now, Block(uuid="load"), callbacks=OF_RUN)
    for attempt in (1, 2):
        drive(run, now, lambda name: FAILED if name == "load" else COMPLETED)
        assert run.block_runs.get(block_uuid="after_failure@").attempt == attempt
        repeating.retry(run, moment=now)


# --- stopped by hand, and the rest ----------------------------------------------------------------------------------


def queue_it(run: PipelineRun, now: datetime) -> BlockRun:
    return rows(run)[0]


def run_it(run: PipelineRun, now: datetime) -> BlockRun:
    return claim(run, "tell@load", make_owner(now), now)


@pytest.mark.parametrize("bring", [queue_it, run_it])
def test_a_callback_is_stopped_by_hand(bring: Callable[[PipelineRun, datetime], BlockRun], now: datetime) -> None:
    run = begin(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    callbacks.stop(bring(run, now), moment=now, by="ada")

    row = rows(run)[0]
    assert (row.status, row.reason) == ("cancelled", "stopped by ada")
    with pytest.raises(Refusal, match="cancelled already"):
        callbacks.stop(row, moment=now, by="ada")


def test_a_long_name_is_shortened_and_stays_one_of_a_kind() -> None:
    names = {fitting("x" * 300 + end) for end in "abc"}

    assert len(names) == 3
    assert all(len(name) <= 255 for name in names)


def test_callbacks_come_after_the_blocks_of_their_run(now: datetime) -> None:
    run = begin(now, callbacks=OF_RUN)

    drive(run, now)

    in_order = run.block_runs.order_by("position").values_list("block_uuid", flat=True)
    assert list(in_order) == ["load", "save", "tell@load", "tell@save", "after_success@"]
    assert min(row.position for row in rows(run)) >= AFTER_BLOCKS


def test_a_run_without_callbacks_costs_no_statement_more(
    now: datetime, django_assert_num_queries: Callable[[int], Any]
) -> None:
    run = create_run(make_pipeline(blocks=[("a",), ("b", "a"), ("c", "b")]), moment=now, origin=Origin.MANUAL)
    worker = make_owner(now)
    held = claim(run, "a", worker, now)

    with django_assert_num_queries(7):  # savepoint twice, lock, record, count down, look, take
        lifecycle.finish_block(held, COMPLETED, moment=now, next_for=worker)


def test_each_member_of_a_dynamic_block_has_its_callback_and_the_block_as_a_whole_none(now: datetime) -> None:
    items = Block(uuid="items", dynamic=True)
    run = begin(now, items, called("each", "items"))

    drive(run, now, outcomes({"items": fan(2), "each:1": FAILED}))

    assert calls(run) == {"tell@each:0": ("success", "completed"), "tell@each:1": ("failure", "completed")}
    assert rows(run)[0].parent == run.block_runs.get(block_uuid="each:0")


def test_a_member_that_is_repeated_is_followed_again(now: datetime) -> None:
    run = begin(now, Block(uuid="items", dynamic=True), called("each", "items"))
    drive(run, now, outcomes({"items": fan(2), "each:1": FAILED}))

    repeating.retry(run, moment=now)
    drive(run, now, outcomes({}))

    assert calls(run) == {"tell@each:0": ("success", "completed"), "tell@each:1": ("success", "completed")}
    assert [row.attempt for row in rows(run)] == [1, 2]


def test_a_block_marked_by_hand_is_followed_as_one_that_ended_so(now: datetime) -> None:
    run = begin(now)
    drive(run, now, lambda name: FAILED if name == "load" else COMPLETED)
    row = run.block_runs.get(block_uuid="load")

    marking.mark(row, "completed", moment=now, by="ada", reason="done by hand")

    assert calls(run)["tell@load"] == ("success", "queued")


def test_a_callback_is_not_marked_by_hand(now: datetime) -> None:
    run = begin(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    with pytest.raises(Refusal):
        marking.mark(rows(run)[0], "completed", moment=now, by="ada", reason="no need")
