"""Blocks that ask: over a real channel, from any of their threads, watched on in another thread if they must wait."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil
import pytest

from executors import local
from executors.base import Answer, Later, Outcome, Parked, Reply, Stop, Verdict, Work
from executors.local import LocalExecutor
from tests.executors.test_local import Listener, wait_until_gone

pytestmark = pytest.mark.processes


class Answering(Listener):
    """A host that answers as `reply` says, given the request and the way to answer later."""

    def __init__(
        self, reply: Callable[[Mapping[str, Any], Callable[[Answer], None]], Reply], stop_when: Any = None
    ) -> None:
        super().__init__(stop_when)
        self.reply = reply

    def ask(self, request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        return self.reply(request, answer)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    monkeypatch.setattr(local, "RUNTIME", "tests.executors.asking_blocks")
    made = LocalExecutor()
    yield made
    made.close()


def launch(executor: LocalExecutor, name: str, host: Listener, **fields: Any) -> Any:
    work = {"key": "1-block-1", "entrypoint": f"tests.executors.asking_blocks:{name}", "job": {}, **fields}
    return executor.launch(Work(**work), host)


def park(executor: LocalExecutor, name: str = "asks_and_keeps_a_file", **fields: Any) -> tuple[Parked, list[Any]]:
    """Launch a block that asks and is to be parked; return it, and how its question is answered."""
    ways: list[Any] = []

    def reply(request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        ways.append(answer)
        return Later.PARK

    parked = launch(executor, name, Answering(reply), **fields)
    assert isinstance(parked, Parked)
    return parked, ways


def test_a_block_gets_the_answers_to_what_it_asks(executor: LocalExecutor) -> None:
    host = Answering(lambda request, _: {"value": request["n"] + 1})

    outcome = launch(executor, "asks", host, job={"requests": [{"n": 1}, {"n": 2}]})

    assert outcome.result["outputs"] == [{"value": 2}, {"value": 3}]


def test_an_answer_may_come_later_and_from_another_thread(executor: LocalExecutor) -> None:
    def reply(request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        threading.Timer(0.05, answer, [{"value": "late"}]).start()
        return Later.LATER

    outcome = launch(executor, "asks", Answering(reply), job={"requests": [{}]})

    assert outcome.result["outputs"] == [{"value": "late"}]


def test_each_of_many_threads_gets_its_own_answer(executor: LocalExecutor) -> None:
    def reply(request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Reply:
        delay = 0.05 if request["number"] % 3 else 0.0  # out of order
        threading.Timer(delay, answer, [{"value": request["number"]}]).start()
        return Later.LATER

    outcome = launch(executor, "asks_from_threads", Answering(reply), job={"count": 50})

    assert outcome.result["outputs"] == [True]


def test_what_cannot_be_asked_is_refused_in_the_block(executor: LocalExecutor) -> None:
    host = Answering(lambda request, _: {"value": "answered"})

    outcome = launch(executor, "asks_what_cannot_be_asked", host)

    large, odd, fine = outcome.result["outputs"]
    assert "1,048,576 are allowed" in large
    assert "plain JSON" in odd
    assert fine == {"value": "answered"}


def test_a_process_that_a_block_started_cannot_ask(executor: LocalExecutor) -> None:
    host = Answering(lambda request, _: {"value": "answered"})

    outcome = launch(executor, "asks_from_another_process", host)

    assert "only the block's own process" in outcome.result["outputs"][0]


def test_a_thread_that_outlives_its_block_keeps_no_job_from_the_next(executor: LocalExecutor) -> None:
    host = Answering(lambda request, _: Later.LATER if request else {"value": 1})

    first = launch(executor, "leaves_a_thread_that_asks", host, session="run-1")
    second = launch(executor, "asks", host, session="run-1", job={"requests": [{}]})

    assert (first.verdict, second.verdict) == (Verdict.COMPLETED, Verdict.COMPLETED)
    assert second.result["outputs"] == [{"value": 1}]


# --- parked -----------------------------------------------------------------------------------------------------------


def test_a_parked_block_goes_on_in_another_thread_when_it_is_answered(executor: LocalExecutor) -> None:
    parked, ways = park(executor)
    host, outcomes = Listener(), []
    thread = threading.Thread(target=lambda: outcomes.append(parked.go_on(host)))
    thread.start()

    ways[0]({"value": "at last"})
    thread.join(30)

    assert outcomes[0].result["outputs"] == [{"value": "at last"}, "mine"]
    assert host.text().split() == ["after"]


def test_a_worker_goes_on_with_another_executor_beside_a_parked_block(executor: LocalExecutor) -> None:
    parked, ways = park(executor)
    other = LocalExecutor()

    beside = launch(other, "asks", Answering(lambda *_: {"value": 1}), job={"requests": [{}]})
    ways[0]({"value": 2})
    outcome = parked.go_on(Listener())
    other.close()

    assert beside.result["outputs"] == [{"value": 1}]
    assert outcome.result["outputs"] == [{"value": 2}, "mine"]


def test_a_parked_block_costs_no_child_in_stock(executor: LocalExecutor) -> None:
    parked, ways = park(executor)
    assert executor.server is not None
    server = psutil.Process(executor.server.process.pid)
    child = executor.server.watched
    ways[0]({"value": 1})

    def has_only_the_child(_: Listener) -> None:
        counts.append(len(server.children()))

    counts: list[int] = []
    parked.go_on(Listener(stop_when=has_only_the_child))

    assert all(count <= 1 for count in counts)
    assert wait_until_gone(server.pid)
    assert child is not None
    assert wait_until_gone(child)


def test_a_parked_block_is_ended_when_its_host_says_so(executor: LocalExecutor) -> None:
    parked, _ = park(executor)

    outcome = parked.go_on(Listener(stop_when=lambda _: Stop.HAND_BACK))

    assert outcome.verdict == Verdict.HANDED_BACK


def test_the_time_that_a_block_waits_counts(executor: LocalExecutor) -> None:
    parked, _ = park(executor, timeout=0.2)

    assert parked.go_on(Listener()).verdict == Verdict.TIMED_OUT


def test_a_fork_server_lives_on_when_the_thread_that_started_it_has_ended(executor: LocalExecutor) -> None:
    found: list[Outcome] = []
    host = Answering(lambda *_: {"value": 1})
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(launch(executor, "asks", host, job={"requests": [{}]})))
        thread.start()
        thread.join(30)
    assert executor.server is not None
    before = executor.server.process.pid

    launch(executor, "asks", host, job={"requests": [{}]})

    assert executor.server.process.pid == before
    assert [outcome.verdict for outcome in found] == [Verdict.COMPLETED] * 2


def test_killing_what_is_parked_ends_it_at_once(executor: LocalExecutor) -> None:
    parked, _ = park(executor)
    assert executor.server is not None
    assert executor.server.watched is not None
    child, began = executor.server.watched, time.monotonic()

    parked.kill()

    assert wait_until_gone(child)
    assert time.monotonic() - began < 10
