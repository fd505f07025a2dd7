"""Block runs ended by hand: from every state, with what follows from it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipelines.graph import Block
from pipelines.refusal import Refusal
from runs import lifecycle
from runs.admission import NotAdmitted
from runs.models import BlockRun, Origin, PipelineRun
from runs.retrying import marking
from runs.states import BlockStatus, RunStatus
from tests.factories import make_block_run, make_pipeline, make_run
from tests.runs.outcomes import COMPLETED, FAILED, NOT_YET, REFUSED, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
FORK = [("a",), ("b", "a"), ("c", "b"), ("x",), ("y", "x")]


def start(
    moment: datetime, blocks: Any = (("load",), ("clean", "load"), ("save", "clean")), **fields: Any
) -> PipelineRun:
    settings = fields.pop("settings", {})
    pipeline = make_pipeline(blocks=blocks, **settings)
    return lifecycle.create_run(pipeline, moment=moment, origin=Origin.MANUAL, **fields)


def block(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def mark(run: PipelineRun, uuid: str, outcome: str, moment: datetime, reason: str = "known") -> BlockRun:
    return marking.mark(block(run, uuid), outcome, moment=moment, by="ada", reason=reason)


def failing(*uuids: str) -> Callable[[str], Any]:
    return lambda uuid: FAILED if uuid in uuids else COMPLETED


# --- from every state ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", marking.MARKS)
@pytest.mark.parametrize("status", BlockStatus)
def test_a_block_run_is_marked_from_every_state_by_legal_moves(
    now: datetime, status: BlockStatus, outcome: str
) -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": status})
    wanted = marking.MARKS[outcome]
    if status == wanted:
        with pytest.raises(Refusal, match="already"):
            mark(run, "clean", outcome, now)
        return

    row = mark(run, "clean", outcome, now + SECOND)

    stored = block(run, "clean")
    assert stored.status == row.status == wanted
    assert (stored.completed_at, stored.reason) == (now + SECOND, f"marked {outcome} by ada: known")
    assert stored.output == []


def test_one_that_runs_is_taken_from_its_worker(now: datetime) -> None:
    run = start(now)
    held = claim(run, "load", make_owner(now), now)

    row = mark(run, "load", "completed", now + SECOND)
    lifecycle.finish_block(held, FAILED, moment=now + SECOND)

    assert (row.attempt, row.worker_id) == (2, None)
    assert statuses(run)["load"] == "completed"
    kept = row.attempts.get()
    assert (kept.number, kept.ended_as, kept.host) == (1, "cancelled", "here")


def test_one_that_is_queued_is_not_done_any_more(now: datetime) -> None:
    run = start(now)
    queued = block(run, "load")

    mark(run, "load", "completed", now)

    assert lifecycle.claim(queued.pk, queued.attempt, make_owner(now), now) is None
    assert drive(run, now) == ["clean", "save"]


def test_one_that_waits_to_be_tried_again_has_no_error_any_more(now: datetime) -> None:
    run = start(now, settings={"retry_config": {"retries": 3}})
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)

    row = mark(run, "load", "completed", now + SECOND)

    assert (row.error, row.next_attempt_at, row.started_at, row.attempt) == ({}, None, None, 2)
    assert row.attempts.get().ended_as == "failed"


def test_a_sensor_that_waits_is_marked(now: datetime) -> None:
    run = start(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), NOT_YET, moment=now)

    mark(run, "load", "completed", now)

    assert drive(run, now) == ["clean", "save"]


def test_a_worker_that_was_faster_is_noticed(now: datetime) -> None:
    run = start(now)
    stale = block(run, "load")
    claim(run, "load", make_owner(now), now)

    row = marking.end(run, stale, BlockStatus.COMPLETED, now, "marked")

    assert (row.status, row.attempt) == ("completed", 2)


def test_failed_by_hand_says_so(now: datetime) -> None:
    run = start(now)

    row = mark(run, "load", "failed", now, "the data is wrong")

    run.refresh_from_db()
    assert row.error == {"type": "MarkedFailed", "message": "marked failed by ada: the data is wrong"}
    assert (run.status, run.reason) == (RunStatus.FAILED, "failed: load")


def test_what_is_after_a_skipped_block_is_skipped(now: datetime) -> None:
    run = start(now)

    mark(run, "load", "skipped", now)

    run.refresh_from_db()
    assert set(statuses(run).values()) == {"condition_failed"}
    assert run.status == RunStatus.COMPLETED


# --- a finished run -----------------------------------------------------------------------------------------------


def test_a_failed_run_goes_on_after_its_failed_block_was_marked_completed(now: datetime) -> None:
    run = start(now)
    drive(run, now, failing("clean"))

    mark(run, "clean", "completed", now + SECOND)

    run.refresh_from_db()
    assert (run.status, run.attempt, run.started_at) == (RunStatus.RUNNING, 2, now + SECOND)
    assert drive(run, now + SECOND) == ["save"]
    assert run.status == RunStatus.COMPLETED


def test_what_was_cancelled_because_of_the_failure_goes_on_too(now: datetime) -> None:
    run = start(now, FORK)
    lifecycle.finish_block(claim(run, "a", make_owner(now), now), FAILED, moment=now)
    assert [status for _, status in sorted(statuses(run).items())] == [
        "failed",
        "upstream_failed",
        "upstream_failed",
        "cancelled",
        "cancelled",
    ]

    mark(run, "a", "completed", now)

    assert sorted(drive(run, now)) == ["b", "c", "x", "y"]
    assert run.status == RunStatus.COMPLETED


def test_another_failure_still_fails_the_run(now: datetime) -> None:
    run = start(now, FORK, settings={})
    PipelineRun.objects.update(allow_blocks_to_fail=True)
    drive(run, now, failing("a", "x"))

    mark(run, "a", "completed", now)

    assert drive(run, now) == [] or statuses(run)["y"] == "upstream_failed"
    assert run.status == RunStatus.FAILED


def test_marked_as_the_last_thing_the_run_ends_as_its_blocks_say(now: datetime) -> None:
    run = start(now)
    drive(run, now, failing("save"))

    mark(run, "save", "skipped", now)

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPLETED, "")


def test_a_completed_run_fails_when_a_block_of_it_is_marked_failed(now: datetime) -> None:
    run = start(now)
    drive(run, now)

    mark(run, "clean", "failed", now)

    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert statuses(run) == {"load": "completed", "clean": "failed", "save": "completed"}


def test_what_was_marked_before_stays_marked(now: datetime) -> None:
    run = start(now, [("a",), ("b", "a"), ("c", "a")])
    drive(run, now, failing("a"))
    mark(run, "b", "skipped", now)

    mark(run, "a", "completed", now)

    assert statuses(run)["b"] == "condition_failed"
    assert drive(run, now) == ["c"]


def test_a_block_that_decided_for_itself_stays_as_it_is(now: datetime) -> None:
    run = start(now, [("a",), ("b", "a")])
    drive(run, now, lambda uuid: REFUSED if uuid == "b" else COMPLETED)

    mark(run, "a", "skipped", now)

    assert block(run, "b").attempt == 1


def test_a_run_without_room_is_not_opened_again(now: datetime) -> None:
    run = start(now, settings={"concurrency_config": {"pipeline_run_limit": 1}})
    drive(run, now, failing("clean"))
    lifecycle.create_run(run.pipeline, moment=now, origin=Origin.MANUAL)

    with pytest.raises(NotAdmitted):
        mark(run, "clean", "completed", now)

    assert (statuses(run)["clean"], block(run, "clean").attempt) == ("failed", 1)


def test_a_run_that_waits_for_its_turn_goes_on_waiting(now: datetime) -> None:
    first = start(now, settings={"concurrency_config": {"pipeline_run_limit": 1}})
    second = lifecycle.create_run(first.pipeline, moment=now, origin=Origin.MANUAL)

    mark(second, "load", "completed", now)
    second.refresh_from_db()
    assert second.status == RunStatus.INITIAL
    drive(first, now)
    lifecycle.start_held(first.pipeline_id, now)

    assert drive(second, now) == ["clean", "save"]


# --- what there is to say -----------------------------------------------------------------------------------------


def test_the_mark_is_an_event_with_who_and_why(now: datetime) -> None:
    run = start(now)

    mark(run, "load", "completed", now, "  was loaded by hand ")

    event = run.events.get(kind="marked")
    assert event.message == "was queued, is completed by ada: was loaded by hand"
    assert event.data == {"by": "ada", "reason": "was loaded by hand", "was": "queued", "outcome": "completed"}


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "no\x00pe"])
def test_a_mark_needs_a_reason(now: datetime, reason: str) -> None:
    run = start(now)

    with pytest.raises(Refusal, match="needs a reason"):
        mark(run, "load", "completed", now, reason)

    assert statuses(run)["load"] == "queued"


def test_an_unknown_mark_is_refused(now: datetime) -> None:
    with pytest.raises(Refusal, match="cannot be marked 'done'"):
        mark(start(now), "load", "done", now)


def test_a_callback_is_not_marked(now: datetime) -> None:
    run = start(now)
    row = run.block_runs.create(block_uuid="tell@load", type="callback", role="callback", status="failed")

    with pytest.raises(Refusal, match="is a callback"):
        marking.mark(row, "completed", moment=now, by="ada", reason="why not")


def test_whoever_takes_the_output_of_a_marked_block_gets_none_of_the_old(now: datetime) -> None:
    run = start(now)
    drive(run, now)

    mark(run, "load", "failed", now)
    mark(run, "load", "completed", now)

    assert block(run, "load").output == []


def test_members_of_a_marked_block_are_ended(now: datetime) -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.WAITING})
    group = block(run, "clean")
    BlockRun.objects.filter(pk=group.pk).update(members_total=3)
    entry = Block(uuid="clean", name="clean", type="transformer")
    for number, status in enumerate((BlockStatus.COMPLETED, BlockStatus.RUNNING, BlockStatus.QUEUED)):
        data = {**vars(entry), "uuid": f"clean:{number}", "upstream": [], "downstream": []}
        make_block_run(run, data, status, role="member", parent=group)

    mark(run, "clean", "completed", now)

    found = dict(run.block_runs.filter(role="member").values_list("block_uuid", "status"))
    assert found == {"clean:0": "completed", "clean:1": "cancelled", "clean:2": "cancelled"}
