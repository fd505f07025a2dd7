"""Whole stories with the real tree of processes, on SQLite and on Postgres."""

import asyncio
import http.cookiejar
import json
import signal
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets

from tests.journeys.conftest import Tree, is_at_work, wait_until

pytestmark = pytest.mark.processes
whatever_the_database = pytest.mark.parametrize("installation", ["sqlite"], indirect=True)


def test_the_first_start_says_where_and_how_to_sign_in_and_later_ones_only_where(installation: Tree) -> None:
    installation.start("--port", "0")
    first = "\n".join(installation.said)
    assert str(installation.project) in first
    assert installation.env["ORCHESTRATOR_DATA_DIR"] in first
    assert first.count(installation.password) == 1
    sign_in(installation)

    installation.stop()
    installation.start("--port", "0")

    assert "password" not in "\n".join(installation.said)
    assert "Ready: http://127.0.0.1:" in installation.said[-1]


def sign_in(tree: Tree) -> None:
    """Open the dashboard as the administrator."""
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    browser.open(f"{tree.url}/login/", timeout=20).read()
    secret = next(str(cookie.value) for cookie in cookies if cookie.name == "csrftoken")
    form = {"username": "admin", "password": tree.password, "csrfmiddlewaretoken": secret, "next": "/"}
    request = urllib.request.Request(
        f"{tree.url}/login/", data=urllib.parse.urlencode(form).encode(), headers={"Referer": tree.url}
    )
    with browser.open(request, timeout=20) as page:
        assert page.status == 200
        assert urllib.parse.urlsplit(page.url).path == "/"


def test_a_run_is_triggered_by_api_and_watched_by_websocket_to_its_end(tree: Tree) -> None:
    run_id = tree.trigger("chain", limit=5)

    changes = asyncio.run(watch(tree, run_id))

    run = tree.run(run_id)
    assert changes >= 1
    assert run["status"] == "completed"
    assert [block["status"] for block in run["block_runs"]] == ["completed"] * 3


async def watch(tree: Tree, run_id: int) -> int:
    """Follow the run's socket until the API says that it is finished; return how many changes were told."""
    changes = 0
    async with socket_to(tree, f"runs/{run_id}/") as socket:
        while not (await asyncio.to_thread(tree.run, run_id))["completed_at"]:
            message = json.loads(await asyncio.wait_for(socket.recv(), 20))
            assert message == {"type": "changed", "run": run_id}
            changes += 1
        return changes or 1  # it may have been finished before the socket was open


def socket_to(tree: Tree, path: str) -> Any:
    headers = {"Authorization": f"Bearer {tree.token}"}
    return websockets.connect(tree.url.replace("http", "ws") + f"/ws/{path}", additional_headers=headers)


@whatever_the_database
def test_log_lines_stream_while_the_block_runs(tree: Tree) -> None:
    run_id = tree.trigger("sleeping", seconds=1.0)

    lines, is_live, end = asyncio.run(follow_log(tree, run_id))

    assert lines == ["asleep"]
    assert is_live, "the line came before the block was finished"
    assert end == "completed"


async def follow_log(tree: Tree, run_id: int) -> tuple[list[str], bool, str]:
    lines: list[str] = []
    is_live = False
    block_id = (await asyncio.to_thread(tree.run, run_id))["block_runs"][0]["id"]
    async with socket_to(tree, f"block_runs/{block_id}/logs/?from=0") as socket:
        while True:
            message = json.loads(await asyncio.wait_for(socket.recv(), 20))
            if message["type"] == "lines":
                lines += [line["m"] for line in message["lines"] if line["s"] == "stdout"]
                is_live = is_live or not (await asyncio.to_thread(tree.run, run_id))["completed_at"]
            elif message["type"] == "end":
                return lines, is_live, message["status"]


def test_a_run_survives_the_death_of_the_worker_under_its_block(tree: Tree, tmp_path: Path) -> None:
    run_id = tree.trigger("witnessed", file=str(tmp_path / "file"), seconds=1.5)
    wait_until((tmp_path / "file").exists)

    worker_under_a_block(tree).kill()

    run = tree.finished(run_id)
    block = tree.block(run_id)
    assert run["status"] == "completed"
    assert (block["losses"], block["attempt"]) == (1, 2)
    assert (tmp_path / "file").read_text() == "began\nbegan\nended\n"


def worker_under_a_block(tree: Tree) -> psutil.Process:
    """Return the worker whose fork server has a child that runs a block."""
    block = next(process for process in tree.processes() if is_block(process))
    fork_server = block.parent()
    assert fork_server is not None
    worker = fork_server.parent()
    assert worker is not None
    return worker


