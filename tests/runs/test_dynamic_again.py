"""Running again what is below dynamic blocks: one member, what is incomplete, everything, with other items."""

from datetime import datetime
from typing import Any

import pytest

from executors.base import Outcome
from runs.lifecycle import cancel, claim_next, finish_block
from runs.models import PipelineRun
from runs.retrying.marking import mark
from runs.retrying.repeating import retry
from tests.runs.fans import a_block, a_dynamic, ended_as, fan, outcomes, start
from tests.runs.outcomes import FAILED, drive, make_owner, statuses

pytestmark = pytest.mark.django_db


def failed_in_one(now: datetime) -> PipelineRun:
    """D → child → after → total; of three children the second has failed."""
    run = start(
        now,
        a_dynamic("D"),
        a_block("child", "D"),
        a_block("after", "child", reduce_output=True),
        a_block("total", "after"),
        may_fail=True,
    )
    drive(run, now, outcomes({"D": fan(3), "child:1": FAILED}))
    assert run.status == "failed"
    return run


def again(run: PipelineRun, now: datetime, special: dict[str, Outcome] | None = None, **how: Any) -> list[str]:
    assert retry(run, moment=now, **how)
    return drive(run, now, outcomes(special or {}))


def test_a_retry_repeats_the_failed_member_alone_and_what_it_kept_from_running(now: datetime) -> None:
    run = failed_in_one(now)

    assert again(run, now) == ["child:1", "after:1", "total"]
    assert run.status == "completed"
    assert set(statuses(run).values()) == {"completed"}
    assert run.block_runs.get(block_uuid="child:0").attempt == 1


def test_a_retry_that_fails_again_ends_as_before(now: datetime) -> None:
    run = failed_in_one(now)

    assert again(run, now, {"child:1": FAILED}) == ["child:1"]
    assert ended_as(run, "failed") == {"child", "child:1", "after"}
    assert ended_as(run, "upstream_failed") == {"after:1", "total"}


def test_one_member_is_repeated_with_all_that_comes_after_it(now: datetime) -> None:
    run = failed_in_one(now)
    again(run, now)

    assert again(run, now, from_block="child:2") == ["child:2", "after:2", "total"]
    assert run.status == "completed"


def test_a_block_is_repeated_with_all_its_members(now: datetime) -> None:
    run = failed_in_one(now)
    again(run, now)

    done = again(run, now, from_block="after")

    assert done == ["after:0", "after:1", "after:2", "total"]


def test_a_dynamic_block_repeated_with_other_items_has_other_members(now: datetime) -> None:
    run = failed_in_one(now)

    done = again(run, now, {"D": fan(2)}, from_block="D")

    assert sorted(done) == ["D", "after:0", "after:1", "child:0", "child:1", "total"]
    assert not run.block_runs.filter(block_uuid__in=("child:2", "after:2")).exists()
    assert run.block_runs.get(block_uuid="child:0").attempt == 2
    assert [event.message for event in run.events.filter(kind="items_gone")] == [
        "1 are no more: child:2",
        "1 are no more: after:2",
    ]
    assert run.status == "completed"


def test_more_items_than_before_have_more_members(now: datetime) -> None:
    run = failed_in_one(now)

    done = again(run, now, {"D": fan(5)}, from_block="D")

    assert len(done) == 12
    assert run.status == "completed"


def test_a_dynamic_block_that_fails_when_repeated_takes_its_members_with_it(now: datetime) -> None:
    run = failed_in_one(now)

    assert again(run, now, {"D": FAILED}, from_block="D") == ["D"]
    assert run.status == "failed"
    assert set(statuses(run).values()) == {"failed", "upstream_failed"}

    done = again(run, now, {"D": fan(3)})
    assert len(done) == 8
    assert run.status == "completed"


def test_the_whole_run_is_repeated(now: datetime) -> None:
    run = failed_in_one(now)

    done = again(run, now, {"D": fan(3)}, incomplete=False)

    assert sorted(done) == sorted(["D", "total", *(f"{name}:{k}" for name in ("child", "after") for k in range(3))])
    assert run.status == "completed"


def test_a_nested_member_repeated_changes_only_its_own_items(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_dynamic("E", "D"), a_block("child", "E"), may_fail=True)
    drive(run, now, outcomes({"D": fan(2), "E:0": fan(2), "E:1": fan(2)}))

    done = again(run, now, {"E:1": fan(1)}, from_block="E:1")

    assert done == ["E:1", "child:1:0"]
    assert run.status == "completed"
    assert ended_as(run, "completed") == {"D", "E", "E:0", "E:1", "child", "child:0:0", "child:0:1", "child:1:0"}


def test_a_cancelled_run_goes_on_with_the_members_it_has_not_done(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"))
    worker = make_owner(now)
    for outcome in (fan(3), fan(0)):
        block_run = claim_next(worker, now, run=run)
        assert block_run is not None
        finish_block(block_run, outcome, moment=now)
    cancel(run, moment=now, reason="enough")
    assert statuses(run)["child"] == "cancelled"
    run.refresh_from_db()

    assert again(run, now) == ["child:1", "child:2"]
    assert run.status == "completed"


def test_what_is_held_by_an_earlier_expansion_is_not_run_before_the_new_one(now: datetime) -> None:
    """`low` is over D and E; when E is repeated, a member of `mid` that ends must not set off a `low` of before."""
    run = start(now, a_dynamic("D"), a_dynamic("E", "D"), a_block("mid", "D"), a_block("low", "mid", "E"))
    special = {"D": fan(2), "E:0": fan(1), "E:1": fan(1)}
    drive(run, now, outcomes(special))

    done = again(run, now, special, from_block="D")

    assert sorted(done) == ["D", "E:0", "E:1", "low:0:0", "low:1:0", "mid:0", "mid:1"]
    assert max(done.index("E:0"), done.index("E:1")) < min(done.index("low:0:0"), done.index("low:1:0"))
    assert run.status == "completed"


def test_a_failed_member_marked_completed_by_hand_lets_its_block_complete(now: datetime) -> None:
    run = failed_in_one(now)

    mark(run.block_runs.get(block_uuid="child:1"), "completed", moment=now, by="ada", reason="done by hand")

    assert drive(run, now) == ["after:1", "total"]
    assert run.status == "completed"
    assert statuses(run)["child"] == "completed"
