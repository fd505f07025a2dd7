"""A real web server on a crowd's database, and websockets to it as browsers and programs open them."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.runs.crowd import Crowd, gather
from tests.schedules.scratch import ROOT

LONG = 15.0  # seconds in which a message must have come


class Server:
    """uvicorn in a process of its own, a user's session and a program's token."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "orchestrator_site/web_server.py", str(listener.fileno())]
        self.log = crowd.folder / "server.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=crowd.env, pass_fds=[listener.fileno()], stdout=log, stderr=log
            )
        listener.close()
        self.session = crowd.ask("sign_in('ada')")
        self.token = crowd.ask("make_token('program', 'read')")

    def open(self, path: str, *, origin: str | None = "", session: str | None = "", **headers: str) -> ClientConnection:
        """Connect as ada's browser does, but for what is given."""
        cookie = {"Cookie": f"sessionid={session or self.session}"} if session is not None else {}
        return connect(
            f"ws://127.0.0.1:{self.port}{path}",
            origin=(self.origin if origin == "" else origin),
            additional_headers=cookie | headers,
            open_timeout=LONG,
            compression=None,
        )

    def open_log(self, query: str = "") -> ClientConnection:
        """Follow the log of the block begun last, as a program."""
        path = f"/ws/block_runs/{self.crowd.ask('_held[0].pk')}/logs/{query}"
        return self.open(path, origin=None, session=None, Authorization=f"Bearer {self.token}")


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Server]:
    with gather(kind, folder) as crowd:
        made = Server(crowd)
        yield made
        made.process.terminate()
        made.process.wait(20)
        assert "Traceback" not in made.log.read_text(), made.log.read_text()


def next_of(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(timeout=LONG))
    return message


def until_end(client: ClientConnection) -> list[dict[str, Any]]:
    messages = [next_of(client)]
    while messages[-1]["type"] != "end":
        messages.append(next_of(client))
    return messages


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [line["m"] for message in messages if message["type"] == "lines" for line in message["lines"]]


def code_of(client: ClientConnection) -> int:
    """Return the code with which the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=LONG)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code