def is_block(process: psutil.Process) -> bool:
    """A child of a fork server with an output of its own; the one kept ahead of need still has the server's."""
    try:
        parent = process.parent()
        is_child = parent is not None and "executors.fork_server" in " ".join(parent.cmdline())
        return is_child and output_of(process) != output_of(parent)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def output_of(process: psutil.Process | None) -> Path:
    return Path(f"/proc/{process.pid if process else 0}/fd/1").readlink()


def test_ctrl_c_hands_a_running_block_back_and_the_next_start_finishes_it(tree: Tree, tmp_path: Path) -> None:
    run_id = tree.trigger("witnessed", file=str(tmp_path / "file"), seconds=20)
    wait_until((tmp_path / "file").exists)

    tree.stop()
    (tmp_path / "file").unlink()
    tree.start("--port", "0")

    block = wait_until(lambda: (found := tree.block(run_id))["status"] == "running" and found)
    assert (block["losses"], block["retries"]) == (0, 0), "it was handed back and nothing was charged"
    wait_until((tmp_path / "file").exists)
    tree.api(f"pipeline_runs/{run_id}/cancel", {})
    assert tree.finished(run_id)["status"] == "cancelled"


@whatever_the_database
@pytest.mark.parametrize("name", ["run_scheduler", "web_server"])
def test_a_process_that_is_killed_comes_back_and_work_goes_on(tree: Tree, name: str) -> None:
    assert tree.finished(tree.trigger("chain"))["status"] == "completed"

    tree.process_named(name).kill()

    assert "ended unexpectedly (SIGKILL); starts again in 0.5 s" in tree.read_until("SIGKILL")
    assert tree.finished(tree.trigger("chain"))["status"] == "completed", "not one request was refused"


@whatever_the_database
def test_nothing_outlives_a_killed_supervisor(tree: Tree) -> None:
    tree.trigger("sleeping")
    wait_until(lambda: any(is_block(process) for process in tree.processes()))
    processes = tree.processes()
    assert tree.process is not None

    tree.process.kill()

    wait_until(lambda: not [process for process in processes if is_at_work(process)], seconds=15)
    tree.kill()


def test_run_beside_a_server_leaves_the_work_to_it(tree: Tree) -> None:
    free_the_workers(tree)

    ended = tree.manage("run", "telling")

    assert ended.returncode == 0, ended.stderr
    fork_server = next(line for line in ended.stdout.splitlines() if line.startswith("parent | ")).split()[-1]
    assert int(fork_server) in {process.pid for process in tree.processes()}


def free_the_workers(tree: Tree) -> None:
    """Cancel what earlier stories left running."""
    for run in tree.api("pipeline_runs?status=running")["results"]:
        tree.api(f"pipeline_runs/{run['id']}/cancel", {})
    assert tree.finished(tree.trigger("chain"))["status"] == "completed"


@whatever_the_database
def test_doctor_finds_a_running_tree_in_order(tree: Tree) -> None:
    free_the_workers(tree)

    ended = tree.manage("doctor", "--json")

    findings = {finding["name"]: finding for finding in json.loads(ended.stdout)["checks"]}
    assert "alive, last loop " in findings["scheduler"]["detail"]
    assert not findings["workers"]["detail"].startswith("0 alive")
    assert {name for name, finding in findings.items() if not finding["ok"]} == {"project", "pipeline"}, "circular"


@whatever_the_database
def test_web_server_scheduler_and_workers_can_be_started_apart(installation: Tree, tmp_path: Path) -> None:
    if installation.process is not None:
        installation.stop()
    web = installation.start("--port", "0", "--instance-type", "web_server")
    others = [part_of(installation, "scheduler", "--workers", "0"), part_of(installation, "worker", "--workers", "1")]
    try:
        run_id = web.trigger("witnessed", file=str(tmp_path / "file"), seconds=20)
        wait_until((tmp_path / "file").exists)
        others[1].stop(signal.SIGTERM)

        block = web.block(run_id)
        assert (block["status"], block["losses"]) == ("queued", 0), "the worker handed it back"
    finally:
        for part in others:
            part.kill()
    web.stop()


def part_of(whole: Tree, kind: str, *arguments: str) -> Tree:
    """Start another part of the same installation."""
    part = object.__new__(Tree)
    part.__dict__.update(whole.__dict__, seen=set(), process=None)
    return part.start("--instance-type", kind, *arguments)
