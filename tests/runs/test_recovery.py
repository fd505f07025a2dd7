"""What was lost is found again: lost workers, due timers, overdue and stuck runs."""

from datetime import datetime, timedelta

import pytest

from runs import lifecycle, recovery
from runs.lifecycle import create_run
from runs.models import BlockRun, Origin, PipelineRun, Worker, WorkerKind
from runs.planning import RunSettings
from runs.states import BlockStatus, RunStatus
from runs.working import workers
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=20)


@pytest.fixture
def run(now: datetime) -> PipelineRun:
    return create_run(make_pipeline(), moment=now, origin=Origin.MANUAL)


def test_a_block_of_a_lost_worker_is_queued_again_and_its_old_owner_fenced(run: PipelineRun, now: datetime) -> None:
    held = claim(run, "load", make_owner(now), now)

    assert recovery.sweep(now + LEASE + timedelta(seconds=1)) == 1

    row = run.block_runs.get(block_uuid="load")
    assert (row.status, row.attempt, row.losses, row.retries, row.worker_id) == (BlockStatus.QUEUED, 2, 1, 0, None)
    lifecycle.finish_block(held, COMPLETED, moment=now)
    assert statuses(run)["load"] == "queued"
    assert run.events.filter(kind="worker_lost").count() == 1


def test_a_block_under_a_good_lease_is_left_alone(run: PipelineRun, now: datetime) -> None:
    worker = make_owner(now)
    claim(run, "load", worker, now)
    workers.renew(worker, now + timedelta(seconds=15))

    assert recovery.sweep(now + timedelta(seconds=30)) == 0


def test_a_block_that_kills_its_workers_fails_after_three(run: PipelineRun, now: datetime) -> None:
    moment = now
    for _ in range(3):
        claim(run, "load", make_owner(moment), moment)
        moment += LEASE + timedelta(seconds=1)
        recovery.sweep(moment)

    row = run.block_runs.get(block_uuid="load")
    run.refresh_from_db()
    assert (row.status, row.losses) == (BlockStatus.FAILED, 2)
    assert row.error["message"] == "its worker died 3 times while the block ran"
    assert run.status == RunStatus.FAILED


def test_a_waiting_block_is_queued_when_its_time_has_come(run: PipelineRun, now: datetime) -> None:
    due = now + timedelta(seconds=5)
    BlockRun.objects.filter(pipeline_run=run, block_uuid="load").delete()
    row = run.block_runs.get(block_uuid="clean")
    BlockRun.objects.filter(pk=row.pk).update(next_attempt_at=due)
    run.block_runs.filter(pk=row.pk).move_to(BlockStatus.INITIAL, BlockStatus.QUEUED)
    claim(run, "clean", make_owner(now), now)
    run.block_runs.filter(pk=row.pk).move_to(BlockStatus.RUNNING, BlockStatus.WAITING)

    assert recovery.due_timers(now) == due
    assert statuses(run)["clean"] == "waiting"
    assert recovery.due_timers(due) is None
    assert statuses(run)["clean"] == "queued"


def test_the_next_timer_is_also_the_end_of_a_runs_time(now: datetime) -> None:
    settings = RunSettings(timeout=timedelta(minutes=1))
    run = create_run(make_pipeline(), moment=now, origin=Origin.MANUAL, settings=settings)

    assert recovery.due_timers(now) == now + timedelta(minutes=1)
    assert recovery.sweep(now + timedelta(minutes=1)) == 1
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED


def test_a_run_whose_last_block_was_finished_without_it_is_finished(run: PipelineRun, now: datetime) -> None:
    run.block_runs.move_to(BlockStatus.QUEUED, BlockStatus.CANCELLED, completed_at=now)
    run.block_runs.move_to(BlockStatus.INITIAL, BlockStatus.CANCELLED, completed_at=now)

    assert recovery.sweep(now) == 1

    run.refresh_from_db()
    assert (run.status, run.completed_at) == (RunStatus.CANCELLED, now)


def test_a_run_with_a_ready_block_that_nobody_queued_goes_on(run: PipelineRun, now: datetime) -> None:
    claim(run, "load", make_owner(now), now)
    run.block_runs.move_to(BlockStatus.RUNNING, BlockStatus.COMPLETED, completed_at=now)  # and no more: as in a crash

    assert recovery.sweep(now) == 1

    assert statuses(run)["clean"] == "queued"
    assert drive(run, now) == ["clean", "save"]


def test_a_run_that_waited_for_a_limit_is_started_by_the_sweep(now: datetime) -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit": 1})
    first = create_run(pipeline, moment=now, origin=Origin.MANUAL)
    second = create_run(pipeline, moment=now, origin=Origin.MANUAL)
    assert recovery.sweep(now) == 0
    drive(first, now, lambda _: FAILED)

    recovery.sweep(now)

    second.refresh_from_db()
    assert second.status == RunStatus.RUNNING


def test_a_pipeline_with_many_held_runs_does_not_hide_another(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "BATCH", 2)
    full, free = (make_pipeline(uuid, concurrency_config={"pipeline_run_limit": 1}) for uuid in ("full", "free"))
    for _ in range(4):
        create_run(full, moment=now, origin=Origin.MANUAL)
    first, second = (create_run(free, moment=now, origin=Origin.MANUAL) for _ in range(2))
    drive(first, now)

    recovery.start_held(now)

    second.refresh_from_db()
    assert second.status == RunStatus.RUNNING


def test_all_is_well_costs_few_queries(
    run: PipelineRun, now: datetime, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    with django_assert_max_num_queries(5):  # type: ignore[operator]
        assert recovery.sweep(now) == 0


def test_a_dead_worker_of_this_host_is_noticed_at_once(run: PipelineRun, now: datetime) -> None:
    worker = workers.register(WorkerKind.WORKER, now)
    Worker.objects.filter(pk=worker.pk).update(pid=2**22 - 1)  # no process has it
    claim(run, "load", worker, now)

    assert workers.tidy_this_host(now) == 1
    recovery.sweep(now)

    assert statuses(run)["load"] == "queued"


def test_an_idle_worker_is_seen_from_beside_but_its_lease_is_not_renewed(now: datetime) -> None:
    worker = workers.register(WorkerKind.WORKER, now)
    later = now + timedelta(minutes=1)

    assert workers.tidy_this_host(later) == 0

    worker.refresh_from_db()
    assert (worker.seen_at, worker.lease_until) == (later, now + LEASE)
