"""The supervisor of `start`: its processes begin, are mended and end as one tree.

Run by file name with a descriptor to read its plan (JSON) from. It imports nothing of ours and no Django, so that
what stays resident is small and holds no database connection.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds before a process that died is started again
WELL_AFTER = 30.0  # seconds that a process must live for its earlier deaths to be forgotten
LOOK_EVERY = 1.0  # seconds between looks at the watched folders
CLEAN_UP_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start, and what to say when the first page answers.

    `commands` are argument lists by the name that people read. `listener` is the web server's socket (a descriptor
    that stays open here, so that a restart refuses nobody), `ask` where to ask it for a page: [address, port, Host].
    """

    commands: dict[str, list[str]]
    environment: dict[str, str] = field(default_factory=dict)
    listener: int | None = None
    ask: tuple[str, int, str] | None = None
    greeting: str = ""
    stop_seconds: float = 4.5
    watch: tuple[str, ...] = ()


def replace_this_process(plan: Plan) -> NoReturn:
    """Become the supervisor: same process id, none of the memory and connections that set-up needed."""
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps(asdict(plan)).encode())
    os.close(write_end)
    for descriptor in (read_end, plan.listener):
        if descriptor is not None:
            os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", __file__, str(read_end)])  # noqa: S606


def main(argv: list[str]) -> int:
    with open(int(argv[0])) as file:
        plan = Plan(**json.load(file))
    if plan.listener is not None:
        os.set_inheritable(plan.listener, False)
    return Supervisor(plan).run()


class Supervisor:
    """One loop that waits for signals, for the first page, and for the next time to do something."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        environment = {**os.environ, **plan.environment}
        self.children = [Child(name, command, environment, plan.listener) for name, command in plan.commands.items()]
        self.stop_signals = 0
        self.selector = selectors.DefaultSelector()
        self.first_page = FirstPage(*plan.ask) if plan.ask else None
        self.folders = Folders(plan.watch)

    def run(self) -> int:
        """Return the exit code: 0 all ended by themselves, 1 some had to be ended, 130 if the user forced it."""
        self.take_charge()
        for child in self.children:
            child.start()
        while not self.stop_signals:
            self.greet()
            self.wait(self.seconds_to_wait())
            self.mend()
            self.reload()
        return self.stop()

    def take_charge(self) -> None:
        """Hear signals in `wait`; become the parent of whatever our children leave behind."""
        alarm, write_end = socket.socketpair()
        alarm.setblocking(False)
        write_end.setblocking(False)
        signal.set_wakeup_fd(write_end.fileno(), warn_on_full_buffer=False)
        self.alarm = (alarm, write_end)
        self.selector.register(alarm, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                signal.signal(number, self.on_stop_signal)
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)

    def on_stop_signal(self, *_: object) -> None:
        self.stop_signals += 1

    def seconds_to_wait(self) -> float | None:
        """Until something is to be done without being told; None: nothing is."""
        now = time.monotonic()
        times = [child.start_at - now for child in self.children if child.start_at is not None]
        if self.plan.watch:
            times.append(LOOK_EVERY)
        if self.first_page:
            times.append(FIRST_PAUSE)
        return max(0.0, min(times)) if times else None

    def wait(self, seconds: float | None) -> None:
        for key, _ in self.selector.select(seconds):
            if key.fileobj is self.alarm[0]:
                with contextlib.suppress(BlockingIOError):
                    self.alarm[0].recv(4096)
        self.reap()

    def reap(self) -> None:
        """Note every child that ended, and let go of orphans that came to us."""
        for pid, code in ended_processes():
            for child in self.children:
                if child.process and child.process.pid == pid:
                    child.process.returncode = code
                    child.note_end()

    def mend(self) -> None:
        """Start again what died, with growing pauses."""
        now = time.monotonic()
        for child in self.children:
            if child.process is None and child.start_at is None:
                pause = child.pause_before_restart(now)
                say(f"{child.name} ended unexpectedly ({child.how_it_ended}); starts again in {pause:g} s")
                child.start_at = now + pause
            elif child.start_at is not None and now >= child.start_at:
                child.start()

    def greet(self) -> None:
        """Say where the pages are as soon as one answers."""
        if self.first_page and self.first_page.has_come(self.selector):
            say(self.plan.greeting)
            self.first_page = None

    def reload(self) -> None:
        if changed := self.folders.changed():
            say(f"{changed} changed; starting again")
            self.end_children(self.plan.stop_seconds)
            for child in self.children:
                child.start()

    def stop(self) -> int:
        say("Stopping … (Ctrl-C again to end everything at once)")
        late = self.end_children(self.plan.stop_seconds)
        end_descendants()
        if self.stop_signals > 1:
            return 130
        for name in late:
            say(f"{name} did not stop within {self.plan.stop_seconds:g} s and was ended")
        return 1 if late else 0

    def end_children(self, seconds: float) -> list[str]:
        """Ask all to stop; end what is left after `seconds` or at the second Ctrl-C. Return the names of those."""
        deadline = time.monotonic() + seconds
        for child in self.children:
            child.start_at = None
            child.ask_to_stop()
        while self.living() and self.stop_signals < 2 and time.monotonic() < deadline:
            self.wait(max(0.0, deadline - time.monotonic()))
        late = self.living()
        for child in late:
            child.kill()
        while self.living():
            self.wait(1.0)
        return [child.name for child in late]

    def living(self) -> list["Child"]:
        return [child for child in self.children if child.process]


class Child:
    """One process of the tree, in a session of its own, that dies with us whatever happens."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], listener: int | None) -> None:
        self.name, self.command, self.environment = name, command, environment
        self.shared = () if listener is None else (listener,)
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at: float | None = None
        self.deaths = 0
        self.how_it_ended = ""

    def start(self) -> None:
        self.start_at, self.started_at = None, time.monotonic()
        try:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=self.shared,
                preexec_fn=die_with_parent,
            )
        except OSError as error:  # no more processes, for example: tried again like one that died
            self.how_it_ended = error.strerror or str(error)

    def ask_to_stop(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def note_end(self) -> None:
        assert self.process is not None
        code = self.process.returncode
        self.how_it_ended = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        self.process = None

    def pause_before_restart(self, now: float) -> float:
        self.deaths = 0 if now - self.started_at > WELL_AFTER else self.deaths
        self.deaths += 1
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self.deaths - 1))


