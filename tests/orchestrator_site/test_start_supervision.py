"""The supervisor with real processes, but none of ours: how a tree begins, is mended and ends."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator_site import supervision
from orchestrator_site.supervision import Child, Folders, Plan

pytestmark = pytest.mark.processes
SLEEP = ["sleep", "60"]
PAGE_SERVER = """
import os, socket, sys, time
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    asked = connection.recv(4096)
    connection.sendall(b"HTTP/1.1 302 Found\\r\\n\\r\\n")
    connection.close()
    os.write(1, asked.split(b"\\r\\n")[1] + b"\\n")  # a line at once: the supervisor speaks too
"""


class Tree:
    """A supervisor with its plan; what it says, line by line."""

    def __init__(self, plan: Plan) -> None:
        read_end, write_end = os.pipe()
        os.write(write_end, json.dumps(asdict(plan)).encode())
        os.close(write_end)
        shared = [read_end] if plan.listener is None else [read_end, plan.listener]
        self.process = subprocess.Popen(
            [sys.executable, "-P", supervision.__file__, str(read_end)],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=shared,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        os.close(read_end)

    def hears(self, words: str) -> str:
        """Return the next line that has the words in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if words in line:
                return line.rstrip("\n")
        raise AssertionError(f"{words!r} was never said")

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ends_with(self, code: int, seconds: float = 30) -> str:
        """Wait for the end; return the rest of what was said."""
        rest, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == code, rest
        return str(rest)


@pytest.fixture
def supervise() -> Iterator[Callable[..., Tree]]:
    trees: list[Tree] = []

    def start(*commands: list[str], **fields: Any) -> Tree:
        plan = Plan(commands={f"Process {number}": command for number, command in enumerate(commands, 1)}, **fields)
        trees.append(Tree(plan))
        return trees[-1]

    yield start
    for tree in trees:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in tree.descendants():
                process.kill()
        tree.process.kill()
        tree.process.wait()
        assert tree.process.stdout is not None
        tree.process.stdout.close()


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_ctrl_c_ends_everything_and_that_is_a_success(supervise: Callable[..., Tree]) -> None:
    tree = supervise(SLEEP, SLEEP)
    processes = wait_until(lambda: len(found := tree.descendants()) == 2 and found)

    tree.process.send_signal(signal.SIGINT)

    assert "Stopping" in tree.ends_with(0)
    assert not [process for process in processes if process.is_running()]


