"""Why is this run not running? A table of situations, each with its answer: no run is without one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.test import Client

from runs import admission, lifecycle
from runs.limits import Answer, Gate, Limits
from runs.models import BlockRun, Origin, PipelineRun, WorkerKind
from runs.planning import RunSettings
from runs.reasons.explanations import Check
from runs.reasons.why import why
from runs.reasons.why_blocks import ORDER
from runs.states import BLOCK_FINISHED, BlockStatus, RunStatus
from tests.factories import NOON, make_client, make_pipeline, make_run, make_worker, text_of
from tests.runs import fans
from tests.runs.outcomes import COMPLETED, claim, make_owner

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LIMITED = {"pipeline_run_limit_all_triggers": 1}


@pytest.fixture
def crew() -> None:
    """A scheduler and a worker who is free."""
    make_worker(WorkerKind.SCHEDULER, last_loop_at=NOON - SECOND)
    make_worker(lease_until=NOON + 20 * SECOND, pid=7)


def started(pipeline: Any = None, **fields: Any) -> PipelineRun:
    return lifecycle.create_run(pipeline or make_pipeline(), moment=NOON, origin=Origin.MANUAL, **fields)


def checks(run: PipelineRun, moment: datetime = NOON) -> dict[str, Check]:
    return {check.name: check for check in why(run, moment).checks}


def change(run: PipelineRun, uuid: str, **fields: Any) -> None:
    BlockRun.objects.filter(pipeline_run=run, block_uuid=uuid).update(**fields)


# --- runs that have not been started ----------------------------------------------------------------------------------


def test_a_run_behind_a_limit_names_the_run_in_the_way_and_when_it_should_be_over(crew: None) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    for minutes in (10, 12, 40):
        make_run(pipeline, status=RunStatus.COMPLETED, completed_at=NOON + minutes * MINUTE)
    first, second = started(pipeline), started(pipeline)

    found = why(second, NOON + MINUTE)

    assert found.summary == "The limit was reached: 1 run of the pipeline at a time."
    assert not found.is_running
    limit = checks(second)["limit of the pipeline"]
    assert (limit.passed, [link.url for link in limit.blockers]) == (False, [f"/runs/{first.pk}/"])
    assert limit.clears_at == NOON + 12 * MINUTE


def test_when_a_run_is_overdue_already_nobody_says_when_it_ends(crew: None) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    make_run(pipeline, status=RunStatus.COMPLETED, completed_at=NOON + MINUTE)
    started(pipeline)

    assert checks(started(pipeline), NOON + 2 * MINUTE)["limit of the pipeline"].clears_at is None


def test_every_gate_is_told_in_its_order_open_ones_too(crew: None) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    settings = RunSettings(trigger_id=7, limits=Limits(overlap="wait_all"))
    started(pipeline)

    found = why(started(pipeline, settings=settings), NOON)

    assert [(check.name, check.passed) for check in found.checks] == [
        ("window", True),
        ("overlap", True),
        ("limit of the pipeline", False),
        ("priority", True),
        ("executor", True),
        ("scheduler", True),
        ("worker", True),
    ]


def test_the_runs_that_go_first_are_named(crew: None) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    started(pipeline)
    urgent = started(pipeline, settings=RunSettings(priority=-1))
    early, last = started(pipeline), started(pipeline)
    started(pipeline)

    ahead = checks(last)["priority"]

    assert ahead.detail == f"2 runs of this pipeline go first: run {urgent.pk}, run {early.pk}."
    assert [link.id for link in ahead.blockers] == [urgent.pk, early.pk]


def test_what_is_held_from_above_says_until_when(crew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate("window", Answer.WAIT, "Held by the maintenance window night.", until=NOON + MINUTE)
    monkeypatch.setattr(admission, "HOLDS", [lambda moment: lambda run: gate])

    found = why(started(), NOON)

    assert (found.summary, found.checks[0].clears_at) == (gate.reason, NOON + MINUTE)


def test_a_run_whose_way_is_free_is_about_to_be_started_if_somebody_looks(crew: None) -> None:
    run = make_run(status=RunStatus.INITIAL)

    assert why(run, NOON).summary.startswith("Nothing stands in its way: the scheduler starts it")
    assert (
        "nobody looks. No scheduler is alive: the last loop was completed 5 min ago"
        in why(run, NOON + 5 * MINUTE).summary
    )


def test_an_executor_that_is_not_there_is_told(crew: None) -> None:
    run = make_run(status=RunStatus.INITIAL, executor="moon")

    assert "There is no executor 'moon'" in checks(run)["executor"].detail


# --- runs of which nothing runs ---------------------------------------------------------------------------------------


def at_work(run: PipelineRun) -> None:
    worker = make_worker(lease_until=NOON + 20 * SECOND, pid=9)
    change(run, "load", status=BlockStatus.RUNNING, worker=worker, started_at=NOON - MINUTE)


def lost(run: PipelineRun) -> None:
    worker = make_worker(lease_until=NOON - SECOND, pid=9)
    change(run, "load", status=BlockStatus.RUNNING, worker=worker, started_at=NOON - MINUTE)


def without_worker(run: PipelineRun) -> None:
    change(run, "load", status=BlockStatus.RUNNING, worker=None)


def queued(run: PipelineRun) -> None:
    other = make_run(make_pipeline("other"), blocks={"load": BlockStatus.QUEUED})
    BlockRun.objects.filter(pipeline_run=other).update(priority=-1)
    change(run, "load", status=BlockStatus.QUEUED, queued_at=NOON - MINUTE)


def retrying(run: PipelineRun) -> None:
    reason = "attempt 1 failed; tries again"
    change(run, "load", status=BlockStatus.WAITING, next_attempt_at=NOON + MINUTE, retries=1, reason=reason)


def poking(run: PipelineRun) -> None:
    fields = {"type": "sensor", "pokes": 3, "reason": "not true yet; looks again"}
    change(run, "load", status=BlockStatus.WAITING, next_attempt_at=NOON + MINUTE, **fields)


def nothing_going_on(run: PipelineRun) -> None:
    change(run, "load", status=BlockStatus.COMPLETED)


def all_done(run: PipelineRun) -> None:
    run.block_runs.update(status=BlockStatus.COMPLETED)


def without_blocks(run: PipelineRun) -> None:
    run.block_runs.all().delete()


@pytest.mark.parametrize(
    ("situation", "answer"),
    [
        (at_work, "It is running: load is at work."),
        (lost, "Block load: Its worker, here:9, was lost; the scheduler's sweep gives the block to another one."),
        (without_worker, "Block load: Its worker was lost; the scheduler's sweep"),
        (
            queued,
            "Block load: It waits for a worker since 2025-03-02 11:59:00 UTC, number 2 in the queue. 1 of 1 worker",
        ),
        (retrying, "Block load: It is to be tried again: attempt 1 failed; tries again. The next attempt is at 2025-"),
        (
            poking,
            "Block load: Its sensor is not true yet; it has looked 3 times. The next attempt is at 2025-03-02 12:01",
        ),
        (
            nothing_going_on,
            "None of its blocks is queued, at work or waiting; the next is queued by the scheduler's next",
        ),
        (all_done, "All its blocks are finished; it is ended by the scheduler's next sweep"),
        (without_blocks, "All its blocks are finished; it is ended by"),
    ],
)
def test_a_running_run_says_what_it_does_or_waits_for(
    crew: None, situation: Callable[[PipelineRun], None], answer: str
) -> None:
    run = make_run(status=RunStatus.RUNNING)
    situation(run)

    found = why(run, NOON)

    assert found.summary.startswith(answer), found.summary
    assert found.is_running is (situation is at_work)


def test_a_block_names_the_blocks_above_it_that_are_not_finished(crew: None) -> None:
    run = make_run(
        make_pipeline(blocks=[("a",), ("b",), ("c",), ("d", "a", "b", "c")]), blocks={"a": BlockStatus.QUEUED}
    )
    change(run, "b", status=BlockStatus.COMPLETED)

    check = checks(run)["block d"]

    assert check.detail == "It comes after a (queued), c (initial)."
    assert [link.url for link in check.blockers] == [f"/runs/{run.pk}/?block=a", f"/runs/{run.pk}/?block=c"]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"block_run_limit": 1}, "It is ready, but the run is limited to 1 block at a time: a."),
        ({"in_one_process": True}, "It is ready, but the run is run in one process: a."),
        ({"block_run_limit": 2}, "It is ready: the scheduler's next sweep queues it."),
    ],
)
def test_a_ready_block_waits_for_a_slot_of_its_run(crew: None, limit: dict[str, Any], reason: str) -> None:
    run = make_run(make_pipeline(blocks=[("a",), ("b",)]), blocks={"a": BlockStatus.QUEUED}, **limit)

    assert checks(run)["block b"].detail == reason


def test_a_queue_without_free_workers_says_what_they_are_busy_with() -> None:
    worker = make_worker(lease_until=NOON + 20 * SECOND)
    other = make_run(make_pipeline("other"))
    change(other, "load", status=BlockStatus.RUNNING, worker=worker, started_at=NOON - MINUTE)

    run = started()
    found = why(run, NOON)

    assert f"The only worker is busy with load of run {other.pk}, the longest since 11:59:00 UTC." in found.summary
    assert [link.url for link in checks(run)["worker"].blockers] == [f"/runs/{other.pk}/?block=load"]


def test_a_queue_without_workers_says_so() -> None:
    assert "No worker is alive. manage.py start" in why(started(), NOON).summary


def test_workers_that_can_start_nothing_say_why() -> None:
    trouble = {"executor": "local_python", "reason": "Cannot allocate memory", "since": NOON.isoformat()}
    make_worker(lease_until=NOON + 20 * SECOND, trouble=trouble)

    said = why(started(), NOON).summary

    assert "No worker can start a block: a worker on here cannot start blocks: Cannot allocate memory." in said


def test_an_overdue_retry_without_scheduler_says_who_is_missing() -> None:
    run = make_run()
    retrying(run)

    summary = why(run, NOON + 5 * MINUTE).summary

    assert "The next attempt was due at 2025-03-02 12:01:00 UTC. No scheduler has ever run." in summary


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_finished_run_says_that_it_is_over(status: RunStatus) -> None:
    found = why(make_run(status=status, reason="failed: load"), NOON)

    assert found.summary == f"It is over: {status} at 2025-03-02 12:00:00 UTC. failed: load"


def test_no_running_run_is_without_an_explanation() -> None:
    run = make_run()
    for load, clean in product([*ORDER, BlockStatus.COMPLETED], [*ORDER, BlockStatus.FAILED]):
        change(run, "load", status=load)
        change(run, "clean", status=clean)

        found = why(run, NOON)

        assert found.summary
        assert all(check.detail for check in found.checks)
        assert found.shut is not None
        unfinished = {f"block {row.block_uuid}" for row in run.block_runs.exclude(status__in=BLOCK_FINISHED)}
        assert unfinished <= {check.name for check in found.checks}


# --- where it is shown ------------------------------------------------------------------------------------------------


def test_the_api_tells_each_condition_with_its_blockers(crew: None) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    first, second = started(pipeline), started(pipeline)

    told = make_client().get(f"/api/v1/pipeline_runs/{second.pk}/why").json()

    assert (told["is_running"], told["summary"]) == (False, "The limit was reached: 1 run of the pipeline at a time.")
    blocker = {"kind": "run", "id": str(first.pk), "label": f"run {first.pk}", "url": f"/runs/{first.pk}/"}
    assert [check["blockers"] for check in told["checks"] if check["name"] == "limit of the pipeline"] == [[blocker]]


def test_the_api_refuses_what_it_does_not_know() -> None:
    client = make_client()

    assert client.get("/api/v1/pipeline_runs/4711/why").status_code == 404
    assert client.get(f"/api/v1/pipeline_runs/{make_run().pk}/why?x=1").status_code == 400
    assert client.post(f"/api/v1/pipeline_runs/{make_run().pk}/why").status_code == 405


def test_the_page_of_a_run_that_waits_says_why_with_a_link(page: Client) -> None:
    pipeline = make_pipeline(concurrency_config=LIMITED)
    first, second = started(pipeline), started(pipeline)

    text = text_of(page.get(f"/runs/{second.pk}/"))

    assert "Why is it not running?" in text
    assert f'<a class="chip" href="/runs/{first.pk}/">run {first.pk}</a>' in text


def test_the_page_of_a_run_that_is_over_or_at_work_does_not_ask(page: Client) -> None:
    busy = make_run()
    worker = make_worker(lease_until=NOON + timedelta(days=36500))
    change(busy, "load", status=BlockStatus.RUNNING, worker=worker)
    over = make_run(status=RunStatus.COMPLETED)

    for run in (busy, over):
        assert "Why is it not running?" not in text_of(page.get(f"/runs/{run.pk}/"))


def test_a_block_that_runs_many_times_says_what_it_waits_for(now: datetime) -> None:
    run = fans.start(now, fans.a_dynamic("D"), fans.a_block("child", "D"))
    before = {check.name: check.detail for check in why(run, now).checks}
    assert before["block child"] == "It waits for the items of D."

    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "D", worker, now), fans.fan(1200), moment=now)
    lifecycle.finish_block(claim(run, "child:5", worker, now), COMPLETED, moment=now)

    after = why(run, now)
    (told,) = [check.detail for check in after.checks if check.name == "block child"]
    assert len(after.checks) == 6, "the block, three of its members, workers and scheduler"
    assert told == "It waits for 1,199 of its 1,200 members: 1,199 queued."
