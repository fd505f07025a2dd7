"""The local executor with real children of a real fork server."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from executors import forking, local
from executors.base import CannotStart, Outcome, Stop, Verdict, Work
from executors.local import LocalExecutor

pytestmark = pytest.mark.processes


class Listener:
    """A host that remembers; `stop_when` says when to ask for a stop."""

    def __init__(self, stop_when: Any = None) -> None:
        self.heard: list[tuple[str, str]] = []
        self.levels: list[str] = []
        self.stop_when = stop_when

    def started(self, external_id: str) -> None:
        self.external_id = external_id

    def output(self, stream: str, data: bytes) -> None:
        self.heard.append((stream, data.decode("utf-8", "replace")))

    def record(self, stream: str, level: str, text: str) -> None:
        self.heard.append((stream, text))
        self.levels.append(level)

    def should_stop(self) -> Stop | None:
        return self.stop_when(self) if self.stop_when else None

    def text(self, stream: str = "stdout") -> str:
        return "".join(text for name, text in self.heard if name == stream)


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "RUNTIME", "tests.executors.blocks")
        made = LocalExecutor()
        yield made
        made.close()


def launch(executor: LocalExecutor, name: str, host: Listener | None = None, **fields: Any) -> Outcome:
    work = {"key": "1-block-1", "entrypoint": f"tests.executors.blocks:{name}", "job": {}, **fields}
    outcome = executor.launch(Work(**work), host or Listener())
    assert outcome is not None
    return outcome


def wait_until_gone(pid: int) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not psutil.pid_exists(pid):
            return True
        time.sleep(0.01)
    return False


def test_output_keeps_its_order_stream_and_level(executor: LocalExecutor) -> None:
    host = Listener()

    outcome = launch(executor, "talks", host)

    assert outcome.verdict == Verdict.COMPLETED
    assert ("log", "second") in host.heard
    assert host.levels == ["WARNING"]
    assert host.text("stderr") == "fourth\n"
    assert host.text("stdout") == "first\nthird\nfifth\n"
    assert [text.strip() for _, text in host.heard][:2] == ["first", "second"]


def test_result_and_usage_come_back(executor: LocalExecutor) -> None:
    outcome = launch(executor, "trivial", job={"value": {"a": [1, "é"]}})

    assert outcome.result["outputs"][0] == {"a": [1, "é"]}
    assert outcome.usage["peak_memory_bytes"] > 1_000_000
    assert 0 <= outcome.usage["cpu_seconds"] < 5
    assert 0 <= outcome.usage["duration_seconds"] < 5
    assert 0 < outcome.usage["starting_seconds"] < 5


def test_each_block_has_a_process_of_its_own(executor: LocalExecutor) -> None:
    pids = {launch(executor, "trivial").result["outputs"][1] for _ in range(5)}

    assert len(pids) == 5
    assert os.getpid() not in pids


def test_blocks_of_a_session_share_one_process(executor: LocalExecutor) -> None:
    pids = {launch(executor, "trivial", session="run-1").result["outputs"][1] for _ in range(5)}
    other = launch(executor, "trivial", session="run-2").result["outputs"][1]
    executor.end_session()

    assert len(pids) == 1
    assert other not in pids


def test_a_block_sees_no_secret_and_no_descriptor_of_ours(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.close()
    monkeypatch.setenv("SECRET_KEY", "canary-in-the-environment-of-a-worker")
    monkeypatch.setenv("DATABASE_URL", "postgres://canary")

    env, descriptors, modules = launch(executor, "environment", env={"MINE": "yes"}).result["outputs"]

    assert env["MINE"] == "yes"
    assert "canary" not in str(env)
    assert len(descriptors) <= 5  # 0, 1, 2, the channel, the listing itself
    assert not any(name.split(".")[0] in ("django", "psycopg2") for name in modules)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exits", "exit code 3"),
        ("crashes", "SIGSEGV"),
        ("is_killed", "SIGKILL"),
        ("raises", "missing"),
    ],
)
def test_a_death_is_reported_as_what_it_was(executor: LocalExecutor, name: str, message: str) -> None:
    outcome = launch(executor, name)

    assert outcome.verdict == Verdict.FAILED
    assert outcome.failure is not None
    assert message in outcome.failure.message
    assert launch(executor, "trivial").verdict == Verdict.COMPLETED


def test_a_crash_in_native_code_leaves_its_stack_in_the_log(executor: LocalExecutor) -> None:
    host = Listener()

    launch(executor, "crashes", host)

    assert "Segmentation fault" in host.text("stderr")


def test_a_memory_limit_is_the_blocks_own_failure(executor: LocalExecutor) -> None:
    outcome = launch(executor, "takes_memory", config={"memory_bytes": 1_000_000_000})

    assert outcome.failure is not None
    assert outcome.failure.type == "MemoryError"


def test_a_timeout_ends_the_block(executor: LocalExecutor) -> None:
    outcome = launch(executor, "sleeps", timeout=0.2)

    assert outcome.verdict == Verdict.TIMED_OUT
    assert outcome.failure is not None
    assert outcome.failure.message == "did not finish within 0.2 s and was ended"


@pytest.mark.parametrize(
    ("stop", "verdict"),
    [(Stop.CANCEL, Verdict.CANCELLED), (Stop.HAND_BACK, Verdict.HANDED_BACK), (Stop.FENCED, Verdict.FENCED)],
)
def test_a_stop_ends_the_block_as_asked(executor: LocalExecutor, stop: Stop, verdict: Verdict) -> None:
    host = Listener(lambda seen: stop if seen.heard else None)

    assert launch(executor, "sleeps", host).verdict == verdict


def test_a_block_that_resists_dies_with_all_its_processes(executor: LocalExecutor, tmp_path: Path) -> None:
    host = Listener(lambda seen: Stop.CANCEL if seen.heard else None)
    job = {"pid_file": str(tmp_path / "pid")}

    outcome = launch(executor, "resists", host, job=job, kill_grace=0.2)

    assert outcome.verdict == Verdict.CANCELLED
    assert wait_until_gone(int((tmp_path / "pid").read_text()))
    assert wait_until_gone(int(host.external_id))


def test_a_daemon_does_not_outlive_its_block(executor: LocalExecutor, tmp_path: Path) -> None:
    outcome = launch(executor, "leaves_daemon", job={"pid_file": str(tmp_path / "pid")})

    assert outcome.verdict == Verdict.COMPLETED
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_flood_is_read_whole_without_growing_the_worker(executor: LocalExecutor) -> None:
    class Counter(Listener):
        size = 0

        def output(self, stream: str, data: bytes) -> None:
            self.size += len(data)

    host, before = Counter(), psutil.Process().memory_info().rss

    outcome = launch(executor, "floods", host, job={"lines": 200_000})

    assert outcome.verdict == Verdict.COMPLETED
    assert host.size == 20_000_000
    assert psutil.Process().memory_info().rss - before < 50_000_000


@pytest.mark.parametrize("name", ["prints_junk", "closes_stdout"])
def test_strange_output_harms_nothing(executor: LocalExecutor, name: str) -> None:
    assert launch(executor, name).verdict == Verdict.COMPLETED
    assert launch(executor, "trivial").verdict == Verdict.COMPLETED


def test_output_of_a_forked_grandchild_is_captured(executor: LocalExecutor) -> None:
    host = Listener()

    launch(executor, "forks", host)

    assert "grandchild 7" in host.text()


def test_a_killed_fork_server_is_replaced(executor: LocalExecutor) -> None:
    launch(executor, "trivial")
    assert executor.server is not None
    executor.server.process.kill()
    executor.server.process.wait()

    assert launch(executor, "trivial").verdict == Verdict.COMPLETED


def test_a_changed_preload_list_gets_a_new_fork_server(executor: LocalExecutor) -> None:
    launch(executor, "trivial")
    assert executor.server is not None
    first = executor.server.process.pid

    outcomes = [launch(executor, "environment", config={"preload": ["wave"]}) for _ in range(2)]

    assert executor.server.process.pid != first
    assert "wave" in outcomes[1].result["outputs"][2]  # the first child is forked before the libraries load


def test_children_die_with_the_worker_that_held_them(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import executors.local as l; l.RUNTIME = 'tests.executors.blocks'\n"
        "from tests.executors.test_local import Listener, launch\n"
        f"launch(l.LocalExecutor(), 'resists', job={{'pid_file': {str(tmp_path / 'pid')!r}}})"
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    worker.kill()
    worker.wait()

    assert wait_until_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "7",
        "{}",
        "[]",
        "[" * 100_000,
        '["out", "stdout", 7]',
        '["record"]',
        '["result", {"verdict": "triumph"}, {}]',
        '["result", {"verdict": "failed", "failure": {"colour": "red"}}, {}]',
        '["result", 7, 7]',
    ],
)
def test_nonsense_on_the_channel_ends_the_block_that_spoke_it(executor: LocalExecutor, message: str) -> None:
    outcome = launch(executor, "speaks_nonsense", job={"message": message})

    assert outcome.verdict == Verdict.FAILED
    assert outcome.failure is not None
    assert "spoke nonsense" in outcome.failure.message
    assert launch(executor, "trivial").verdict == Verdict.COMPLETED


def test_a_block_that_has_ended_is_not_stopped_any_more(executor: LocalExecutor) -> None:
    class Slow(Listener):
        def output(self, stream: str, data: bytes) -> None:
            wait_until_gone(int(self.external_id))
            time.sleep(0.6)  # and then it is time to ask whether to stop

    assert launch(executor, "prints_twice", Slow(lambda _: Stop.HAND_BACK)).verdict == Verdict.COMPLETED


def test_a_library_that_hangs_holds_no_block_up_for_ever(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forking, "ANSWER_SECONDS", 2.0)
    config = {"preload": ["tests.executors.hanging_library"]}

    for _ in range(2):  # the first is forked before libraries are imported
        assert launch(executor, "trivial", config=config).verdict == Verdict.COMPLETED
    assert executor.server is not None
    executor.server.process.kill()


class NoRoom:
    """A machine that has no room for another process, until it is told that it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = True
        self.popen = forking.subprocess.Popen
        monkeypatch.setattr(forking.subprocess, "Popen", self.start)

    def start(self, *args: Any, **fields: Any) -> Any:
        if self.is_full:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return self.popen(*args, **fields)


