"""How a stream is started again: when, how often, and what is kept of its attempts."""

from datetime import timedelta
from typing import Any

import pytest

from executors.base import Failure, Outcome, Verdict
from runs import lifecycle, logs, recovery, restarts
from runs.models import BlockRun, PipelineRun
from runs.restarts import counted, delay_before_restart
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_worker

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


# --- when -------------------------------------------------------------------------------------------------------------


def test_the_delay_doubles_from_a_second_to_five_minutes() -> None:
    delays = [delay_before_restart({}, used, has_failed=True) for used in (0, 1, 2, 8, 9, 1000)]

    assert delays == [each * SECOND for each in (1, 2, 4, 256, 300, 300)]


def test_retry_config_overrides_the_delays() -> None:
    config = {"delay": 3, "max_delay": 10, "exponential_backoff": True}

    assert [delay_before_restart(config, used, has_failed=True) for used in (0, 1, 2)] == [
        each * SECOND for each in (3, 6, 10)
    ]


def test_retries_limit_the_failures_in_a_row() -> None:
    config = {"retries": 2}

    assert delay_before_restart(config, 1, has_failed=True) == 2 * SECOND
    assert delay_before_restart(config, 2, has_failed=True) is None


def test_a_source_that_ends_is_no_failure_and_is_started_again_for_ever() -> None:
    assert delay_before_restart({"retries": 0}, 5, has_failed=False) == 32 * SECOND


@pytest.mark.parametrize(("lived", "used"), [(MINUTE, 7), (10 * MINUTE - SECOND, 7), (10 * MINUTE, 0)])
def test_ten_minutes_of_health_begin_the_count_anew(lived: timedelta, used: int) -> None:
    assert counted(7, NOON, NOON + lived) == used


# --- in the database --------------------------------------------------------------------------------------------------


def stream_run(**fields: Any) -> PipelineRun:
    pipeline = make_pipeline("feed", blocks=[("source",)])
    run = make_run(pipeline, **fields)
    run.block_runs.update(config={"stream": [{"uuid": "source"}]})
    return run


def at_work(run: PipelineRun, **fields: Any) -> BlockRun:
    """The stream as a worker has claimed it."""
    changes = {"status": BlockStatus.RUNNING, "worker": make_worker(), "started_at": NOON, **fields}
    run.block_runs.update(**changes)
    return run.block_runs.get()


def end(block_run: BlockRun, after: timedelta = SECOND, **fields: Any) -> BlockRun:
    lifecycle.finish_block(block_run, Outcome(**fields), moment=NOON + after)
    block_run.refresh_from_db()
    return block_run


FAILED: dict[str, Any] = {"verdict": Verdict.FAILED, "failure": Failure(type="OSError", message="gone")}


@pytest.mark.django_db
def test_a_stream_that_failed_waits_and_is_started_again() -> None:
    row = end(at_work(stream_run()), **FAILED)

    assert (row.status, row.attempt, row.retries) == (BlockStatus.WAITING, 2, 1)
    assert row.next_attempt_at == NOON + 2 * SECOND
    assert row.reason == "OSError: gone; is started again"
    assert [event.message for event in row.events.all()] == ["source: OSError: gone; started again in 1 s"]
    recovery.due_timers(NOON + 2 * SECOND)
    row.refresh_from_db()
    assert row.status == BlockStatus.QUEUED


@pytest.mark.django_db
def test_a_stream_whose_source_ended_is_started_again_with_what_it_did_kept() -> None:
    row = end(at_work(stream_run()), verdict=Verdict.COMPLETED, result={"stream": {"batches": 3}})

    assert (row.status, row.reason) == (BlockStatus.WAITING, "its source ended; is started again")
    attempt = row.attempts.get()
    assert (attempt.ended_as, attempt.metrics) == ("completed", {"batches": 3})


@pytest.mark.django_db
def test_a_stream_that_lived_long_starts_again_at_once() -> None:
    row = end(at_work(stream_run(), retries=6), after=10 * MINUTE, **FAILED)

    assert (row.retries, row.next_attempt_at) == (1, NOON + 10 * MINUTE + SECOND)


@pytest.mark.django_db
def test_a_run_fails_after_as_many_failures_in_a_row_as_were_asked_for() -> None:
    run = stream_run(retry_config={"retries": 2})

    row = end(at_work(run, retries=2), **FAILED)

    run.refresh_from_db()
    assert (row.status, row.reason, run.status) == (BlockStatus.FAILED, "failed 3 times in a row", RunStatus.FAILED)
    assert {"block_failed", "failed"} <= set(run.events.values_list("kind", flat=True))


@pytest.mark.django_db
def test_what_cannot_run_as_it_is_written_is_not_started_again() -> None:
    failure = Failure(type="BlockError", message="the connector kafka is not built in here")

    row = end(at_work(stream_run()), verdict=Verdict.FAILED, failure=failure)

    assert row.status == BlockStatus.FAILED


@pytest.mark.django_db
def test_a_stream_that_was_sent_a_sigterm_goes_on_elsewhere_at_once() -> None:
    row = end(at_work(stream_run()), verdict=Verdict.COMPLETED, result={"stopped": True})

    assert (row.status, row.attempt, row.retries) == (BlockStatus.QUEUED, 2, 0)


@pytest.mark.django_db
def test_only_the_newest_attempts_restarts_and_logs_are_kept(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(restarts, "ATTEMPTS_KEPT", 3)
    monkeypatch.setattr(restarts, "LOGS_KEPT", 2)
    settings.LOGS_URL, settings.LOG_CAP_BYTES = str(tmp_path), 1000
    row = at_work(stream_run())
    for _ in range(6):
        log = logs.Writer(logs.path(row.pipeline_run_id, row.pk, row.attempt), lambda: NOON)
        log.output("stdout", b"a line\n" * 20)
        log.close()
        with django_capture_on_commit_callbacks(execute=True):
            end(row, **FAILED)
        row = at_work(row.pipeline_run)

    assert row.attempt == 7
    assert list(row.attempts.order_by("number").values_list("number", flat=True)) == [4, 5, 6]
    assert row.events.filter(kind="restart").count() == 3
    assert logs.attempts(row) == [5, 6]
    assert sorted({path.name.split(".")[1] for path in tmp_path.rglob("*.segments")}) == ["5", "6"]


# --- lost workers -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_lost_workers_count_anew_after_ten_minutes_of_health() -> None:
    row = at_work(stream_run(), losses=2)

    recovery.take_back(row, NOON + 11 * MINUTE)

    row.refresh_from_db()
    assert (row.status, row.losses) == (BlockStatus.QUEUED, 1)


@pytest.mark.django_db
def test_a_stream_that_costs_one_worker_after_the_other_fails() -> None:
    row = at_work(stream_run(), losses=2)

    recovery.take_back(row, NOON + MINUTE)

    row.refresh_from_db()
    assert (row.status, row.error["type"]) == (BlockStatus.FAILED, "WorkerLost")
