"""A process tree of ours for measuring: started with `manage.py start`, asked over HTTP, weighed with psutil."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from benchmarks.workloads import write_project

ROOT = Path(__file__).resolve().parent.parent
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


class Tree:
    """`with Tree("sqlite") as tree`: running and warm; everything of it is gone afterwards."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.folder = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
        self.events = self.folder / "events.txt"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **os.environ,
            "ORCHESTRATOR_DATA_DIR": str(self.folder / "data"),
            "ORCHESTRATOR_PROJECT": str(self.folder / "project"),
            "BENCH_EVENTS": str(self.events),
            "LOG_LEVEL": "WARNING",
        }
        if database == "postgres":
            self.env |= {"DATABASE_URL": scratch_database(), "REDIS_URL": REDIS}

    def __enter__(self) -> "Tree":
        write_project(self.folder / "project")
        self.events.touch()
        self.first_page = self.start()
        self.token = self.manage("create_token", "admin", "--scopes", "read,run,write").strip()
        self.run("single")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.database == "postgres":
            drop_database(self.env["DATABASE_URL"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> float:
        """Start and return the seconds until the first page answered."""
        began = time.monotonic()
        command = [sys.executable, "manage.py", "start", "--port", str(self.port)]
        self.log = open(self.folder / "start.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=self.log, stderr=self.log)
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/login/", timeout=5).close()
                return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > 60:
                    self.process.terminate()  # nobody else would, as there is nothing to leave yet
                    raise RuntimeError((self.folder / "start.log").read_text()[-3000:]) from None
                time.sleep(0.02)

    def stop(self) -> float:
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(20)
        return time.monotonic() - began

    def manage(self, *words: str) -> str:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True).stdout

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def trigger(self, pipeline: str) -> tuple[int, float]:
        """Trigger by the API; return the run's id and the moment the request was sent."""
        sent = time.time()
        answer = self.call("POST", f"/api/v1/pipelines/{pipeline}/pipeline_runs/", {"variables": {}})
        return answer["id"], sent

    def run(self, pipeline: str) -> tuple[dict[str, Any], float]:
        """Trigger a run and wait for its end; return it as the API tells it and when the request was sent."""
        run_id, sent = self.trigger(pipeline)
        return self.finished(run_id), sent

    def finished(self, run_id: int) -> dict[str, Any]:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            run: dict[str, Any] = self.call("GET", f"/api/v1/pipeline_runs/{run_id}/")
            if run["completed_at"]:
                if run["status"] != "completed":
                    raise RuntimeError(f"run {run_id} is {run['status']}")
                return run
            time.sleep(0.1)
        raise TimeoutError(f"run {run_id} did not finish")

    def event_lines(self) -> list[list[str]]:
        return [line.split() for line in self.events.read_text().splitlines()]

    def processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def scratch_database(purpose: str = "tree") -> str:
    name = f"orchestrator_bench_{purpose}_{os.getpid()}"
    execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    return POSTGRES.rsplit("/", 1)[0] + f"/{name}"


def drop_database(url: str) -> None:
    execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")


def execute(*statements: str) -> None:
    connection = psycopg2.connect(POSTGRES, connect_timeout=3)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()
