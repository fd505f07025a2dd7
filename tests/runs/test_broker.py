"""How workers come to know of work: hints to queued rows, and a database that goes away."""

import os
import pickle
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from django_q.conf import Conf
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from runs import bell, broker
from runs.broker import HINT_AGAIN_AFTER, BlockRunBroker
from runs.lifecycle import RunSettings, create_run
from runs.models import Origin, PipelineRun, WorkerKind
from runs.states import BlockStatus
from runs.working import workers
from tests.conftest import ON_POSTGRES
from tests.factories import make_pipeline
from tests.runs.outcomes import claim, make_owner, statuses

pytestmark = pytest.mark.django_db
WIDE = [(f"block_{number}",) for number in range(6)]


@pytest.fixture
def looker(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockRunBroker]:
    monkeypatch.setattr(Conf, "WORKERS", 2)
    made = BlockRunBroker("orchestrator")
    yield made
    if made.ear is not None:
        made.ear.close()


def start(now: datetime, uuid: str = "wide", **settings: Any) -> PipelineRun:
    pipeline = make_pipeline(uuid, WIDE)
    return create_run(pipeline, moment=now, origin=Origin.MANUAL, settings=RunSettings(**settings))


def named(hints: list[tuple[Any, str]] | None) -> list[tuple[int, int]]:
    """Return (block run, attempt) of each hint."""
    return [tuple(SignedPackage.loads(message)["args"]) for _, message in hints or []]


def let_pass(looker: BlockRunBroker, seconds: float) -> None:
    looker.hinted = {row: at - seconds for row, at in looker.hinted.items()}


# --- hints ------------------------------------------------------------------------------------------------------------


def test_a_hint_is_two_integers_for_one_function() -> None:
    message = SignedPackage.loads(broker.hint(17, 2))

    assert (message["func"], message["args"], message["kwargs"]) == ("runs.tasks.execute", (17, 2), {})
    assert message["save"] is False


def test_a_hint_that_was_tampered_with_is_not_read() -> None:
    with pytest.raises(Exception, match="[Ss]ignature"):
        SignedPackage.loads(broker.hint(17, 2)[:-3] + "abc")


def test_the_most_urgent_rows_are_named_first(looker: BlockRunBroker, now: datetime) -> None:
    start(now, "later", priority=10)
    urgent = start(now, "urgent", priority=-5)

    hints = named(looker.dequeue())

    first = urgent.block_runs.order_by("pk").values_list("pk", "attempt")[:2]
    assert hints == list(first)


def test_as_many_rows_are_named_as_there_are_workers_and_none_twice(looker: BlockRunBroker, now: datetime) -> None:
    run = start(now)

    hints = [named(looker.dequeue()) for _ in range(3)]

    assert [len(part) for part in hints] == [2, 2, 2]
    assert sorted(sum(hints, [])) == sorted(run.block_runs.values_list("pk", "attempt"))
    assert looker.look() == []


def test_a_row_that_nobody_claimed_is_named_again(looker: BlockRunBroker, now: datetime) -> None:
    start(now)
    first = [named(looker.look()) for _ in range(3)]
    let_pass(looker, HINT_AGAIN_AFTER - 1)
    assert looker.look() == []

    let_pass(looker, 2)

    assert named(looker.look()) == first[0]


def test_another_attempt_of_a_row_is_named_at_once(looker: BlockRunBroker, now: datetime) -> None:
    run = start(now)
    for _ in range(3):
        looker.look()
    row = run.block_runs.order_by("pk").first()
    row.move_to(BlockStatus.RUNNING)
    row.move_to(BlockStatus.QUEUED, next_attempt=True)

    assert named(looker.look()) == [(row.pk, 2)]


def test_only_what_is_queued_is_named(looker: BlockRunBroker, now: datetime) -> None:
    run = create_run(make_pipeline(), moment=now, origin=Origin.MANUAL)
    assert named(looker.look()) == [(run.block_runs.get(block_uuid="load").pk, 1)]
    claim(run, "load", make_owner(now), now)
    let_pass(looker, HINT_AGAIN_AFTER)

    assert looker.look() == []
    assert statuses(run)["load"] == "running"


