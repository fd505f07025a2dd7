"""Rows of processes: who is alive, on whose word, and until when."""

import os
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.models import Worker, WorkerKind
from runs.states import BlockStatus
from runs.working import workers
from tests.factories import make_run, make_worker

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture
def gone() -> int:
    """The pid of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def neighbor() -> Iterator[int]:
    """The pid of another process that lives."""
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def test_a_worker_begins_with_a_lease_and_a_scheduler_without(now: datetime) -> None:
    worker, scheduler = (workers.register(kind, now) for kind in (WorkerKind.WORKER, WorkerKind.SCHEDULER))

    assert worker.lease_until == now + 20 * SECOND
    assert scheduler.lease_until is None


def test_whoever_had_the_pid_before_is_gone(now: datetime) -> None:
    before = workers.register(WorkerKind.WORKER, now - timedelta(hours=1))

    workers.register(WorkerKind.WORKER, now)

    before.refresh_from_db()
    assert (before.stopped_at, before.lease_until) == (now, None)


def test_one_process_may_be_scheduler_and_worker(now: datetime) -> None:
    scheduler = workers.register(WorkerKind.SCHEDULER, now)

    workers.register(WorkerKind.WORKER, now)

    scheduler.refresh_from_db()
    assert scheduler.stopped_at is None


def test_a_lease_is_renewed_when_it_is_time_and_not_before(
    now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    worker = workers.register(WorkerKind.WORKER, now)

    with django_assert_num_queries(0):
        workers.renew_if_due(worker, now + 3 * SECOND)
    with django_assert_num_queries(1):
        workers.renew_if_due(worker, now + 4 * SECOND)

    worker.refresh_from_db()
    assert (worker.seen_at, worker.lease_until) == (now + 4 * SECOND, now + 24 * SECOND)


def test_who_retires_is_not_alive_and_holds_no_lease(now: datetime) -> None:
    worker = workers.register(WorkerKind.WORKER, now)

    workers.retire(worker, now)

    assert not Worker.objects.alive(now).exists()
    assert not Worker.objects.expired(now + timedelta(days=1)).exists(), "there is nothing to take from it"


def test_the_lease_of_a_dead_worker_ends_at_once(gone: int, now: datetime) -> None:
    dead = make_worker(host=workers.this_host(), pid=gone, lease_until=now + 20 * SECOND)

    assert workers.tidy_this_host(now) == 1

    dead.refresh_from_db()
    assert dead.stopped_at == now
    assert list(Worker.objects.expired(now)) == [dead]


def test_what_runs_on_another_host_is_not_judged_from_here(gone: int, now: datetime) -> None:
    make_worker(host="elsewhere", pid=gone, lease_until=now + 20 * SECOND)

    assert workers.tidy_this_host(now) == 0


def test_a_busy_worker_must_prove_by_itself_that_it_is_well(neighbor: int, now: datetime) -> None:
    long_ago = now - timedelta(minutes=1)
    busy, idle = (make_worker(host=workers.this_host(), pid=neighbor, seen_at=long_ago) for _ in range(2))
    make_run(blocks={"load": BlockStatus.RUNNING}).block_runs.filter(block_uuid="load").update(worker=busy)

    workers.tidy_this_host(now)

    busy.refresh_from_db()
    idle.refresh_from_db()
    assert (busy.seen_at, idle.seen_at) == (long_ago, now)


@pytest.mark.parametrize(("seen", "is_there"), [(0, True), (30, True), (31, False)])
def test_one_on_another_host_counts_for_half_a_minute(seen: int, is_there: bool, now: datetime) -> None:
    make_worker(WorkerKind.SCHEDULER, host="elsewhere", seen_at=now - seen * SECOND)

    assert workers.others_alive(WorkerKind.SCHEDULER, now) is is_there


def test_one_of_this_host_must_still_exist(gone: int, neighbor: int, now: datetime) -> None:
    make_worker(WorkerKind.SCHEDULER, host=workers.this_host(), pid=gone, seen_at=now)
    make_worker(WorkerKind.SCHEDULER, host=workers.this_host(), pid=os.getpid(), seen_at=now)
    make_worker(WorkerKind.WORKER, host=workers.this_host(), pid=neighbor, seen_at=now)
    assert not workers.others_alive(WorkerKind.SCHEDULER, now), "one is gone, one is oneself, one does other work"

    make_worker(WorkerKind.SCHEDULER, host=workers.this_host(), pid=neighbor, seen_at=now)

    assert workers.others_alive(WorkerKind.SCHEDULER, now)


def test_a_process_of_another_user_is_alive() -> None:
    assert workers.is_alive(1)


def test_containers_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for space in (workers.FIRST_PID_SPACE, 4_026_532_001, 4_026_532_002):
        monkeypatch.setattr(os, "stat", lambda _, found=space: SimpleNamespace(st_ino=found))
        names.add(workers.this_host())

    assert len(names) == 3
    assert socket.gethostname() in names, "outside all containers the name is enough"
