"""What django-q2 calls, and the guards that its processes stand under."""

import logging
import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from executors.local import LocalExecutor
from runs import tasks
from runs.models import BlockRun, Worker
from runs.working import stopping
from runs.working.cluster import SocketQueue
from runs.working.process import WorkerProcess
from tests.runs.place import Place, block, said

CODE = "@custom\ndef hello(): print('hello')\n"


@pytest.fixture
def worker(place: Place, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> WorkerProcess:
    """The worker that this process is to django-q2."""
    monkeypatch.setattr(tasks, "_process", None)
    # It would sign off when the tests end, and their database is gone.
    monkeypatch.setattr(tasks, "util", SimpleNamespace(Finalize=lambda *_, **__: None))
    found = tasks.process()
    found.executors["local_python"] = executor
    return found


@pytest.fixture
def phase() -> Iterator[None]:
    """Stopping and draining end with the test."""
    yield
    stopping._phase.value = 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("worker")
def test_a_hint_is_done_and_a_second_one_does_nothing(place: Place) -> None:
    run = place.start(place.write("greeting", "blocks: [{uuid: hello, type: custom}]", hello=CODE))
    row = block(run, "hello")

    for _ in range(2):
        tasks.execute(row.pk, 1)

    run.refresh_from_db()
    assert (run.status, block(run, "hello").attempt) == ("completed", 1)
    assert said(row).count("hello") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("block_run", "attempt"), [(0, 1), (10**18, 1), (None, 2)])
def test_a_hint_that_is_wrong_still_makes_a_worker_look_around(place: Place, block_run: int, attempt: int) -> None:
    run = place.start(place.write("greeting", "blocks: [{uuid: hello, type: custom}]", hello=CODE))

    tasks.execute(block_run if block_run is not None else block(run, "hello").pk, attempt)

    run.refresh_from_db()
    assert run.status == "completed"


@pytest.mark.django_db(transaction=True)
def test_a_fault_is_logged_and_not_handed_to_django_q2(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr(tasks, "process", away)

    tasks.execute(1, 1)
    with caplog.at_level(logging.ERROR):
        tasks.warm_up()

    assert "a worker could not go on" in caplog.text
    assert "tried again with its first block" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_worker_signs_on_before_there_is_work(worker: WorkerProcess) -> None:
    tasks.warm_up()

    assert Worker.objects.get().pid == os.getpid()


def test_one_process_is_one_worker(worker: WorkerProcess) -> None:
    assert tasks.process() is worker


def test_a_forked_process_is_a_worker_of_its_own(worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert tasks.process() is not worker


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("phase")
def test_stopping_is_seen_by_processes_that_were_forked_before() -> None:
    told_read, told_write = os.pipe()
    answer_read, answer_write = os.pipe()
    if (pid := os.fork()) == 0:
        os.read(told_read, 1)
        os.write(answer_write, bytes([stopping.is_stopping(), stopping.is_draining()]))
        os._exit(0)

    stopping.begin()
    os.write(told_write, b"!")
    found = os.read(answer_read, 2)
    os.waitpid(pid, 0)
    for descriptor in (told_read, told_write, answer_read, answer_write):
        os.close(descriptor)

    assert found == b"\x01\x00", "stopping, not yet draining"


@pytest.mark.usefixtures("phase", "worker")
@pytest.mark.django_db(transaction=True)
def test_who_is_stopping_claims_no_more(place: Place) -> None:
    run = place.start(place.write("greeting", "blocks: [{uuid: hello, type: custom}]", hello=CODE))
    stopping.begin()

    tasks.execute(block(run, "hello").pk, 1)

    assert BlockRun.objects.get(pipeline_run=run).status == "queued"


# --- the queue between django-q2's processes --------------------------------------------------------------------------


def test_each_message_goes_whole_to_one_reader() -> None:
    queue, found, lock = SocketQueue(), [], threading.Lock()

    def read() -> None:
        while (item := queue.get()) != "end":
            with lock:
                found.append(item)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(200):
        queue.put({"number": number, "text": "x" * 100})
    for _ in readers:
        queue.put("end")
    for reader in readers:
        reader.join()

    assert sorted(each["number"] for each in found) == list(range(200))
    close(queue)


def test_a_reader_killed_while_it_waits_locks_nobody_out() -> None:
    queue = SocketQueue()
    ready, began = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(began, b"!")
        queue.get()
        os._exit(0)
    os.read(ready, 1)
    os.kill(pid, 9)
    os.waitpid(pid, 0)

    queue.put("still there")

    assert queue.get() == "still there"
    os.close(ready)
    os.close(began)
    close(queue)


def test_a_queue_knows_whether_it_is_empty() -> None:
    queue = SocketQueue(maxsize=4)
    before = (queue.empty(), queue.qsize())

    queue.put(1)

    assert before == (True, 0)
    assert (queue.empty(), queue.qsize()) == (False, 1)
    close(queue)


@pytest.mark.timeout(20)
def test_hints_that_nobody_takes_hold_up_nobody_and_a_stop_is_never_dropped() -> None:
    """All workers are busy for hours: who puts the hints sends messages and sees who is alive meanwhile."""
    queue = SocketQueue(maxsize=4)
    for number in range(500):
        queue.put({"args": (number, 1)})

    stopper = threading.Thread(target=queue.put, args=("STOP",))
    stopper.start()
    taken = []
    while (item := queue.get()) != "STOP":
        taken.append(item["args"][0])
    stopper.join()

    assert taken == list(range(len(taken)))
    assert 4 <= len(taken) < 500
    close(queue)


def close(queue: SocketQueue) -> None:
    queue.reader.close()
    queue.writer.close()
