"""Every attempt at a block is kept: how it ended, where it ran, what it said."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from executors.base import Failure, Outcome, Verdict
from runs import history, lifecycle, recovery
from runs.models import Attempt, BlockRun, Origin, PipelineRun
from runs.retrying import repeating
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, HANDED_BACK, claim, drive, make_owner

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=20)
SECOND = timedelta(seconds=1)


@pytest.fixture
def run(now: datetime) -> PipelineRun:
    return start(now, retry_config={"retries": 1, "delay": 1})


def start(moment: datetime, **settings: Any) -> PipelineRun:
    return lifecycle.create_run(make_pipeline(blocks=[("load",)], **settings), moment=moment, origin=Origin.MANUAL)


def block(run: PipelineRun) -> BlockRun:
    return run.block_runs.get(block_uuid="load")


def test_a_block_that_succeeds_at_once_leaves_no_row_behind(run: PipelineRun, now: datetime) -> None:
    drive(run, now)

    assert not Attempt.objects.exists()


def test_a_failed_attempt_is_kept_when_it_is_to_be_tried_again(run: PipelineRun, now: datetime) -> None:
    held = claim(run, "load", make_owner(now), now)
    held.external_id = "4711"
    failure = Failure(type="ValueError", message="no such day")
    outcome = Outcome(verdict=Verdict.FAILED, failure=failure, usage={"cpu_seconds": 2.0}, exit=1)

    lifecycle.finish_block(held, outcome, moment=now + SECOND)

    kept = Attempt.objects.get()
    assert (kept.number, kept.run_attempt, kept.ended_as, kept.executor) == (1, 1, "failed", "local_python")
    assert (kept.started_at, kept.ended_at) == (now, now + SECOND)
    assert (kept.external_id, kept.host) == ("4711", "here")
    assert kept.error["message"] == "no such day"
    assert kept.metrics == {"cpu_seconds": 2.0, "exit": 1}


def test_an_attempt_lost_with_its_worker_is_kept_apart_from_a_failed_one(run: PipelineRun, now: datetime) -> None:
    claim(run, "load", make_owner(now), now)

    recovery.sweep(now + LEASE + SECOND)

    kept = Attempt.objects.get()
    assert (kept.ended_as, kept.reason, kept.host) == ("lost", "its worker was lost", "here")
    assert (block(run).losses, block(run).retries) == (1, 0)


def test_an_attempt_that_was_handed_back_is_kept(run: PipelineRun, now: datetime) -> None:
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), HANDED_BACK, moment=now)

    assert Attempt.objects.get().ended_as == "handed_back"


def test_a_fenced_attempt_writes_nothing(run: PipelineRun, now: datetime) -> None:
    stale = claim(run, "load", make_owner(now), now)
    recovery.sweep(now + LEASE + SECOND)

    lifecycle.finish_block(stale, FAILED, moment=now + LEASE + SECOND)

    assert [kept.ended_as for kept in Attempt.objects.all()] == ["lost"]


def test_what_a_retry_of_the_run_sets_back_is_kept(now: datetime) -> None:
    run = start(now)
    drive(run, now, lambda _: FAILED)

    repeating.retry(run, moment=now + SECOND)

    kept = Attempt.objects.get()
    assert (kept.number, kept.run_attempt, kept.ended_as, kept.ended_at) == (1, 1, "failed", now)
    assert kept.error["type"] == "ValueError"


def test_where_a_block_ran_is_kept_when_it_has_ended(run: PipelineRun, now: datetime) -> None:
    held = claim(run, "load", make_owner(now), now)
    held.external_id = "4711"

    lifecycle.finish_block(held, COMPLETED, moment=now)

    assert block(run).external_id == "4711"


def test_all_attempts_are_told_alike_the_latest_included(run: PipelineRun, now: datetime) -> None:
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)
    recovery.due_timers(now + 2 * SECOND)
    drive(run, now + 2 * SECOND)

    told = history.all_attempts(block(run), run.attempt)

    assert [(each.number, each.ended_as, each.host) for each in told] == [
        (1, "failed", "here"),
        (2, "completed", "here"),
    ]


def test_an_attempt_that_was_cancelled_before_it_began_does_not_pass_for_the_one_before(
    run: PipelineRun, now: datetime
) -> None:
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)
    lifecycle.cancel(run, moment=now + SECOND, reason="enough")
    first, second = history.all_attempts(block(run), run.attempt)

    repeating.retry(run, moment=now + 2 * SECOND)

    assert (first.ended_as, first.started_at, second.ended_as, second.started_at) == ("failed", now, "cancelled", None)
    assert Attempt.objects.get(number=2).started_at is None
    assert Attempt.objects.get(number=2).error == {}


def test_an_attempt_that_is_cancelled_has_not_the_error_of_the_one_before(run: PipelineRun, now: datetime) -> None:
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "load", worker, now), FAILED, moment=now)
    recovery.due_timers(now + 10 * SECOND)

    again = claim(run, "load", worker, now + 10 * SECOND)
    lifecycle.cancel(run, moment=now + 11 * SECOND, reason="enough")

    assert again.error == block(run).error == {}
    told = [(line.ended_as, line.error.get("type")) for line in history.all_attempts(block(run), 1)]
    assert told == [("failed", "ValueError"), ("cancelled", None)]


def test_setting_back_many_blocks_costs_no_more_statements_than_a_few(
    now: datetime, django_assert_max_num_queries: Any
) -> None:
    pipeline = make_pipeline(blocks=[(f"b{number}",) for number in range(300)])
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)
    lifecycle.cancel(run, moment=now, reason="")

    with django_assert_max_num_queries(30):
        repeating.retry(run, moment=now)

    assert Attempt.objects.count() == 300
