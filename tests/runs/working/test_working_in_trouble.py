"""A worker while the database, its fork server or we ourselves fail: no block is lost, and none runs for ever."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from executors import forking
from runs import lifecycle, recovery
from runs.models import BlockRun
from runs.states import BlockStatus, RunStatus
from runs.working import jobs, persisting, unwell
from tests.conftest import ON_POSTGRES
from tests.runs.outcomes import statuses
from tests.runs.place import Place, at_second_look, block, said

pytestmark = [pytest.mark.processes, pytest.mark.django_db]
on_a_real_connection = pytest.mark.django_db(transaction=True)


@on_a_real_connection
def test_an_outcome_is_recorded_though_the_connection_was_closed_meanwhile(place: Place) -> None:
    place.write("nap", "blocks: [{uuid: nap, type: custom}]", nap="import time\n@custom\ndef n():\n    time.sleep(1.2)")
    place.at_each_look = connections.close_all

    assert place.run("nap").status == RunStatus.COMPLETED


@on_a_real_connection
@pytest.mark.skipif(not ON_POSTGRES, reason="the database of this test run is not Postgres")
def test_an_outcome_is_recorded_though_the_server_ended_our_session(place: Place) -> None:
    place.write("nap", "blocks: [{uuid: nap, type: custom}]", nap="import time\n@custom\ndef n():\n    time.sleep(1.2)")
    place.at_each_look = end_our_session

    assert place.run("nap").status == RunStatus.COMPLETED


def end_our_session() -> None:
    if connection.connection is not None and connection.connection.closed:  # that of the look before, and noticed
        connection.close()
    connection.ensure_connection()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.get_backend_pid()])
    finally:
        other.close()


class Nemesis:
    """Makes one statement or commit of this connection fail, or only seem to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
        self.words = words
        self.struck = 0
        self.is_seen = False
        self.real_commit = connection._commit
        monkeypatch.setattr(connection, "_commit", self.commit)
        self.strikes_commit = False

    def statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.words in sql and not self.struck and not self.strikes_commit:
            self.struck += 1
            raise OperationalError("server closed the connection unexpectedly")
        result = execute(sql, params, many, context)
        self.is_seen = self.is_seen or self.words in sql
        return result

    def commit(self) -> None:
        self.real_commit()
        if self.strikes_commit and self.is_seen and not self.struck:
            self.struck += 1
            raise OperationalError("the answer to COMMIT was lost")


@on_a_real_connection
def test_a_finish_that_was_rolled_back_is_made_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.start("chain")
    nemesis = Nemesis(monkeypatch, 'UPDATE "runs_blockrun" SET "pending"')

    with connection.execute_wrapper(nemesis.statement):
        place.worker.work_on_anything()

    run.refresh_from_db()
    assert nemesis.struck == 1
    assert run.status == RunStatus.COMPLETED
    assert set(run.block_runs.values_list("attempt", "losses")) == {(1, 0)}


@on_a_real_connection
def test_a_block_claimed_in_a_commit_nobody_heard_of_is_taken_up_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place.start("chain")
    nemesis = Nemesis(monkeypatch, 'SET "pending"')
    nemesis.strikes_commit = True

    with connection.execute_wrapper(nemesis.statement):
        place.worker.work_on_anything()
    assert nemesis.struck == 1
    assert statuses(run) == {"numbers": "completed", "double": "running", "total": "initial"}
    place.go_on(run)
    place.go_on(run)

    assert run.status == RunStatus.COMPLETED
    assert list(run.block_runs.order_by("position").values_list("losses", flat=True)) == [0, 1, 0]


@on_a_real_connection
def test_a_claim_nobody_heard_of_is_taken_up_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.start("chain")
    real, calls = lifecycle.claim_next, []

    def claim_and_lose_the_answer(*args: Any, **fields: Any) -> BlockRun | None:
        claimed = real(*args, **fields)
        calls.append(claimed)
        if len(calls) == 1:
            raise OperationalError("the answer was lost")
        return claimed

    monkeypatch.setattr(lifecycle, "claim_next", claim_and_lose_the_answer)
    place.worker.work_on_anything()
    place.go_on(run)

    assert run.status == RunStatus.COMPLETED
    assert block(run, "numbers").losses == 1


