"""Real servers on this machine that take messages, and what they were told to answer."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Got:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A web server. `answers` are (status, headers, body), the last of which is repeated."""

    url: str
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(204, {}, b"")])
    arrived: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def answer(self, *statuses: int, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers = [(status, named, body) for status in statuses]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.receiver = it = Receiver(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    it.may_answer.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield it
    finally:
        it.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        it: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        it.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        it.arrived.set()
        it.may_answer.wait(30)
        status, headers, answer = it.answers.pop(0) if len(it.answers) > 1 else it.answers[0]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


class Mailbox:
    """What a mail server took; `refuse` is what it says to the next receivers instead."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.refuse = ""
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append(envelope)
        return "250 OK"


class AnyPort(Controller):
    def _trigger_server(self) -> None:
        """Greet itself at the port that the system has chosen."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        box.port = controller.port
        yield box
    finally:
        controller.stop()


@dataclass
class Drip:
    """A server that sends a byte now and then for ever; `taken` are the letters that it took before."""

    port: int
    taken: list[bytes] = field(default_factory=list)
    has_begun: threading.Event = field(default_factory=threading.Event)  # to drip
    is_left: threading.Event = field(default_factory=threading.Event)  # who was connected has gone


@contextmanager
def dripping(at: str = "") -> Iterator[Drip]:
    """A mail server that is as others until it hears `at` ("" before it says hello), and drips from then on."""
    listener = socket.create_server(("127.0.0.1", 0))
    drip, end = Drip(listener.getsockname()[1]), threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = listener.accept()
                with line, contextlib.suppress(OSError):
                    talk(line, at, drip)
                    drip.has_begun.set()
                    while not end.wait(0.02):
                        line.sendall(b"2")
                drip.is_left.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield drip
    finally:
        end.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def talk(line: socket.socket, at: str, drip: Drip) -> None:
    """Speak as a mail server does, until `at` is heard."""
    if not at:
        return
    line.sendall(b"220 hello\r\n")
    heard = b""
    while not heard.upper().startswith(at.encode()):
        heard = line.recv(65_536)
        if not heard:
            raise ConnectionError
        if heard.upper().startswith(b"DATA"):
            line.sendall(b"354 go on\r\n")
            letter = b""
            while not letter.endswith(b"\r\n.\r\n"):
                letter += line.recv(65_536)
            drip.taken.append(letter)
            if at == "DATA":
                return
        if not heard.upper().startswith(at.encode()):
            line.sendall(b"250 fine\r\n")
