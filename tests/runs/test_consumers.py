"""Websockets of a real server, as browsers and programs meet them: who is let in, what they hear and are sent."""

import asyncio
import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from runs.consumers import LogConsumer
from runs.log_follower import LogFollower
from tests.runs.socket_server import LONG, Server, code_of, next_of, serving, texts, until_end

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(request.param, tmp_path_factory.mktemp("sockets")) as made:
        yield made


@pytest.fixture
def block(server: Server) -> dict[str, int]:
    """A block that runs: {"run", "block"}."""
    found: dict[str, int] = server.crowd.ask("begin_block()")
    return found


# --- who is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ws/events/", "/ws/runs/1/", "/ws/block_runs/1/logs/"])
def test_who_is_not_signed_in_is_told_so(server: Server, path: str) -> None:
    with server.open(path, session=None) as client:
        assert code_of(client) == 4401


def test_a_session_that_is_not_one_is_nobodys(server: Server) -> None:
    with server.open("/ws/events/", session="x" * 32) as client:
        assert code_of(client) == 4401


def test_a_user_who_was_deactivated_is_not_let_in(server: Server) -> None:
    session = server.crowd.ask("sign_in('gone', is_active=False)")

    with server.open("/ws/events/", session=session) as client:
        assert code_of(client) == 4401


@pytest.mark.parametrize(
    "path",
    [
        "/ws/runs/999999/",
        f"/ws/runs/{10**30}/",
        "/ws/block_runs/999999/logs/",
        f"/ws/block_runs/{10**30}/logs/",
    ],
)
def test_what_is_not_there_is_not_found(server: Server, path: str) -> None:
    with server.open(path) as client:
        assert code_of(client) == 4404