def test_a_fault_of_ours_does_not_leave_a_block_running_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    run = place.start("sleeping")
    real = jobs.work_for
    monkeypatch.setattr(jobs, "work_for", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        place.worker.work_on_anything()
    monkeypatch.setattr(jobs, "work_for", real)
    assert statuses(run) == {"sleeps": "running"}

    other = place.run("chain")
    recovery.sweep(timezone.now())

    assert other.status == RunStatus.COMPLETED
    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses) == (BlockStatus.QUEUED, 2, 1)


def test_a_fault_in_mid_block_ends_its_process(place: Place, tmp_path: Path) -> None:
    run = place.start("witnessed", file=str(tmp_path / "witness"), seconds=3)

    def fault() -> None:
        raise ZeroDivisionError

    place.at_each_look = fault
    with pytest.raises(ZeroDivisionError):
        place.worker.work_on_anything()

    assert (tmp_path / "witness").read_text() == "began\n"
    assert place.executor.server is None
    assert place.worker.row is None
    assert statuses(run) == {"witness": "running"}


@on_a_real_connection
def test_a_fork_server_that_dies_under_a_block_costs_one_loss(place: Place) -> None:
    run = place.start("sleeping")

    def strike() -> None:
        place.executor.server.process.kill()
        place.told_to_stop = False

    place.at_each_look = at_second_look(strike)
    place.worker.stopping = iter([False, False, True, True]).__next__

    place.worker.work_on_anything()

    row = block(run, "sleeps")
    assert (row.status, row.attempt, row.losses) == (BlockStatus.QUEUED, 2, 1)


class NoRoom:
    """Every process that is begun here is refused, but those of the trial that comes after so many."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trials: int, seen: Callable[[], Any]) -> None:
        self.trials, self.seen = trials, seen
        self.told: list[Any] = []
        real = forking.ForkServer.start

        def refuse_or_start(server: forking.ForkServer, theirs: Any) -> Any:
            self.told.append(self.seen())
            if len(self.told) <= self.trials:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return real(server, theirs)

        monkeypatch.setattr(forking.ForkServer, "start", refuse_or_start)
        monkeypatch.setattr(unwell, "PAUSES", (0.0,))


def test_a_worker_that_can_start_nothing_gives_its_block_back_and_waits_until_it_can(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.executor.close()
    run = place.start("chain")
    room = NoRoom(monkeypatch, 5, lambda: (statuses(run)["numbers"], place.worker.worker.trouble.get("reason")))

    place.worker.work_on_anything()

    run.refresh_from_db()
    unable = ("queued", "Resource temporarily unavailable")
    assert room.told == [("running", None), ("running", None), unable, unable, unable, unable]
    assert run.status == RunStatus.COMPLETED
    assert set(run.block_runs.values_list("losses", "retries")) == {(0, 0)}
    numbers = block(run, "numbers")
    assert said(numbers, 1) == ["this worker could not start it, and gives it back: Resource temporarily unavailable"]
    assert place.worker.worker.trouble == {}


def test_a_worker_that_can_start_nothing_is_told_to_stop(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.executor.close()
    run = place.start("chain")

    def stop_at_third() -> None:
        place.told_to_stop = len(room.told) >= 2

    room = NoRoom(monkeypatch, 1000, stop_at_third)
    place.worker.work_on_anything()

    assert statuses(run)["numbers"] == "queued"
    assert len(room.told) == 3


def test_an_executor_that_there_is_not_fails_the_block_and_says_so(place: Place) -> None:
    run = place.start("chain")
    run.block_runs.update(executor="moonbase")

    place.worker.work_on_anything()

    assert "There is no executor 'moonbase'" in block(run, "numbers").error["message"]


def test_the_database_away_for_good_is_told_to_the_caller(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisting, "PATIENCE", 0.3)
    tries = []

    def away() -> None:
        tries.append(1)
        raise OperationalError("no route to host")

    with pytest.raises(OperationalError, match="no route"):
        persisting.persist(away)

    assert 2 <= len(tries) <= 4


def test_a_log_that_cannot_be_written_leaves_the_outcome_and_is_told_once(place: Place, settings: Any) -> None:
    (place.folder / "no_folder").touch()
    settings.LOGS_URL = str(place.folder / "no_folder")

    run = place.run("chain")

    assert run.status == RunStatus.COMPLETED
    assert sorted(run.events.filter(kind="log_lost").values_list("message", flat=True)) == [
        f"the log of {uuid} is not whole: Not a directory" for uuid in ("double", "numbers", "total")
    ]
