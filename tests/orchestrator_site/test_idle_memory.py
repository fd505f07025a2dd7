"""The web server looks through its memory between requests, not in the midst of one."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator_site import asgi, idle_memory
from orchestrator_site.lanes import LANES, PooledHandler


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def looks(monkeypatch: pytest.MonkeyPatch, is_idle: Callable[[], bool], rounds: int, *, due: bool = True) -> int:
    """Return how often the memory was looked through in so many rounds."""
    found, left = [], iter(range(rounds))
    monkeypatch.setattr(gc, "collect", lambda: found.append(1))
    monkeypatch.setattr(idle_memory, "is_due", lambda: due)

    async def sleep(_: float) -> None:
        if next(left, None) is None:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(idle_memory.look_when_idle(is_idle))
    return len(found)


def test_it_is_looked_through_when_it_is_due_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(monkeypatch, lambda: True, 3) == 3


def test_an_idle_process_of_which_nothing_was_asked_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(monkeypatch, lambda: True, 3, due=False) == 0


def test_a_process_that_is_never_idle_looks_all_the_same_but_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looks(monkeypatch, lambda: False, 11) == 0
    assert looks(monkeypatch, lambda: False, 24) == 2


def test_a_server_that_starts_leaves_no_look_to_the_midst_of_a_request() -> None:
    told = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(told)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(asgi.application({"type": "lifespan"}, receive, send))

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert gc.get_threshold()[2] == idle_memory.NEVER
    assert gc.get_freeze_count() > 0


def test_a_server_is_idle_while_no_request_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = PooledHandler()
    during: list[bool] = []

    async def handle(*_: Any) -> None:
        during.append(handler.is_idle())

    monkeypatch.setattr(handler, "handle", handle)

    assert handler.is_idle()
    asyncio.run(handler({"type": "http", "headers": []}, None, None))
    assert during == [False]
    assert handler.is_idle()
    assert handler.free is not None
    assert handler.free.qsize() == LANES
