"""A database of its own and real processes of ours on it, told by line what to do."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.runs.small_project import write_project
from tests.schedules.scratch import ROOT, database_of

PRELUDE = "import django; django.setup(); from tests.runs.process import *; answer_in_copies(sys.argv[1:])"


class Member:
    """A process that evaluates expressions with the names of tests.runs.process."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel, self.lines = channel, channel.makefile("rw")

    def tell(self, code: str) -> None:
        self.lines.write(json.dumps(code) + "\n")
        self.lines.flush()

    def hear(self) -> Any:
        """Return what the expression told last is, by way of JSON."""
        found = json.loads(self.lines.readline())
        assert "raised" not in found, found["raised"]
        return found["is"]

    def ask(self, code: str) -> Any:
        self.tell(code)
        return self.hear()

    def close(self) -> None:
        self.lines.close()
        self.channel.close()


class Crowd:
    """`env` is the environment in which everything happens."""

    def __init__(self, kind: str, folder: Path, url: str, size: int) -> None:
        self.kind, self.folder = kind, folder
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
            "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
            "ORCHESTRATOR_PROJECT": str(write_project(folder / "project")),
            "DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
        }
        pairs = [socket.socketpair() for _ in range(size)]
        theirs = [pair[1].fileno() for pair in pairs]
        command = [sys.executable, "-c", PRELUDE, *map(str, theirs)]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, pass_fds=theirs, start_new_session=True)
        for pair in pairs:
            pair[1].close()
        self.members = [Member(ours) for ours, _ in pairs]
        self.ask("None")  # whoever answers has started

    def ask(self, code: str) -> Any:
        return self.members[0].ask(code)

    def ask_all(self, *codes: str) -> list[Any]:
        """Have as many members as there are expressions evaluate them at the same time."""
        members = self.members[: len(codes)]
        for member, code in zip(members, codes, strict=True):
            member.tell(code)
        return [member.hear() for member in members]

    def close(self) -> None:
        for member in self.members:
            member.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def gather(kind: str, folder: Path, size: int = 1) -> Iterator[Crowd]:
    with database_of(kind, folder / "data" / "orchestrator.sqlite3") as url:
        crowd = Crowd(kind, folder, url, size)
        try:
            yield crowd
        finally:
            crowd.close()


class Tree:
    """`run_scheduler` with its workers, in a process group of its own."""

    def __init__(self, crowd: Crowd, workers: int = 2, **environment: str) -> None:
        self.workers = workers
        command = [sys.executable, "manage.py", "run_scheduler", "--workers", str(workers)]
        self.log = open(crowd.folder / "tree.log", "ab")  # noqa: SIM115  # closed by close()
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**crowd.env, **environment}, stderr=self.log, start_new_session=True
        )
        self.seen: set[psutil.Process] = set()
        try:
            wait_until(lambda: len(self.worker_processes()) == workers)
        except BaseException:
            self.close()
            raise

    def worker_processes(self) -> list[psutil.Process]:
        """The workers that are warm: each has a fork server, which may have children."""
        servers = {found for found in self.processes() if "executors.fork_server" in command_of(found)}
        return [parent for parent in map(parent_of, servers) if parent and parent not in servers]

    def processes(self) -> set[psutil.Process]:
        """Every process of the tree that was ever seen and lives."""
        if self.process.poll() is None:
            root = psutil.Process(self.process.pid)
            self.seen |= {root, *root.children(recursive=True)}
        return {process for process in self.seen if is_alive(process)}

    def signal_all(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def close(self) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def parent_of(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.NoSuchProcess:
        return None


def command_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found