def test_what_cannot_be_started_says_why_and_can_be_started_later(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.close()
    room = NoRoom(monkeypatch)

    with pytest.raises(CannotStart, match="Resource temporarily unavailable"):
        launch(executor, "trivial")
    with pytest.raises(CannotStart, match="Resource temporarily unavailable"):
        executor.make_ready({})
    room.is_full = False
    executor.make_ready({})

    assert launch(executor, "trivial").verdict == Verdict.COMPLETED


def test_without_room_for_temporary_files_nothing_is_left_behind(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.close()

    def refuse(*args: Any, **fields: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(forking.tempfile, "mkdtemp", refuse)
    with pytest.raises(CannotStart, match="No space left on device"):
        launch(executor, "trivial")

    assert executor.server is None


def test_a_pipe_that_cannot_be_had_costs_a_try_and_leaves_nothing_open(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.make_ready({})
    pipes: list[tuple[int, int]] = []
    real = os.pipe

    def pipe() -> tuple[int, int]:
        if len(pipes) == 1:
            pipes.append((-1, -1))
            raise OSError(24, "Too many open files")
        pipes.append(real())
        return pipes[-1]

    monkeypatch.setattr("executors.supervisor.os.pipe", pipe)
    before = psutil.Process().num_fds()

    assert launch(executor, "trivial").verdict == Verdict.COMPLETED
    executor.make_ready({})
    assert psutil.Process().num_fds() == before
    assert len(pipes) >= 4
