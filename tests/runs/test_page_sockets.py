"""The one websocket of an open page: when it is told to look again, and the log that it follows."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from websockets.sync.client import ClientConnection

from runs import page_consumer
from runs.page_consumer import PageConsumer
from tests.runs.socket_server import LONG, Server, code_of, next_of, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("sqlite", tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture
def block(server: Server) -> dict[str, int]:
    """A block that runs: {"run", "block"}."""
    found: dict[str, int] = server.crowd.ask("begin_block()")
    return found


def say(client: ClientConnection, **words: Any) -> None:
    client.send(json.dumps(words))


def of_log(client: ClientConnection) -> Iterator[dict[str, Any]]:
    """Yield what comes of logs."""
    while True:
        message = next_of(client)
        if message["type"] != "changed":
            yield message


def lines(client: ClientConnection, until: str) -> list[tuple[int, str]]:
    """Return (number of the following, line) of all that comes up to the line that is waited for, or the end."""
    found: list[tuple[int, str]] = []
    for message in of_log(client):
        for part in message.get("html", "").split('<bdi class="text">')[1:]:
            found.append((message["log"], part.partition("</bdi>")[0]))
        if message["type"] == until or (found and found[-1][1] == until):
            return found
    raise AssertionError


# --- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_who_is_not_signed_in_is_told_so(server: Server) -> None:
    with server.open("/ws/pages/", session=None) as client:
        assert code_of(client) == 4401


@pytest.mark.processes
@pytest.mark.parametrize("run", ["999999", "abc", "-1", "\u0661", "9" * 30])
def test_a_run_that_is_not_there_is_not_found(server: Server, run: str) -> None:
    with server.open(f"/ws/pages/?run={run}") as client:
        assert code_of(client) == 4404


# --- when to look -----------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_a_page_is_told_to_look_when_it_opens_and_when_something_changed(server: Server, block: dict[str, int]) -> None:
    with server.open("/ws/pages/") as every, server.open(f"/ws/pages/?run={block['run']}") as one:
        for client in (every, one):
            assert next_of(client) == {"type": "changed", "wait": 30}

        server.crowd.ask("end_block()")

        for client in (every, one):
            assert next_of(client) == {"type": "changed", "wait": 30}


def told(act: Callable[[PageConsumer], Awaitable[None]], waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what a page is told while something is done, with looks that have to wait as said."""
    monkeypatch.setattr(page_consumer, "SETTLE", 0)
    monkeypatch.setattr(page_consumer, "QUICK", 0)
    monkeypatch.setattr(page_consumer, "PAUSE", 0)
    monkeypatch.setattr(page_consumer.pace, "turn", lambda kind, now: waits.pop(0))
    messages: list[Any] = []

    async def note(message: Any, close: bool = False) -> None:
        messages.append(message["wait"])

    async def drive() -> None:
        page = PageConsumer()
        page.groups_heard = ("events",)
        page.send_json = note
        telling = asyncio.create_task(page.tell())
        await act(page)
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling

    asyncio.run(drive())
    return messages


