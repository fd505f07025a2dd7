"""Dynamic blocks through whole runs, their outcomes made by hand."""

from datetime import datetime
from typing import Any

import pytest

from runs.models import BlockRun, Role
from tests.runs.fans import a_block, a_dynamic, ended_as, fan, outcomes, start
from tests.runs.outcomes import COMPLETED, FAILED, REFUSED, drive, statuses

pytestmark = pytest.mark.django_db


def test_a_child_runs_once_for_each_item_and_what_is_below_follows_each(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("grandchild", "child"))

    done = drive(run, now, outcomes({"D": fan(3)}))

    assert done[0] == "D"
    assert set(done) == {"D", *(f"{name}:{number}" for name in ("child", "grandchild") for number in range(3))}
    assert run.status == "completed"
    assert set(statuses(run).values()) == {"completed"}
    group = run.block_runs.get(block_uuid="child")
    assert (group.members_total, group.pending, group.role) == (3, 0, Role.BLOCK)
    assert run.block_runs.get(block_uuid="grandchild:1").upstream == ["child:1"]


def test_members_are_named_by_the_metadata(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"))

    done = drive(run, now, outcomes({"D": fan(2, ["north", "south"])}))

    assert done == ["D", "child:north", "child:south"]


def test_a_reduced_block_hands_its_members_on_as_one(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D", reduce_output=True), a_block("total", "child"))

    done = drive(run, now, outcomes({"D": fan(3)}))

    assert done == ["D", "child:0", "child:1", "child:2", "total"]
    assert run.status == "completed"


def test_without_items_the_run_goes_on_below(now: datetime) -> None:
    run = start(
        now,
        a_dynamic("D"),
        a_block("child", "D"),
        a_block("grandchild", "child", reduce_output=True),
        a_block("total", "grandchild"),
    )

    done = drive(run, now, outcomes({"D": fan(0)}))

    assert done == ["D", "total"]
    assert run.status == "completed"
    assert statuses(run) == dict.fromkeys(("D", "child", "grandchild", "total"), "completed")


def test_two_dynamic_parents_multiply(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_dynamic("E"), a_block("child", "D", "E"))

    done = drive(run, now, outcomes({"D": fan(2), "E": fan(2, ["x", "y"])}))

    assert done[2:] == ["child:0:x", "child:0:y", "child:1:x", "child:1:y"]
    assert set(run.block_runs.get(block_uuid="child:1:x").config["items"]) == {"D", "E"}


def test_two_ways_from_the_same_dynamic_block_stay_aligned(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("left", "D"), a_block("right", "D"), a_block("join", "left", "right"))

    drive(run, now, outcomes({"D": fan(2)}))

    assert run.block_runs.get(block_uuid="join:1").upstream == ["left:1", "right:1"]
    assert run.block_runs.filter(block_uuid__startswith="join:").count() == 2


def test_a_nested_dynamic_block_has_items_of_its_own_in_each_member(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_dynamic("E", "D"), a_block("child", "E"))

    done = drive(run, now, outcomes({"D": fan(3), "E:0": fan(2), "E:1": fan(0), "E:2": fan(1, ["z"])}))

    assert [uuid for uuid in done if uuid.startswith("child")] == ["child:0:0", "child:0:1", "child:2:z"]
    assert run.block_runs.get(block_uuid="child:2:z").upstream == ["E:2"]
    assert run.status == "completed"


def test_a_member_below_waits_only_for_its_own(now: datetime) -> None:
    """A block with one more dimension is expanded later; what is above by then may be finished or not."""
    run = start(now, a_dynamic("D"), a_dynamic("E", "D"), a_block("mid", "D"), a_block("low", "mid", "E"))
    special = {"D": fan(2), "E:0": fan(2), "E:1": fan(1)}

    done = drive(run, now, outcomes(special))

    assert set(done) == {"D", "E:0", "E:1", "mid:0", "mid:1", "low:0:0", "low:0:1", "low:1:0"}
    assert run.block_runs.get(block_uuid="low:0:1").upstream == ["mid:0", "E:0"]
    assert set(run.block_runs.get(block_uuid="mid:0").downstream) == {"low:0:0", "low:0:1"}
    assert run.status == "completed"


def test_a_plain_parent_holds_every_member_up(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("slow"), a_block("child", "D", "slow"))

    done = drive(run, now, outcomes({"D": fan(2)}))

    assert done == ["D", "slow", "child:0", "child:1"]
    assert run.block_runs.get(block_uuid="child:0").upstream == ["D", "slow"]


def test_a_failed_member_fails_its_block_and_ends_the_run(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("total", "child"))

    done = drive(run, now, outcomes({"D": fan(4), "child:1": FAILED}))

    assert done == ["D", "child:0", "child:1"] or done == ["D", "child:0", "total:0", "child:1"]
    assert run.status == "failed"
    found = statuses(run)
    assert (found["child"], found["child:1"], found["child:2"]) == ("failed", "failed", "cancelled")
    assert run.reason == "failed: child (of 4: 1 failed, 2 cancelled)"
    assert not run.block_runs.filter(completed_at=None).exists()


def test_where_blocks_may_fail_only_what_comes_after_the_failed_member_does_not_run(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("after", "child"), may_fail=True)

    drive(run, now, outcomes({"D": fan(3), "child:1": FAILED}))

    assert ended_as(run, "upstream_failed") == {"after:1"}
    assert ended_as(run, "failed") == {"child", "child:1", "after"}
    assert run.status == "failed"
    assert run.block_runs.get(block_uuid="after").reason == "of 3: 1 upstream failed"


def test_a_member_whose_condition_is_not_met_is_skipped_alone(now: datetime) -> None:
    run = start(
        now,
        a_dynamic("D"),
        a_block("child", "D"),
        a_block("after", "child", reduce_output=True),
        a_block("end", "after"),
    )

    done = drive(run, now, outcomes({"D": fan(2), "child:0": REFUSED}))

    assert done == ["D", "child:0", "child:1", "after:1", "end"]
    assert ended_as(run, "condition_failed") == {"child:0", "after:0"}
    assert run.status == "completed"


def test_a_block_all_of_whose_members_are_skipped_is_skipped(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D", reduce_output=True), a_block("end", "child"))

    drive(run, now, outcomes({"D": fan(2), "child:0": REFUSED, "child:1": REFUSED}))

    assert ended_as(run, "condition_failed") == {"child", "child:0", "child:1", "end"}
    assert run.status == "completed"


@pytest.mark.parametrize(("outcome", "below"), [(FAILED, "upstream_failed"), (REFUSED, "condition_failed")])
def test_without_its_dynamic_block_a_child_never_runs_whatever_its_rule(
    now: datetime, outcome: Any, below: str
) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D", trigger_rule="all_done"), may_fail=True)

    done = drive(run, now, outcomes({"D": outcome}))

    assert done == ["D"]
    assert statuses(run)["child"] == below


def test_trigger_rules_hold_for_each_member(now: datetime) -> None:
    rescue = a_block("rescue", "child", trigger_rule="one_failed")
    run = start(now, a_dynamic("D"), a_block("child", "D"), rescue, a_block("end", "rescue"), may_fail=True)

    done = drive(run, now, outcomes({"D": fan(3), "child:1": FAILED}))

    assert [uuid for uuid in done if uuid[:3] in ("res", "end")] == ["rescue:1", "end:1"]
    assert ended_as(run, "condition_failed") == {"rescue:0", "rescue:2", "end:0", "end:2"}
    assert run.status == "failed"


def test_a_consumer_may_ask_for_failures_of_the_whole_block(now: datetime) -> None:
    run = start(
        now, a_dynamic("D"), a_block("child", "D", reduce_output=True), a_block("mop", "child", trigger_rule="all_done")
    )

    done = drive(run, now, outcomes({"D": fan(3), "child:1": FAILED}))

    assert done == ["D", "child:0", "child:1", "child:2", "mop"]
    assert (run.status, statuses(run)["child"]) == ("failed", "failed")


def test_a_limit_of_blocks_holds_for_members_and_not_for_the_block_that_waits_for_them(now: datetime) -> None:
    limit = {"concurrency_config": {"block_run_limit": 2}}
    run = start(now, a_dynamic("D"), a_block("child", "D"), **limit)
    most = 0

    def look(uuid: str) -> Any:
        nonlocal most
        most = max(most, run.block_runs.filter(status__in=("queued", "running")).count())
        return fan(5) if uuid == "D" else COMPLETED

    done = drive(run, now, look)

    assert len(done) == 6
    assert most == 2
    assert run.status == "completed"


def test_more_items_than_are_allowed_fail_the_block_with_the_reason(now: datetime, settings: Any) -> None:
    settings.DYNAMIC_BLOCK_LIMIT = 3
    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("after", "child"))

    drive(run, now, outcomes({"D": fan(4)}))

    child = run.block_runs.get(block_uuid="child")
    assert (child.status, child.error["type"]) == ("failed", "TooManyItems")
    assert "make 4 runs of this block; at most 3" in child.error["message"]
    assert run.status == "failed"
    assert run.block_runs.count() == 3, "no member was made"


def test_a_completed_member_costs_the_same_among_few_and_among_many(
    now: datetime, django_assert_max_num_queries: Any
) -> None:
    from runs import lifecycle
    from tests.runs.outcomes import claim, make_owner

    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("after", "child"))
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "D", worker, now), fan(500), moment=now)
    member = claim(run, "child:7", worker, now)

    with django_assert_max_num_queries(12):
        following = lifecycle.finish_block(member, COMPLETED, moment=now, next_for=worker)

    assert isinstance(following, BlockRun)
    assert following.block_uuid == "after:7"


def test_five_hundred_failing_members_are_looked_at_one_by_one(
    now: datetime, django_assert_max_num_queries: Any
) -> None:
    from runs import lifecycle
    from tests.runs.outcomes import claim, make_owner

    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("after", "child"), may_fail=True)
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "D", worker, now), fan(500), moment=now)
    member = claim(run, "child:7", worker, now)

    with django_assert_max_num_queries(20):
        lifecycle.finish_block(member, FAILED, moment=now)

    assert statuses(run)["after:7"] == "upstream_failed"
    assert run.block_runs.get(block_uuid="child").pending == 499
    assert run.block_runs.get(block_uuid="after").pending == 499