@pytest.mark.parametrize("query", ["?from=abc", "?from=-1", "?attempt=x", "?from=" + "9" * 5000])
def test_a_query_that_makes_no_sense_is_refused(server: Server, block: dict[str, int], query: str) -> None:
    with server.open_log(query) as client:
        assert code_of(client) == 4404


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://localhost:{port}"]
    + ["http://127.0.0.1:1", "http://127.0.0.1:{port}.evil.example", "http://x@127.0.0.1:{port}", "http://[", "//"],
)
def test_a_page_from_elsewhere_is_refused(server: Server, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        server.open("/ws/events/", origin=origin and origin.format(port=server.port))

    assert refused.value.response.status_code == 403


def test_a_host_that_is_not_ours_is_refused_with_an_origin_that_agrees(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        server.open("/ws/events/", origin="http://evil.example", Host="evil.example")

    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/", "/ws/", "/ws/events", "/ws/runs/one/", "/ws/runs/-1/", "/admin/"])
def test_an_address_that_is_none_is_refused(server: Server, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        server.open(path)

    assert refused.value.response.status_code == 403


def test_a_program_needs_a_token_and_no_origin(server: Server) -> None:
    for origin in (None, "http://evil.example"):
        with server.open("/ws/events/", origin=origin, session=None, Authorization=f"Bearer {server.token}") as client:
            server.crowd.ask("begin_block()")
            assert next_of(client)["type"] == "changed"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer orc_abcdefgh_nonsense", "Basic YWRhOmFkYQ==", "Bearer \xe9"])
def test_a_wrong_token_does_not_fall_back_on_the_cookie(server: Server, header: str) -> None:
    with server.open("/ws/events/", Authorization=header) as client:
        assert code_of(client) == 4401


def test_a_token_that_may_not_read_is_refused(server: Server) -> None:
    token = server.crowd.ask("make_token(f'writer {time.time()}', 'run')")

    with server.open("/ws/events/", session=None, Authorization=f"Bearer {token}") as client:
        assert code_of(client) == 4401


# --- what changed -----------------------------------------------------------------------------------------------------


def test_every_run_is_heard_of_and_one_run_by_those_who_ask_for_it(server: Server, block: dict[str, int]) -> None:
    with server.open("/ws/events/") as every, server.open(f"/ws/runs/{block['run']}/") as one:
        other = server.crowd.ask("start('single').pk")
        assert next_of(every) == {"type": "changed", "run": other}

        server.crowd.ask("end_block()")

        assert next_of(one) == {"type": "changed", "run": block["run"]}
        assert next_of(every) == {"type": "changed", "run": block["run"]}


def test_what_a_client_says_is_not_minded(server: Server, block: dict[str, int]) -> None:
    with server.open(f"/ws/runs/{block['run']}/") as client:
        for words in ("hello", "[", '{"type": "run.changed", "run": 1}', "\0", "x" * 100_000):
            client.send(words)
        client.send(b"\xff\xfe")

        server.crowd.ask("end_block()")

        assert next_of(client) == {"type": "changed", "run": block["run"]}


# --- logs -------------------------------------------------------------------------------------------------------------


def test_a_log_is_sent_as_it_grows_and_then_its_end(server: Server, block: dict[str, int]) -> None:
    size = server.crowd.ask("write_lines('one', 'two')")
    with server.open_log() as client:
        assert next_of(client) == {"type": "attempt", "attempt": 1}
        first = next_of(client)
        assert (first["attempt"], [line["m"] for line in first["lines"]], first["next"]) == (1, ["one", "two"], size)
        assert first["lines"][0].keys() == {"o", "t", "s", "l", "m"}

        server.crowd.ask("write_lines('three')")
        assert texts([next_of(client)]) == ["three"]

        server.crowd.ask("[write_lines('four', rings=False), end_block()] and 0")
        rest = until_end(client)
        assert texts(rest) == ["four"]
        assert rest[-1] == {"type": "end", "status": "completed"}


def test_a_line_is_seen_soon_after_it_was_written(server: Server, block: dict[str, int]) -> None:
    with server.open_log("?attempt=1") as client:
        server.crowd.ask("write_lines('warm')")
        assert texts([next_of(client)]) == ["warm"]
        began = time.monotonic()

        for number in range(5):
            server.crowd.ask(f"write_lines('{number}')")
            assert texts([next_of(client)]) == [str(number)]

        assert time.monotonic() - began < 5 * 0.8  # that is: by the bell, and not by looking every second


def test_a_line_nobody_rang_for_is_found(server: Server, block: dict[str, int]) -> None:
    with server.open_log("?attempt=1") as client:
        server.crowd.ask("write_lines('quiet', rings=False)")

        assert texts([next_of(client)]) == ["quiet"]


def test_a_reader_goes_on_exactly_where_it_stopped(server: Server, block: dict[str, int]) -> None:
    server.crowd.ask("write_lines(*(f'line {n}' for n in range(100)))")
    with server.open_log() as client:
        next_of(client)
        lines = next_of(client)["lines"]
    server.crowd.ask("[write_lines('late'), end_block()] and 0")

    with server.open_log(f"?from={lines[40]['o']}&attempt=1") as client:
        rest = until_end(client)

    assert texts(rest) == [f"line {number}" for number in range(40, 100)] + ["late"]


def test_an_offset_beyond_the_end_gets_the_end(server: Server, block: dict[str, int]) -> None:
    server.crowd.ask("[write_lines('one'), end_block()] and 0")

    with server.open_log(f"?from={10**30}&attempt=1") as client:
        assert until_end(client) == [{"type": "end", "status": "completed"}]


def test_a_new_attempt_is_announced_after_the_last_line_of_the_old(server: Server, block: dict[str, int]) -> None:
    with server.open_log() as client:
        server.crowd.ask("write_lines('first try')")
        assert texts([next_of(client), next_of(client)]) == ["first try"]

        server.crowd.ask("[write_lines('last words', rings=False), begin_again(), write_lines('second try')] and 0")
        server.crowd.ask("end_block(FAILED)")

        messages = until_end(client)
    assert texts(messages) == ["last words", "second try"]
    kinds = [message["type"] for message in messages]
    assert kinds.index("attempt") == 1
    assert messages[1] == {"type": "attempt", "attempt": 2}
    assert messages[-1] == {"type": "end", "status": "failed"}


def test_who_resumes_the_running_attempt_is_told_of_the_next(server: Server, block: dict[str, int]) -> None:
    size = server.crowd.ask("write_lines('first try')")
    with server.open_log(f"?from={size}&attempt=1") as client:
        server.crowd.ask("write_lines('still the first')")
        assert texts([next_of(client)]) == ["still the first"]

        server.crowd.ask("[begin_again(), write_lines('second try'), end_block()] and 0")

        assert texts(until_end(client)) == ["second try"]


def test_an_older_attempt_that_is_asked_for_is_sent_whole_and_ends(server: Server, block: dict[str, int]) -> None:
    server.crowd.ask("[write_lines('first try'), begin_again(), write_lines('second try')] and 0")

    with server.open_log("?attempt=1") as client:
        messages = until_end(client)

    assert texts(messages) == ["first try"]
    assert messages[-1]["status"] == "running"


def test_three_readers_have_what_is_stored(server: Server, block: dict[str, int]) -> None:
    """One reads on, one reads slowly, one breaks off again and again."""
    readers = [Assembler(server), Assembler(server, pause=0.02), Assembler(server, breaks_off=True)]
    for reader in readers:
        reader.start()

    count = server.crowd.ask("write_for(1.0)")
    server.crowd.ask("end_block()")
    for reader in readers:
        reader.join(LONG * 2)

    stored = hashlib.sha256(server.crowd.ask("log_file()").encode()).hexdigest()
    assert count > 100
    assert [reader.digest() for reader in readers] == [stored] * 3


class Assembler(threading.Thread):
    """Puts the log's file together from what the server sends."""

    def __init__(self, server: Server, pause: float = 0, breaks_off: bool = False) -> None:
        super().__init__(daemon=True)
        self.server, self.pause, self.breaks_off = server, pause, breaks_off
        self.dice = random.Random(7)
        path = server.crowd.ask("_held[0].pk")
        self.address = f"/ws/block_runs/{path}/logs/?attempt=1&from="
        self.parts: list[bytes] = []
        self.offset = 0

    def run(self) -> None:
        while not self.read():
            pass

    def read(self) -> bool:
        authorization = {"Authorization": f"Bearer {self.server.token}"}
        with self.server.open(f"{self.address}{self.offset}", origin=None, session=None, **authorization) as client:
            while True:
                message = next_of(client)
                if message["type"] == "end":
                    return True
                for line in message["lines"]:
                    assert line.pop("o") == sum(map(len, self.parts))
                    self.parts.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                self.offset = message["next"]
                time.sleep(self.pause)
                if self.breaks_off and self.dice.random() < 0.4:
                    return False

    def digest(self) -> str:
        assert not self.is_alive(), "it never came to the end"
        return hashlib.sha256(b"".join(self.parts)).hexdigest()


def test_a_log_goes_on_after_the_database_was_away(server: Server, block: dict[str, int]) -> None:
    if server.crowd.kind == "sqlite":
        pytest.skip("SQLite cannot end sessions")
    with server.open_log("?attempt=1") as client:
        server.crowd.ask("write_lines('before')")
        assert texts([next_of(client)]) == ["before"]

        server.crowd.ask("end_other_sessions()")
        server.crowd.ask("[write_lines('after'), end_block()] and 0")

        assert texts(until_end(client)) == ["after"]


def test_clients_that_go_away_leave_nothing_behind(server: Server, block: dict[str, int]) -> None:
    descriptors = f"/proc/{server.process.pid}/fd"
    before = len(os.listdir(descriptors))

    for _ in range(20):
        server.open_log().socket.close()
    until = time.monotonic() + LONG
    while len(os.listdir(descriptors)) > before + 5:
        assert time.monotonic() < until
        server.crowd.ask("write_lines('is anybody there?')")

    server.crowd.ask("write_lines('welcome')")
    with server.open_log("?attempt=1") as client:
        assert texts([next_of(client)])[-1] == "welcome"


# --- logs, drawn for pages --------------------------------------------------------------------------------------------


def test_a_page_is_sent_lines_as_they_are_shown(server: Server, block: dict[str, int]) -> None:
    size = server.crowd.ask("write_lines('<b>one</b>', 'two')")
    with server.open_log("?format=html") as client:
        assert next_of(client)["type"] == "attempt"
        message = next_of(client)

        assert (message["type"], message["next"]) == ("lines", size)
        assert message["html"].count("<li id=") == 2
        assert '<bdi class="text">&lt;b&gt;one&lt;/b&gt;</bdi>' in message["html"]
        assert f'href="/runs/{block["run"]}/blocks/{block["block"]}/log/1/?at=0#L0"' in message["html"]


def test_of_a_flood_a_page_is_sent_the_end_and_told_so_and_a_program_all(server: Server, block: dict[str, int]) -> None:
    with server.open_log("?attempt=1&format=html") as page, server.open_log("?attempt=1") as program:
        server.crowd.ask("write_lines('first')")
        assert "first" in next_of(page)["html"]

        server.crowd.ask("write_lines(*(f'{n} ' + 'x' * 1000 for n in range(3000)))")
        server.crowd.ask("end_block()")
        html = "".join(message.get("html", "") for message in until_end(page))

        assert "came too fast to be shown here" in html
        assert ">2999 xx" in html
        assert html.count("<li id=") < 600
        assert [text.split()[0] for text in texts(until_end(program))] == ["first", *map(str, range(3000))]


@pytest.mark.parametrize(("said", "waits"), [("100", True), ("500", False), ("drawn", False), ("9" * 30, False)])
def test_a_page_that_still_draws_is_sent_no_more_until_it_says_how_far_it_is(said: str, waits: bool) -> None:
    async def waited() -> bool:
        consumer = LogConsumer()
        consumer.follower = LogFollower(consumer.send_json, 1, offset=500, is_page=True)
        await consumer.receive(said)
        waiting = asyncio.create_task(consumer.follower.page_has_drawn())
        await asyncio.sleep(0.01)
        did_wait = not waiting.done()
        await consumer.receive("500")
        await asyncio.wait_for(waiting, LONG)
        return did_wait

    assert asyncio.run(waited()) is waits
