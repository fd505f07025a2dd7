"""Trigger rules through whole runs: two blocks end in their ways, a third one asks for something of both."""

from collections.abc import Callable
from datetime import datetime

import pytest

from executors.base import Outcome
from pipelines.graph import Block
from runs.lifecycle import RunSettings, create_run
from runs.models import Origin, PipelineRun
from runs.retrying.repeating import retry
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, REFUSED, drive, statuses

pytestmark = pytest.mark.django_db
BRANCHES = ("left", "right")
OUTCOMES = {"completed": COMPLETED, "failed": FAILED, "condition_failed": REFUSED}


def joining(rule: str) -> tuple[Block, ...]:
    """Two roots, a block that joins them by `rule`, and one after that."""
    return (
        *(Block(uuid=name, name=name, type="custom") for name in BRANCHES),
        Block(uuid="join", name="join", type="custom", upstream=BRANCHES, trigger_rule=rule),
        Block(uuid="after", name="after", type="custom", upstream=("join",)),
    )


def run_of(rule: str, left: str, right: str, moment: datetime, *, may_fail: bool = True) -> PipelineRun:
    """A run of such a pipeline, driven to its end."""
    settings = RunSettings(allow_blocks_to_fail=may_fail)
    run = create_run(make_pipeline("joining", joining(rule)), moment=moment, origin=Origin.MANUAL, settings=settings)
    drive(run, moment, outcomes(left, right))
    return run


def outcomes(left: str, right: str) -> Callable[[str], Outcome]:
    return {"left": OUTCOMES[left], "right": OUTCOMES[right], "join": COMPLETED, "after": COMPLETED}.__getitem__


@pytest.mark.parametrize(
    ("rule", "left", "right", "join"),
    [
        ("all_success", "completed", "completed", "completed"),
        ("all_success", "completed", "failed", "upstream_failed"),
        ("all_success", "completed", "condition_failed", "condition_failed"),
        ("all_success", "failed", "condition_failed", "upstream_failed"),
        ("none_failed", "completed", "condition_failed", "completed"),
        ("none_failed", "condition_failed", "condition_failed", "completed"),
        ("none_failed", "completed", "failed", "upstream_failed"),
        ("all_done", "completed", "completed", "completed"),
        ("all_done", "failed", "condition_failed", "completed"),
        ("one_success", "completed", "failed", "completed"),
        ("one_success", "failed", "completed", "completed"),
        ("one_success", "failed", "condition_failed", "upstream_failed"),
        ("one_failed", "completed", "failed", "completed"),
        ("one_failed", "completed", "completed", "condition_failed"),
        ("one_failed", "completed", "condition_failed", "condition_failed"),
        ("all_failed", "failed", "failed", "completed"),
        ("all_failed", "failed", "completed", "condition_failed"),
    ],
)
def test_a_block_runs_when_its_rule_is_met(rule: str, left: str, right: str, join: str, now: datetime) -> None:
    run = run_of(rule, left, right, now)

    found = statuses(run)
    assert (found["join"], found["after"]) == (join, join), "the block after it shares its fate"
    assert run.status == ("failed" if "failed" in (left, right) else "completed")
    assert not run.block_runs.filter(completed_at=None).exists()


@pytest.mark.parametrize("rule", ["all_done", "one_failed", "one_success"])
def test_a_block_that_asks_for_failures_runs_though_blocks_may_not_fail(rule: str, now: datetime) -> None:
    run = run_of(rule, "failed", "completed", now, may_fail=False)

    assert statuses(run)["join"] == "completed"
    assert (run.status, run.reason) == ("failed", "failed: left")


@pytest.mark.parametrize("rule", ["all_success", "none_failed"])
def test_without_such_a_block_the_first_failure_ends_the_run(rule: str, now: datetime) -> None:
    run = run_of(rule, "failed", "completed", now, may_fail=False)

    found = statuses(run)
    assert found["left"] == "failed"
    assert {found["join"], found["after"]} <= {"upstream_failed", "cancelled"}
    assert run.status == "failed"


def test_one_success_does_not_wait_for_the_other(now: datetime) -> None:
    pipeline = make_pipeline("joining", joining("one_success"))
    run = create_run(pipeline, moment=now, origin=Origin.MANUAL)

    done = drive(run, now)

    assert sorted(done) == ["after", "join", "left", "right"]
    assert run.status == "completed"


def test_a_clean_up_that_was_done_is_not_done_again_by_a_retry(now: datetime) -> None:
    run = run_of("one_failed", "failed", "completed", now)

    retry(run, moment=now)
    done = drive(run, now, outcomes("completed", "completed"))

    assert done == ["left"], "what was done stays; nothing has failed any more"
    assert statuses(run)["join"] == "completed"
    assert run.status == "completed"


def test_a_retry_makes_up_for_what_a_failure_kept_from_running(now: datetime) -> None:
    run = run_of("all_success", "failed", "completed", now)

    retry(run, moment=now)
    done = drive(run, now, outcomes("completed", "completed"))

    assert done == ["left", "join", "after"]
    assert run.status == "completed"


def test_a_retry_that_fails_again_ends_as_before(now: datetime) -> None:
    run = run_of("all_success", "failed", "completed", now)
    before = statuses(run)

    retry(run, moment=now)
    drive(run, now, outcomes("failed", "completed"))

    assert statuses(run) == before
    assert (run.status, run.attempt) == ("failed", 2)
    assert run.block_runs.get(block_uuid="left").attempt == 2
    assert run.block_runs.get(block_uuid="right").attempt == 1


def test_a_failed_run_stops_after_the_last_block_that_asked_for_failures(now: datetime) -> None:
    blocks = (
        Block(uuid="load", name="load"),
        Block(uuid="tell", name="tell", upstream=("load",), trigger_rule="one_failed"),
        Block(uuid="after", name="after", upstream=("tell",)),
    )
    run = create_run(make_pipeline("etl", blocks), moment=now, origin=Origin.MANUAL)

    drive(run, now, lambda uuid: FAILED if uuid == "load" else COMPLETED)

    assert statuses(run) == {"load": "failed", "tell": "completed", "after": "cancelled"}
    assert run.status == "failed"


def test_a_block_that_is_not_run_because_of_others_says_so(now: datetime) -> None:
    run = run_of("all_success", "failed", "completed", now)

    reasons = dict(run.block_runs.values_list("block_uuid", "reason"))
    assert (reasons["join"], reasons["after"]) == ("not run: a block before it failed",) * 2
