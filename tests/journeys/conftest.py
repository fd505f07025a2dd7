"""A whole tree of ours, as `manage.py start` makes it, and hands to work it with."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.runs.small_project import write_project
from tests.schedules.scratch import postgres_database

ROOT = Path(__file__).resolve().parents[2]
STOPS_WITHIN = 5.0  # seconds, running blocks included


class Tree:
    """One data folder and database with a project; started, stopped and started again."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.project = write_project(folder / "project")
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
            "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
            "DATABASE_URL": database_url,
            "REDIS_URL": "",
            "WORKERS": "2",
            "PYTHONUNBUFFERED": "1",
        }
        self.env.pop("DRAIN_SECONDS", None)
        self.said: list[str] = []  # by the newest start
        self.password = self._token = ""
        self.seen: set[psutil.Process] = set()
        self.process: subprocess.Popen[str] | None = None

    # --- begin and end

    def start(self, *arguments: str) -> "Tree":
        """Start and wait until the first page answers (or, without pages, until the processes run)."""
        command = [sys.executable, str(ROOT / "manage.py"), "start", str(self.project), *arguments]
        self.said = []
        self.errors = open(self.folder / "stderr", "a")  # noqa: SIM115  # closed by stop
        self.process = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.read_until("Ready: " if "--port" in arguments else "project ")
        for line in self.said:
            if found := re.search(r"Ready: (\S+)/ ", line):
                self.url = found[1]
            if found := re.search(r"as admin with the password (\S+)", line):
                self.password = found[1]
        return self

    def read_until(self, words: str) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if words in line:
                return line
        raise AssertionError(f"{words!r} was never said: {self.said} {(self.folder / 'stderr').read_text()}")

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop as Ctrl-C does; nothing may be left, and it may not take long."""
        assert self.process is not None
        processes, began = self.processes(), time.monotonic()
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=30)
        took = time.monotonic() - began
        self.said += out.splitlines()
        self.errors.close()
        code, self.process = self.process.returncode, None
        left = [process for process in self.seen | processes if is_at_work(process)]
        assert not left, f"left behind: {left}"
        assert code == 0, self.said
        assert took <= STOPS_WITHIN, f"stopping took {took:.1f} s: {self.said}"

    def processes(self) -> set[psutil.Process]:
        assert self.process is not None
        self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))
        return {process for process in self.seen if is_at_work(process)}

    def process_named(self, *words: str) -> psutil.Process:
        """Return the topmost process whose command line has all the words."""
        assert self.process is not None
        for process in psutil.Process(self.process.pid).children():
            if all(word in " ".join(process.cmdline()) for word in words):
                return process
        raise AssertionError(f"no process {words}")

    def kill(self) -> None:
        """End whatever is left; for the end of a test that failed."""
        if self.process is not None:
            for process in [*self.processes(), psutil.Process(self.process.pid)]:
                if is_at_work(process):
                    process.kill()
            self.process.communicate()
            self.errors.close()
            self.process = None

    # --- at work

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        env = {**self.env, "ORCHESTRATOR_PROJECT": str(self.project)}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    @property
    def token(self) -> str:
        if not self._token:
            made = self.manage("create_token", "admin", "--scopes", "read,run,write")
            assert made.returncode == 0, made.stderr
            self._token = made.stdout.strip()
        return self._token

    def api(self, path: str, body: Any = None) -> Any:
        """GET, or POST the body; return the answer's JSON. An error answer raises with what it says."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error

    def trigger(self, pipeline: str, **variables: Any) -> int:
        run = self.api(f"pipelines/{pipeline}/pipeline_runs", {"variables": variables})
        return int(run["id"])

    def run(self, run_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.api(f"pipeline_runs/{run_id}")
        return found

    def block(self, run_id: int) -> dict[str, Any]:
        """Return the run's first block run, with everything that is told of one."""
        found: dict[str, Any] = self.api(f"block_runs/{self.run(run_id)['block_runs'][0]['id']}")
        return found

    def finished(self, run_id: int, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until the run is finished and return it."""

        def is_over() -> dict[str, Any] | None:
            run = self.run(run_id)
            return run if run["completed_at"] else None

        found: dict[str, Any] = wait_until(is_over, seconds)
        return found


def is_at_work(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A scratch database on the Postgres server; skips where none answers."""
    with postgres_database() as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A data folder, a database and a project for the stories of one module; nothing runs yet."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    tree = Tree(tmp_path_factory.mktemp("tree"), url)
    try:
        yield tree
        if tree.process is not None:
            tree.stop()
    finally:
        tree.kill()


@pytest.fixture
def tree(installation: Tree) -> Tree:
    """The tree, running; a story may stop it."""
    if installation.process is not None and installation.process.poll() is not None:
        installation.kill()
    return installation if installation.process else installation.start("--port", "0")
