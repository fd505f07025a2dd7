"""The API as programs meet it: a real server, real sockets, many at once."""

import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import migrated
from tests.pipelines.project_on_disk import ProjectOnDisk

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
START = "/api/v1/pipelines/etl/pipeline_runs"
NewRuns = Callable[[], set[int]]
REFRESH = "from django.conf import settings; from pipelines import catalog; catalog.refresh(settings.PROJECT_DIR)"


@dataclass(frozen=True)
class Installation:
    """A project, a database and a token, with no process yet."""

    env: dict[str, str]
    token: str
    database: Path

    def runs(self) -> set[int]:
        with sqlite3.connect(self.database) as connection:
            return {row[0] for row in connection.execute("SELECT id FROM runs_pipelinerun")}


@dataclass(frozen=True)
class Server:
    """A web server without workers: runs are accepted and stay queued."""

    installation: Installation
    process: subprocess.Popen[bytes]
    port: int

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        for name, value in (self.headers() | headers).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.installation.token}", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("api")
    ProjectOnDisk(folder / "project").chain("load", "save")
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"ORCHESTRATOR_DATA_DIR": str(folder / "data"), "ORCHESTRATOR_PROJECT": str(folder / "project")}
    env |= {"DJANGO_SETTINGS_MODULE": "orchestrator_site.settings", "DJANGO_SUPERUSER_PASSWORD": "correct horse"}

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    migrated.copy_sqlite(folder / "data" / "orchestrator.sqlite3")
    manage("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com")
    manage("shell", "-v0", "-c", REFRESH)
    token = manage("create_token", "ada", "--scopes", "read,run,write").strip()
    return Installation(env, token, folder / "data" / "orchestrator.sqlite3")


@contextmanager
def running(installation: Installation) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "orchestrator_site.asgi:application", "--port", str(port)]
    with subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT, env=installation.env) as process:
        try:
            server = Server(installation, process, port)
            wait_until_ready(server)
            yield server
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    with running(installation) as server:
        yield server


@pytest.fixture
def new_runs(installation: Installation) -> Callable[[], set[int]]:
    before = installation.runs()
    return lambda: installation.runs() - before


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(server: Server) -> None:
    for _ in range(300):
        try:
            assert server.call("GET", "/readyz")[0] == 200
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer within 30 s")


def test_twenty_parallel_repeats_start_one_run(server: Server, new_runs: NewRuns) -> None:
    with ThreadPoolExecutor(20) as pool:
        key = {"Idempotency-Key": "nightly-2025-03-02"}
        answers = list(pool.map(lambda _: server.call("POST", START, {"variables": {"a": 1}}, **key), range(20)))

    assert sorted({status for status, _ in answers}) == [200, 201]
    assert [status for status, _ in answers].count(201) == 1
    assert {body["id"] for _, body in answers} == new_runs()
    assert len(new_runs()) == 1


def test_fifty_parallel_starts_are_fifty_runs(server: Server, new_runs: NewRuns) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: server.call("POST", START, {"variables": {"n": number}}), range(50)))

    assert {status for status, _ in answers} == {201}
    assert {body["id"] for _, body in answers} == new_runs()
    assert len(new_runs()) == 50


def test_an_accepted_run_outlives_the_server(installation: Installation, new_runs: NewRuns) -> None:
    with running(installation) as server:
        status, body = server.call("POST", START, {})
        server.process.kill()

    assert status == 201
    assert new_runs() == {body["id"]}


def test_a_name_is_used_once_also_by_parallel_requests(server: Server) -> None:
    trigger = {"pipeline_uuid": "etl", "name": "daily", "schedule_interval": "@daily", "status": "active"}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.call("POST", "/api/v1/pipeline_schedules", trigger), range(8)))

    assert sorted(status for status, _ in answers) == [201] + [409] * 7


def test_a_body_in_chunks_is_read_and_not_taken_for_none(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    connection.request("POST", START, iter([b'{"variables":', b' {"a": 1}}']), server.headers(), encode_chunked=True)
    answer = connection.getresponse()

    assert answer.status == 201
    assert json.load(answer)["variables"] == {"a": 1}
    connection.close()


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_413_however_it_is_sent(server: Server, new_runs: NewRuns, chunked: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    pieces = [b'{"variables": {"a": "', *[b"x" * 65536] * 40, b'"}}']

    connection.request(
        "POST", START, iter(pieces) if chunked else b"".join(pieces), server.headers(), encode_chunked=chunked
    )
    answer = connection.getresponse()

    assert answer.status == 413
    assert json.load(answer)["code"] == "too_large"
    assert not new_runs()
    connection.close()
