"""A whole installation under our hands: its own database, its processes as `manage.py start` makes them, its API."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil

from tests.faults.project import write_project
from tests.faults.rows import Rows
from tests.faults.servers import Postgres, Redis, free_port, own_servers
from tests.faults.witness import Witness

ROOT = Path(__file__).resolve().parents[2]
NEW_HOST_NAME = 0x04000000  # CLONE_NEWUTS


class Part:
    """One `manage.py start`: a supervisor and its processes, perhaps on what looks like another host."""

    def __init__(self, tree: "Tree", name: str, arguments: Sequence[str], port: int = 0, host: str = "") -> None:
        self.tree, self.name, self.port, self.host = tree, name, port, host
        self.arguments = [*arguments, *(["--port", str(port)] if port else [])]
        self.process: subprocess.Popen[bytes] | None = None
        self.env: dict[str, str] = {}

    def start(self) -> None:
        log = open(self.tree.folder / f"{self.name}.log", "ab")  # noqa: SIM115
        command = [sys.executable, str(ROOT / "manage.py"), "start", *self.arguments]
        named = (lambda: take_host_name(self.host)) if self.host else None
        env = {**self.tree.env, **self.env}
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, preexec_fn=named)
        log.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def said(self) -> str:
        return (self.tree.folder / f"{self.name}.log").read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        if not self.is_up() or self.process is None:
            return []
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def children_named(self, *words: str) -> list[psutil.Process]:
        """The supervisor's own children whose command line has all the words."""
        own = [one for one in self.processes()[1:] if self.process and parent_of(one) == self.process.pid]
        return [one for one in own if all(word in command_of(one) for word in words)]

    def stop(self, seconds: float = 60.0) -> float:
        """Ask it to stop; return how long it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Tree:
    """`parts` are started by `start` and are started again by whoever killed one as a whole."""

    def __init__(self, kind: str, folder: Path, servers: tuple[Postgres, Redis] | None, triggers: int = 10) -> None:
        self.kind, self.folder = kind, folder
        self.postgres, self.redis = servers or (None, None)
        self.witness = Witness(folder / "witness")
        self.project = write_project(folder / "project", self.witness, triggers)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        self.env = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "PYTHONPATH": str(ROOT),
            "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
            "ORCHESTRATOR_PROJECT": str(self.project),
            "DATABASE_URL": self.postgres.url if self.postgres else "",
            "REDIS_URL": self.redis.url if self.redis else "",
            "PYTHONUNBUFFERED": "1",
        }
        self.rows = Rows(str(folder / "data" / "orchestrator.sqlite3"), self.postgres)
        self.parts = self.make_parts()
        self.token = ""

    def make_parts(self) -> list[Part]:
        """One tree on SQLite; on Postgres two hosts, two web servers, two schedulers, two clusters of workers."""
        if self.kind == "sqlite":
            return [Part(self, "all", ["--workers", "3"], free_port())]
        other = "other" if may_name_hosts() else ""
        return [
            Part(self, "all", ["--workers", "2"], free_port()),
            Part(self, "web", ["--instance-type", "web_server"], free_port()),
            Part(self, "scheduler", ["--instance-type", "scheduler", "--workers", "0"], host=other),
            Part(self, "worker", ["--instance-type", "worker", "--workers", "2"], host=other),
        ]

    # --- begin and end

    def start(self) -> None:
        self.parts[0].start()
        self.wait_for_pages(self.parts[0])
        for part in self.parts[1:]:
            part.start()
        for part in self.webs():
            self.wait_for_pages(part)
        self.token = self.manage("create_token", "admin", "--scopes", "read,run,write").strip()
        wanted = 3 if self.kind == "sqlite" else 4
        wait_until(lambda: len(self.workers()) >= wanted, 120)

    def wait_for_pages(self, part: Part) -> None:
        def answers() -> bool:
            assert part.is_up(), part.said()[-3000:]
            return get(f"{part.url}/login/") == 200

        wait_until(answers, 150, f"no page of {part.name}")

    def manage(self, *words: str) -> str:
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for part in self.parts:
            part.kill()
        for process in self.left():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def webs(self) -> list[Part]:
        return [part for part in self.parts if part.port]

    # --- its processes

    def workers(self) -> list[psutil.Process]:
        """The workers that are warm: each is the parent of a fork server (whose own children are forked from it)."""
        ours = {one.pid: one for one in self.processes()}
        servers = [one for one in ours.values() if "executors.fork_server" in command_of(one)]
        parents = {pid: ours[pid] for one in servers if (pid := parent_of(one)) in ours}
        return [one for one in parents.values() if is_of_cluster(one)]

    def processes(self) -> list[psutil.Process]:
        return [process for part in self.parts for process in part.processes()]

    def sentinels(self) -> list[psutil.Process]:
        """The parents of the workers, which guard them."""
        ours = {one.pid: one for one in self.processes()}
        found = {pid for worker in self.workers() if (pid := parent_of(worker)) in ours}
        return [ours[pid] for pid in found if is_of_cluster(ours[pid])]

    def left(self) -> list[psutil.Process]:
        """Every process of the machine that was born of this tree, wherever it has gone."""
        mark = f"ORCHESTRATOR_DATA_DIR={self.env['ORCHESTRATOR_DATA_DIR']}".encode()
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(OSError, psutil.NoSuchProcess):
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(psutil.Process(pid))
        return [one for one in found if one.is_running() and status_of(one) != psutil.STATUS_ZOMBIE]

    # --- its API

    def call(
        self, method: str, path: str, body: Any = None, part: Part | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Return the status and the JSON of an answer; raises OSError where there is none."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{(part or self.webs()[0]).url}/api/v1/{path}", data, method=method)
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        for name, value in (given | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with contextlib.suppress(ValueError):
                return error.code, json.load(error)
            return error.code, None

    def trigger(self, pipeline: str, **variables: Any) -> int:
        status, run = self.call("POST", f"pipelines/{pipeline}/pipeline_runs", {"variables": variables})
        assert status in (200, 201, 202), (status, run)
        return int(run["id"])

    def status(self, run: int) -> str:
        return str(self.rows.one(f"SELECT status FROM runs_pipelinerun WHERE id = {run}"))

    def finished(self, run: int, seconds: float = 60.0) -> str:
        wait_until(lambda: self.status(run) in ("completed", "failed", "cancelled"), seconds)
        return self.status(run)


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def parent_of(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0


def is_of_cluster(process: psutil.Process) -> bool:
    """Tell whether a process is forked from what the supervisor started to work: it has the same command line."""
    return any(word in command_of(process) for word in ("manage.py run_scheduler", "manage.py qcluster"))


def status_of(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def may_name_hosts() -> bool:
    """Tell whether a process of ours may have a host name of its own (root may, in most containers)."""
    test = [sys.executable, "-c", "import ctypes; exit(ctypes.CDLL(None).unshare(0x04000000) != 0)"]
    return subprocess.run(test, check=False).returncode == 0


def take_host_name(name: str) -> None:
    import ctypes

    ctypes.CDLL(None).unshare(NEW_HOST_NAME)
    socket.sethostname(name)


def wait_until(condition: Callable[[], Any], seconds: float = 30.0, what: str = "it did not come to pass") -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, what
        time.sleep(0.05)
    return found


@contextmanager
def planted(kind: str, triggers: int = 0) -> Iterator[Tree]:
    """A tree in a folder of its own, with servers of its own; not started."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        with own_servers() if kind == "postgres" else nullcontext() as servers:
            tree = Tree(kind, folder, servers, triggers)
            try:
                yield tree
            finally:
                tree.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