class FirstPage:
    """Asks the web server for a page. The socket listens already, so the question waits there until it is up."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self.address, self.host = (address, port), host
        self.connection: socket.socket | None = None

    def has_come(self, selector: selectors.BaseSelector) -> bool:
        """Look without waiting; `selector` is woken when the answer comes."""
        try:
            if self.connection is None:
                self.connection = socket.create_connection(self.address, timeout=1)
                self.connection.sendall(f"GET / HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
                self.connection.setblocking(False)
                selector.register(self.connection, selectors.EVENT_READ)
            answer = self.connection.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            answer = b""
        if self.connection is not None:  # it came, or the server died over it: then ask again
            with contextlib.suppress(KeyError):
                selector.unregister(self.connection)
            self.connection.close()
            self.connection = None
        return answer.startswith(b"HTTP/1.1 ")


class Folders:
    """Our own code and templates, looked at every second."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self.folders = folders
        self.looked_at = time.monotonic()
        self.seen = self.look()

    def look(self) -> dict[str, int]:
        found = {}
        for path in (path for folder in self.folders for path in Path(folder).rglob("*")):
            if path.suffix in (".py", ".html"):
                with contextlib.suppress(OSError):
                    found[str(path)] = path.stat().st_mtime_ns
        return found

    def changed(self) -> str:
        """Return the name of a file that is new, changed or gone since the last look, or nothing."""
        if not self.folders or time.monotonic() - self.looked_at < LOOK_EVERY:
            return ""
        self.looked_at = time.monotonic()
        before, self.seen = self.seen, self.look()
        different = before.items() ^ self.seen.items()
        return Path(min(different)[0]).name if different else ""


def die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def ended_processes() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def end_descendants() -> None:
    """Kill what our children left behind: each round reaches those whose parent died in the last."""
    until = time.monotonic() + CLEAN_UP_SECONDS
    while time.monotonic() < until:
        orphans = own_children()
        if not orphans:
            return
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def own_children() -> list[int]:
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children") as file:
        return [int(pid) for pid in file.read().split()]


def say(text: Any) -> None:
    """Print a line at once; a reader that went away is not waited for."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