def test_a_process_that_does_not_stop_is_ended_and_named(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    deaf = shell(f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.1; done")
    tree = supervise(deaf, SLEEP, stop_seconds=0.5)
    wait_until((tmp_path / "deaf").exists)

    tree.process.terminate()

    said = tree.ends_with(1)
    assert "Process 1 did not stop within 0.5 s and was ended" in said
    assert "Process 2" not in said


def test_a_second_ctrl_c_ends_everything_at_once(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    deaf = shell(f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.1; done")
    tree = supervise(deaf, stop_seconds=60)
    wait_until((tmp_path / "deaf").exists)

    tree.process.send_signal(signal.SIGINT)
    tree.hears("Stopping")
    tree.process.send_signal(signal.SIGINT)

    tree.ends_with(130)


def test_a_process_that_died_is_started_again(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    tree = supervise(shell(f"echo began >> {tmp_path}/log; exec sleep 60"))
    (process,) = wait_until(tree.descendants)
    wait_until((tmp_path / "log").exists)

    process.kill()

    assert tree.hears("Process 1") == "Process 1 ended unexpectedly (SIGKILL); starts again in 0.5 s"
    wait_until(lambda: (tmp_path / "log").read_text() == "began\nbegan\n")


def test_a_program_that_cannot_be_started_is_tried_again(supervise: Callable[..., Tree]) -> None:
    tree = supervise(["/no/such/program"])

    assert tree.hears("Process 1").startswith("Process 1 ended unexpectedly (No such file or directory)")
    tree.hears("starts again in 1 s")


def test_it_outlives_the_terminal_under_nohup(supervise: Callable[..., Tree]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    tree = supervise(SLEEP)
    signal.signal(signal.SIGHUP, before)
    wait_until(tree.descendants)

    tree.process.send_signal(signal.SIGHUP)
    tree.process.terminate()

    assert "Stopping" in tree.ends_with(0)


def test_pauses_grow_while_a_process_keeps_dying() -> None:
    child = Child("it", SLEEP, {}, None)

    pauses = [child.pause_before_restart(now=1.0) for _ in range(7)]

    assert pauses == [0.5, 1, 2, 4, 8, 10, 10]
    assert child.pause_before_restart(now=100.0) == 0.5, "it has lived well since"


def test_what_has_left_its_session_ends_too(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    tree = supervise(shell(f"setsid sleep 61 & setsid setsid sleep 62 & touch {tmp_path}/ready; exec sleep 60"))
    wait_until((tmp_path / "ready").exists)
    processes = wait_until(lambda: len(found := tree.descendants()) >= 3 and found)

    tree.process.terminate()

    tree.ends_with(0)
    assert not [process for process in processes if process.is_running()]


def test_a_killed_supervisor_takes_its_processes_along(supervise: Callable[..., Tree]) -> None:
    tree = supervise(SLEEP)
    (process,) = wait_until(tree.descendants)

    tree.process.kill()

    wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def test_the_greeting_waits_for_the_first_page(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port, descriptor = listener.getsockname()[1], listener.fileno()
    server = shell(f"touch {tmp_path}/up; exec {sys.executable} -c '{PAGE_SERVER}' {descriptor}")

    tree = supervise(server, listener=descriptor, ask=("127.0.0.1", port, "here:1"), greeting="Ready")

    said = sorted([tree.hears(""), tree.hears("")])
    assert said == ["Host: here:1", "Ready"]
    assert (tmp_path / "up").exists()
    listener.close()


def test_the_first_page_is_asked_for_again_when_the_server_died_over_it(
    supervise: Callable[..., Tree], tmp_path: Path
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port, descriptor = listener.getsockname()[1], listener.fileno()
    dies = f"{sys.executable} -c 'import socket; socket.socket(fileno={descriptor}).accept()'"
    once = f"if [ ! -e {tmp_path}/died ]; then touch {tmp_path}/died; {dies}; exit 1; fi"
    server = shell(f"{once}; exec {sys.executable} -c '{PAGE_SERVER}' {descriptor}")

    tree = supervise(server, listener=descriptor, ask=("127.0.0.1", port, "here"), greeting="Ready")

    tree.hears("ended unexpectedly (exit code 1)")
    tree.hears("Ready")
    listener.close()


def test_a_changed_file_starts_everything_again(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "views.py").write_text("first = 1")
    tree = supervise(shell(f"echo began >> {tmp_path}/log; exec sleep 60"), watch=(str(code),))
    wait_until((tmp_path / "log").exists)

    (code / "views.py").write_text("second = 2, and longer")
    os.utime(code / "views.py", (1, 1))

    assert tree.hears("changed") == "views.py changed; starting again"
    wait_until(lambda: (tmp_path / "log").read_text() == "began\nbegan\n")


def test_only_code_and_templates_are_watched(tmp_path: Path) -> None:
    folders = Folders((str(tmp_path),))
    for name in ("page.html", "notes.txt", "data.csv"):
        (tmp_path / name).write_text("new")
    folders.looked_at -= 60

    assert folders.changed() == "page.html"
    assert folders.changed() == "", "the next look is a second later"


def test_a_closed_terminal_does_not_disturb_it(supervise: Callable[..., Tree], tmp_path: Path) -> None:
    tree = supervise(shell(f"echo began >> {tmp_path}/log; exec sleep 60"))
    (process,) = wait_until(tree.descendants)
    wait_until((tmp_path / "log").exists)
    assert tree.process.stdout is not None
    tree.process.stdout.close()

    process.kill()

    wait_until(lambda: (tmp_path / "log").read_text() == "began\nbegan\n")
    tree.process.terminate()
    assert tree.process.wait(10) == 0