def test_looking_costs_one_statement_however_much_is_queued(
    looker: BlockRunBroker, now: datetime, django_assert_num_queries: Any
) -> None:
    start(now)

    with django_assert_num_queries(1):
        looker.look()


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_nothing_to_do_is_told_after_about_a_second(looker: BlockRunBroker) -> None:
    looker.plain_at = time.monotonic()
    began = time.monotonic()

    assert looker.dequeue() is None

    assert 0.5 < time.monotonic() - began < 5


def test_a_ring_ends_the_wait(looker: BlockRunBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    looker.plain_at = time.monotonic()
    monkeypatch.setattr(broker, "LOOK_EVERY", 30.0)
    looker.ear = bell.open_ear("queue")
    ringer = threading.Thread(target=ring_from_a_thread)
    ringer.start()

    assert looker.dequeue() is None

    ringer.join()


def ring_from_a_thread() -> None:
    try:
        bell.ring("queue")
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_other_tasks_still_go_through_the_table_of_django_q(looker: BlockRunBroker) -> None:
    async_task("math.sqrt", 4, cluster="orchestrator", broker=looker)

    hints = looker.dequeue()

    assert [SignedPackage.loads(message)["func"] for _, message in hints or []] == ["math.sqrt"]


# --- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_waited_for(looker: BlockRunBroker, now: datetime) -> None:
    start(now)

    def refuse(*_: Any) -> Any:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(refuse):
        assert looker.dequeue() is None
        assert looker.ear is None

    assert len(looker.dequeue() or []) == 2


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_told_once(looker: BlockRunBroker, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: Any) -> Any:
        raise OperationalError("connection refused")

    for _ in range(2):
        with connection.execute_wrapper(refuse):
            assert [looker.dequeue() for _ in range(2)] == [None, None]
        looker.dequeue()

    assert caplog.messages == ["cannot look for work, trying again: connection refused"] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not ON_POSTGRES, reason="the database of this test run is not Postgres")
def test_ended_sessions_are_opened_again(looker: BlockRunBroker, now: datetime) -> None:
    looker.plain_at = time.monotonic()
    assert looker.dequeue() is None
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    other.close()

    assert looker.dequeue() is None
    start(now)
    assert len(looker.dequeue() or []) == 2


def test_the_block_of_a_worker_of_this_host_that_died_is_queued_again_at_once(looker: BlockRunBroker) -> None:
    run, moment = start(timezone.now()), timezone.now()
    dead = workers.register(WorkerKind.WORKER, moment)
    dead.pid = dead_pid()
    dead.save()
    held = claim(run, "block_0", dead, moment)

    looker.dequeue()

    dead.refresh_from_db()
    held.refresh_from_db()
    assert dead.stopped_at is not None
    assert (held.status, held.attempt, held.losses) == ("queued", 2, 1)


def test_a_neighbour_that_dies_between_two_looks_is_missed_at_the_next(looker: BlockRunBroker) -> None:
    run, moment = start(timezone.now()), timezone.now()
    process = subprocess.Popen(["sleep", "60"])
    neighbour = workers.register(WorkerKind.WORKER, moment)
    neighbour.pid = process.pid
    neighbour.save()
    held = claim(run, "block_0", neighbour, moment)
    looker.tidy()

    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent has not looked yet
    looker.tidy()

    process.wait()
    held.refresh_from_db()
    assert (held.status, held.losses) == ("queued", 1)


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_broker_sent_to_another_process_starts_anew(looker: BlockRunBroker, now: datetime) -> None:
    start(now)
    looker.look()

    sent: BlockRunBroker = pickle.loads(pickle.dumps(looker))

    assert sent.ear is None
    assert len(sent.look()) == 2


def test_a_sensor_queued_again_is_named_again_at_once(looker: BlockRunBroker, now: datetime) -> None:
    run = create_run(make_pipeline("one", [("sensor",)]), moment=now, origin=Origin.MANUAL)
    assert len(named(looker.look())) == 1
    claim(run, "sensor", make_owner(now), now)
    run.block_runs.move_to(BlockStatus.RUNNING, BlockStatus.WAITING)
    later = now + timedelta(seconds=2)
    run.block_runs.move_to(BlockStatus.WAITING, BlockStatus.QUEUED, queued_at=later)

    assert named(looker.look()) == [(run.block_runs.get().pk, 1)]