async def turns() -> None:
    """Let everything go on that is not waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_changes_before_a_look_is_due_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(page: PageConsumer) -> None:
        await turns()
        page.hear("run", 1)
        await turns()
        for number in range(50):
            page.hear("run", number)
        await asyncio.sleep(0.35)  # the look's turn comes
        await turns()

    assert told(act, [0.0, 0.3, 0.0], monkeypatch) == [0, 300]


def test_a_change_does_not_wait_until_two_hundred_pages_have_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(page: PageConsumer) -> None:
        await turns()
        page.hear("run", 1)
        await turns()

    assert told(act, [20.0, 0.0], monkeypatch) == [20_000, 0]


def test_what_changes_after_a_look_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(page: PageConsumer) -> None:
        for number in range(3):
            await turns()
            page.hear("run", number)
        await turns()

    assert told(act, [0.0] * 4, monkeypatch) == [0] * 4


def test_a_page_that_nobody_sees_is_told_nothing_until_somebody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(page: PageConsumer) -> None:
        await turns()
        await page.receive('{"hidden": true}')
        page.hear("run", 1)
        await turns()
        await page.receive('{"hidden": false}')
        await turns()

    assert told(act, [0.0] * 2, monkeypatch) == [0] * 2


def test_a_look_that_was_not_made_as_the_page_was_hidden_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(page: PageConsumer) -> None:
        await turns()  # told, and hides before it looks; nothing changes meanwhile
        await page.receive('{"hidden": true}')
        await page.receive('{"hidden": false}')
        await turns()

    assert told(act, [0.0] * 2, monkeypatch) == [0] * 2


# --- its log ----------------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_a_page_follows_a_log_beside_its_changes(server: Server, block: dict[str, int]) -> None:
    with server.open(f"/ws/pages/?run={block['run']}") as client:
        say(client, follow=block["block"], attempt=1, log=7)
        server.crowd.ask("write_lines('one', '<b>two</b>')")
        assert lines(client, "&lt;b&gt;two&lt;/b&gt;") == [(7, "one"), (7, "&lt;b&gt;two&lt;/b&gt;")]

        server.crowd.ask("end_block()")

        assert next(of_log(client)) == {"type": "end", "status": "completed", "log": 7}


@pytest.mark.processes
def test_a_page_that_connects_again_goes_on_exactly_where_it_was(server: Server, block: dict[str, int]) -> None:
    seen: list[str] = []
    offset = 0
    for number in range(5):
        with server.open("/ws/pages/?run=0") as client:
            say(client, follow=block["block"], attempt=1, log=number, **{"from": offset})
            server.crowd.ask(f"write_lines('line {number} a', 'line {number} b')")
            for message in of_log(client):
                offset = message["next"]
                seen += [part.partition("</bdi>")[0] for part in message["html"].split('<bdi class="text">')[1:]]
                if seen[-1] == f"line {number} b":
                    break
        server.crowd.ask(f"write_lines('between {number}')")  # nobody is there

    with server.open("/ws/pages/?run=0") as client:
        say(client, follow=block["block"], attempt=1, log=9, **{"from": offset})
        seen += [text for _, text in lines(client, "between 4")]

    expected = [[f"line {number} a", f"line {number} b", f"between {number}"] for number in range(5)]
    assert seen == sum(expected, [])


@pytest.mark.processes
def test_a_page_follows_one_log_at_a_time(server: Server, block: dict[str, int]) -> None:
    server.crowd.ask("write_lines('of the first')")
    with server.open("/ws/pages/?run=0") as client:
        say(client, follow=block["block"], attempt=1, log=1)
        assert lines(client, "of the first") == [(1, "of the first")]
        say(client, follow=block["block"], attempt=1, log=2)
        assert lines(client, "of the first") == [(2, "of the first")]
        say(client, follow=0)
        say(client, follow=999999, log=3)
        assert next(of_log(client)) == {"type": "gone", "log": 3}  # and nothing else before

        server.crowd.ask("[write_lines('not followed'), end_block()] and 0")
        say(client, follow=block["block"], attempt=1, log=4)
        assert lines(client, "end") == [(4, "of the first"), (4, "not followed")]


NONSENSE = ["", "[", "[]", "7", '"follow"', "null", "[" * 900, "x" * 100_000, '{"follow": "%d"}', '{"follow": true}']
NONSENSE += ['{"follow": -1}', '{"follow": %d, "from": -1}', '{"follow": %d, "from": 1.5}', '{"follow": 1e400}']
NONSENSE += ['{"follow": %d, "attempt": [], "log": {}}', '{"drawn": "x", "log": 1}', '{"follow": 9223372036854775808}']


@pytest.mark.processes
def test_what_a_page_says_that_makes_no_sense_is_not_minded(server: Server, block: dict[str, int]) -> None:
    server.crowd.ask("write_lines('here')")
    with server.open("/ws/pages/?run=0") as client:
        for words in NONSENSE:
            client.send(words.replace("%d", str(block["block"])))
        client.send(b"\xff\xfe")
        say(client, follow=block["block"], attempt=1, log=5)

        assert [found for found in lines(client, "here") if found[0] == 5] == [(5, "here")]


@pytest.mark.processes
def test_a_page_is_sent_no_more_than_it_has_drawn(server: Server, block: dict[str, int]) -> None:
    server.crowd.ask("write_lines(*('x' * 1000 for n in range(400)))")
    with server.open("/ws/pages/?run=0") as client:
        say(client, follow=block["block"], attempt=1, log=1)
        messages = of_log(client)
        first = next(messages)
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)

        say(client, drawn=first["next"], log=2)  # of another following
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.1)
        say(client, drawn=first["next"], log=1)

        assert next(messages)["next"] > first["next"]


def test_a_log_is_looked_for_again_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [OperationalError("away"), False]

    class Follower:
        sent: list[Any] = []

        async def find(self) -> bool:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return bool(answer)

        async def send(self, message: Any) -> None:
            self.sent.append(message)

    monkeypatch.setattr(page_consumer, "LOOK_AGAIN", 0)
    follower: Any = Follower()
    asyncio.run(asyncio.wait_for(PageConsumer().keep_following(follower), LONG))

    assert follower.sent == [{"type": "gone"}]
