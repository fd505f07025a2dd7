"""Marking by hand below dynamic blocks: one of many, the many as one, the dynamic block itself."""

from datetime import datetime, timedelta

import pytest

from pipelines.refusal import Refusal
from runs.lifecycle import claim_next, finish_block
from runs.models import BlockRun, PipelineRun, Role
from runs.retrying import marking, repeating
from tests.runs.fans import a_block, a_dynamic, ended_as, fan, outcomes, start
from tests.runs.outcomes import FAILED, drive, make_owner, statuses

pytestmark = pytest.mark.django_db
BLOCKS = (
    a_dynamic("D"),
    a_block("child", "D"),
    a_block("after", "child", reduce_output=True),
    a_block("total", "after"),
)


def failed_in_one(now: datetime, *, may_fail: bool = True) -> PipelineRun:
    """D → child → after → total; of three children the second has failed."""
    run = start(now, *BLOCKS, may_fail=may_fail)
    drive(run, now, outcomes({"D": fan(3), "child:1": FAILED}))
    assert run.status == "failed"
    return run


def mark(run: PipelineRun, uuid: str, outcome: str, now: datetime) -> BlockRun:
    return marking.mark(run.block_runs.get(block_uuid=uuid), outcome, moment=now, by="ada", reason="known")


@pytest.mark.parametrize("may_fail", [True, False])
def test_a_failed_member_that_is_marked_completed_lets_its_run_go_on(now: datetime, may_fail: bool) -> None:
    run = failed_in_one(now, may_fail=may_fail)

    mark(run, "child:1", "completed", now)
    done = drive(run, now)

    assert "child:1" not in done
    assert {"after:1", "total"} <= set(done)
    assert set(statuses(run).values()) == {"completed"}
    assert run.status == "completed"


def test_a_failed_block_of_many_is_marked_completed_as_one(now: datetime) -> None:
    run = failed_in_one(now)

    mark(run, "child", "completed", now)
    run.refresh_from_db()

    assert statuses(run)["child"] == "completed"
    assert statuses(run)["child:1"] == "failed", "the members are left as they are"


@pytest.mark.parametrize("may_fail", [True, False])
@pytest.mark.parametrize(("outcome", "below"), [("completed", "completed"), ("skipped", "condition_failed")])
def test_a_run_goes_on_after_its_failed_block_of_many_was_marked(
    now: datetime, may_fail: bool, outcome: str, below: str
) -> None:
    run = start(now, *BLOCKS, may_fail=may_fail)
    drive(run, now, outcomes({"D": fan(2), "after:0": FAILED}))
    assert run.status == "failed"

    mark(run, "after", outcome, now)
    drive(run, now)

    assert (statuses(run)["after:0"], statuses(run)["total"]) == ("failed", below)
    assert (run.status, run.reason) == ("completed", "")


def test_nothing_is_incomplete_of_a_block_of_many_that_was_marked_completed(now: datetime) -> None:
    run = start(now, *BLOCKS, may_fail=True)
    drive(run, now, outcomes({"D": fan(2), "after:0": FAILED}))
    mark(run, "after", "completed", now)
    drive(run, now)

    with pytest.raises(Refusal, match="nothing of it is incomplete"):
        repeating.retry(run, moment=now)


def test_the_members_of_a_block_that_is_marked_while_they_run_are_ended(now: datetime) -> None:
    run = start(now, *BLOCKS)
    worker = make_owner(now)
    first = claim_next(worker, now, run=run)
    assert first is not None
    finish_block(first, fan(2), moment=now)
    assert claim_next(worker, now, run=run) is not None

    mark(run, "child", "skipped", now)

    assert ended_as(run, "cancelled") >= {"child:0", "child:1"}
    drive(run, now)
    assert run.is_finished


def test_a_dynamic_block_that_is_marked_completed_has_no_items(now: datetime) -> None:
    run = start(now, *BLOCKS)

    mark(run, "D", "completed", now)

    assert drive(run, now) == ["total"]
    assert run.status == "completed"


def test_a_member_of_a_completed_run_that_is_marked_failed_fails_it(now: datetime) -> None:
    run = start(now, *BLOCKS, may_fail=True)
    drive(run, now, outcomes({"D": fan(2)}))

    mark(run, "child:0", "failed", now)
    run.refresh_from_db()

    assert (run.status, statuses(run)["child"]) == ("failed", "failed")


def test_a_member_that_was_at_work_is_followed_by_its_callback_for_a_cancel(now: datetime) -> None:
    run, worker = start(now, *BLOCKS), make_owner(now)
    finish_block(claimed(run, now), fan(2), moment=now)
    PipelineRun.objects.filter(pk=run.pk).update(callbacks={"blocks": {"tell": {"uuid": "tell"}}})
    for row in run.block_runs.filter(role=Role.MEMBER):
        BlockRun.objects.filter(pk=row.pk).update(config={**row.config, "callbacks": ["tell"]})
    assert claim_next(worker, now, run=run)

    mark(PipelineRun.objects.get(pk=run.pk), "child", "completed", now + timedelta(seconds=1))

    called = run.block_runs.get(role=Role.CALLBACK)
    assert (called.block_uuid, called.config["call"]["outcome"]) == ("tell@child:0", "cancelled")


def claimed(run: PipelineRun, now: datetime) -> BlockRun:
    row = claim_next(make_owner(now), now, run=run)
    assert row is not None
    return row
