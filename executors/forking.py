"""A worker's end of its fork server: it asks for children, each a process that waits for a job."""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executors.base import CannotStart
from executors.channel import Reader

ANSWER_SECONDS = 10.0  # a fork server that says nothing for so long hangs, in a library that it imports
HIDDEN_FROM_BLOCKS = (
    "DATABASE_URL",
    "SECRET_KEY",
    "SECRETS_KEYS",
    "REDIS_URL",
    "TEST_POSTGRES_URL",
    "DJANGO_SETTINGS_MODULE",
)
ROOT = Path(__file__).resolve().parent.parent


class ForkServerGone(Exception):
    """The fork server ended; the next child needs a new one."""


@dataclass(kw_only=True)
class Child:
    """A forked process that waits for a job, or runs one."""

    pid: int
    channel: socket.socket
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.channel.setblocking(False)
        self.reader = Reader(self.channel)


class ForkServer:
    """The worker's end of its fork server. One child is forked ahead, so that the next block starts at once."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = list(modules)
        self.folder = tempfile.mkdtemp(prefix="blocks-")  # TMPDIR of one block after the other
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.process = self.start(theirs)
        except OSError:
            self.control.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        finally:
            theirs.close()
        self.control.settimeout(ANSWER_SECONDS)
        self.watched: int | None = None  # the child whose end somebody waits for
        self.exit: dict[str, Any] | None = None
        self.spare: Child | None = None
        self.asked = False
        self.refusal = ""  # why the child that was asked for last could not be forked
        self.is_last = False  # the child that runs is the last: none is forked ahead any more
        self.missing: dict[str, str] = {}
        self.ask()

    def start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        env = {key: value for key, value in os.environ.items() if key not in HIDDEN_FROM_BLOCKS}
        env["PYTHONUNBUFFERED"] = "1"
        command = [sys.executable, "-m", "executors.fork_server", str(theirs.fileno()), *self.modules]
        return subprocess.Popen(
            command, cwd=ROOT, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def ask(self) -> None:
        """Have a child forked ahead, unless one is on its way."""
        if not self.asked and self.spare is None and not self.is_last:
            self.asked = True
            self.say({"fork": True})

    def stop_forking(self) -> None:
        """Keep nothing in stock: the child that runs now is the last one."""
        self.is_last = True
        self.drop_spare()

    def drop_spare(self) -> None:
        if self.spare:
            self.spare.channel.close()
            self.spare = None

    def take(self) -> Child:
        """Return a child that waits for a job; raise ForkServerGone, or CannotStart."""
        child, self.spare = self.stock(), None
        self.watched, self.exit = child.pid, None
        return child

    def stock(self) -> Child:
        """Have a child in stock that waits for a job, and return it; raise ForkServerGone, or CannotStart."""
        self.ask()
        while self.spare is None or self.has_news():
            self.hear()
            if self.spare is None and not self.asked:
                if self.refusal:
                    raise CannotStart(self.refusal)
                self.ask()
        return self.spare

    def has_news(self) -> bool:
        """Tell whether the server has said something, or is gone: then its spare child is gone too."""
        return bool(select.select([self.control], [], [], 0)[0])

    def hear(self) -> None:
        """Take in one message of the server, waiting for it."""
        try:
            data, files, _, _ = socket.recv_fds(self.control, 65536, 4)
        except TimeoutError as error:
            self.process.kill()
            raise ForkServerGone from error
        except OSError as error:
            raise ForkServerGone from error
        if not data:
            raise ForkServerGone
        message = json.loads(data)
        if "cannot" in message:
            self.asked, self.refusal = False, str(message["cannot"])
        elif "child" in message:
            self.asked, self.refusal = False, ""
            self.spare = Child(pid=message["child"], channel=socket.socket(fileno=files[0]))
            if self.is_last:
                self.drop_spare()
        elif "exit" in message:
            if message["exit"] == self.watched:
                self.exit = message
            if self.spare and self.spare.pid == message["exit"]:
                self.drop_spare()
        else:
            self.missing = message["missing"]

    def say(self, message: dict[str, Any]) -> None:
        try:
            self.control.send(json.dumps(message).encode())
        except OSError as error:
            raise ForkServerGone from error

    def close(self) -> None:
        """End the server and every child of it."""
        self.control.close()
        self.drop_spare()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear_folder(self) -> None:
        """Leave the next block an empty TMPDIR."""
        try:
            with os.scandir(self.folder) as entries:
                is_empty = next(entries, None) is None
        except FileNotFoundError:
            is_empty = False
        if not is_empty:
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # no room for it: blocks find another place, as anybody does
                os.makedirs(self.folder, mode=0o700, exist_ok=True)
