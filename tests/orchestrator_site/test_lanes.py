"""Requests run in a few long-lived threads, each with a database connection that it keeps."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory
from django.urls import path

from orchestrator_site.lanes import LANES, PooledHandler
from tests.conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
seen: list[tuple[int, int]] = []  # (thread, connection object) of each request
gate = threading.Event()


def note(request: HttpRequest) -> HttpResponse:
    connection.ensure_connection()
    seen.append((threading.get_ident(), id(connection.connection)))
    return HttpResponse("noted")


def wait(request: HttpRequest) -> HttpResponse:
    gate.wait(20)
    return note(request)


def fail(request: HttpRequest) -> HttpResponse:
    note(request)
    raise ZeroDivisionError


def close(request: HttpRequest) -> HttpResponse:
    connection.close()
    return HttpResponse("closed")


urlpatterns = [path("note", note), path("wait", wait), path("fail", fail), path("close", close)]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    seen.clear()
    gate.clear()


async def ask(handler: PooledHandler, address: str) -> int:
    """Make a request as a server does; return its status."""
    scope = AsyncRequestFactory()._base_scope(path=address, method="GET")
    messages: list[dict[str, Any]] = []
    body = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in body:
            return message
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await handler(scope, receive, send)
    return int(messages[0]["status"])


def serve(story: Callable[[PooledHandler], Awaitable[Any]]) -> Any:
    """Run the story in a loop of its own, then close the connections that its threads keep."""

    async def whole() -> Any:
        handler = PooledHandler()
        try:
            return await story(handler)
        finally:
            gate.set()
            await asyncio.gather(*(ask(handler, "/close") for _ in range(LANES * 3)))

    return asyncio.run(whole())


def test_requests_in_turn_reuse_one_thread_and_its_connection() -> None:
    async def story(handler: PooledHandler) -> None:
        for _ in range(5):
            assert await ask(handler, "/note") == 200

    serve(story)

    assert len(seen) == 5
    assert len(set(seen)) == 1


def test_no_request_runs_in_the_thread_of_the_loop() -> None:
    async def story(handler: PooledHandler) -> None:
        await asyncio.gather(*(ask(handler, "/note") for _ in range(LANES)))

    serve(story)

    assert threading.get_ident() not in {thread for thread, _ in seen}


def test_requests_at_once_have_a_thread_each_and_the_loop_goes_on() -> None:
    async def story(handler: PooledHandler) -> None:
        waiting = [asyncio.create_task(ask(handler, "/wait")) for _ in range(LANES - 1)]
        await asyncio.sleep(0)
        assert await ask(handler, "/note") == 200
        gate.set()
        assert await asyncio.gather(*waiting) == [200] * (LANES - 1)

    serve(story)

    assert len({thread for thread, _ in seen}) == LANES


def test_more_requests_than_threads_wait_their_turn() -> None:
    async def story(handler: PooledHandler) -> None:
        many = [asyncio.create_task(ask(handler, "/wait")) for _ in range(LANES * 3)]
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(*many) == [200] * LANES * 3

    serve(story)

    assert len(seen) == LANES * 3
    assert len(set(seen)) <= LANES


def test_a_request_that_fails_gives_its_thread_back() -> None:
    async def story(handler: PooledHandler) -> list[int]:
        return [await ask(handler, "/fail") for _ in range(LANES * 2)]

    assert serve(story) == [500] * LANES * 2
    assert len(set(seen)) == 1


def test_a_client_that_goes_away_gives_its_thread_back() -> None:
    async def story(handler: PooledHandler) -> None:
        gone = [asyncio.create_task(ask(handler, "/wait")) for _ in range(LANES * 2)]
        await asyncio.sleep(0.05)
        for request in gone:
            request.cancel()
        gate.set()
        await asyncio.gather(*gone, return_exceptions=True)
        assert await ask(handler, "/note") == 200

    serve(story)


@pytest.mark.skipif(not ON_POSTGRES, reason="the database of this test run is not Postgres")
def test_a_session_that_was_ended_costs_one_request_at_most() -> None:
    async def story(handler: PooledHandler) -> list[int]:
        await ask(handler, "/note")
        await asyncio.to_thread(end_other_sessions)
        return [await ask(handler, "/query") for _ in range(3)]

    urlpatterns.append(path("query", query))

    assert serve(story)[1:] == [200, 200]


def query(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("asked")


def end_other_sessions() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    finally:
        connection.close()
