"""The fork server, spoken to as its worker does: it forks, tells of ends, and leaves nothing behind."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from executors.base import CannotStart
from executors.channel import Reader, pack, send
from executors.forking import Child, ForkServer, ForkServerGone
from tests.executors.test_local import wait_until_gone

pytestmark = pytest.mark.processes
MODULES = ["tests.executors.blocks", "executors.child"]


@pytest.fixture
def server() -> Iterator[ForkServer]:
    made = ForkServer(MODULES)
    yield made
    made.close()


def await_end(server: ForkServer) -> dict[str, int]:
    """What the server says of the end of the child that was taken last."""
    while server.exit is None:
        server.hear()
    return server.exit


def begin(child: Child, name: str, job: dict[str, str] | None = None) -> None:
    """Give the child a job whose output nobody reads."""
    order = {"entrypoint": f"tests.executors.blocks:{name}", "job": job or {}, "env": {}, "limits": {}, "last": True}
    child.channel.setblocking(True)
    with open(os.devnull, "wb") as nowhere:
        send(child.channel, ["job", order], (nowhere.fileno(), nowhere.fileno()))


def result_of(child: Child) -> object:
    reader = Reader(child.channel)
    while True:
        reader.read()
        for message in reader.messages():
            if message[0] == "result":
                return message[1]


def test_a_child_does_its_job_and_its_end_is_told(server: ForkServer) -> None:
    child = server.take()

    begin(child, "trivial")

    assert result_of(child) == {"verdict": "completed", "outputs": [None, child.pid], "failure": None}
    assert await_end(server) == {"exit": child.pid, "status": 0, "left": 0}


@pytest.mark.parametrize(("name", "status"), [("exits", 3), ("is_killed", -signal.SIGKILL)])
def test_how_a_child_ended_is_told(server: ForkServer, name: str, status: int) -> None:
    child = server.take()
    begin(child, name)

    assert await_end(server) == {"exit": child.pid, "status": status, "left": 0}


def test_what_a_child_leaves_behind_is_ended_and_counted(server: ForkServer, tmp_path: Path) -> None:
    child = server.take()
    begin(child, "leaves_daemon", {"pid_file": str(tmp_path / "pid")})

    assert await_end(server) == {"exit": child.pid, "status": 0, "left": 1}
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_child_is_forked_ahead(server: ForkServer) -> None:
    first = server.take()
    server.ask()
    while server.spare is None:
        server.hear()
    ahead = server.spare

    assert server.take() is ahead
    assert ahead.pid != first.pid


def test_a_spare_child_that_died_is_replaced(server: ForkServer) -> None:
    while server.spare is None:
        server.hear()
    dead = server.spare.pid
    os.kill(dead, signal.SIGKILL)
    while server.spare is not None:
        server.hear()

    child = server.take()
    begin(child, "trivial")

    assert child.pid != dead
    assert result_of(child)


def test_a_child_without_a_job_ends_when_it_is_let_go(server: ForkServer) -> None:
    child = server.take()

    child.channel.close()

    assert await_end(server)["status"] == 0


@pytest.mark.parametrize("said", [b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x03bad", pack(["job", {}])])
def test_a_job_that_is_none_ends_its_child_alone(server: ForkServer, said: bytes) -> None:
    child = server.take()
    child.channel.setblocking(True)
    child.channel.sendall(said)

    await_end(server)
    after = server.take()
    begin(after, "trivial")

    assert result_of(after)


def test_only_its_own_children_can_be_killed(server: ForkServer) -> None:
    child = server.take()

    server.say({"kill": os.getpid()})
    server.say({"kill": 1})
    server.say({"kill": child.pid})

    assert await_end(server)["status"] == -signal.SIGKILL
    assert server.process.poll() is None


def test_signals_of_the_terminal_do_not_end_it(server: ForkServer) -> None:
    server.take()

    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGINT)
    server.ask()
    begin(child := server.take(), "trivial")

    assert result_of(child)


def test_a_library_that_cannot_be_imported_is_named_and_holds_nothing_up() -> None:
    server = ForkServer([*MODULES, "no_such_library", "json"])
    try:
        begin(child := server.take(), "trivial")
        while not server.missing:
            server.hear()

        assert server.missing == {"no_such_library": "ModuleNotFoundError: No module named 'no_such_library'"}
        assert result_of(child)
    finally:
        server.close()


def test_closing_ends_the_server_its_children_and_its_folder(tmp_path: Path) -> None:
    server = ForkServer(MODULES)
    child = server.take()
    begin(child, "resists", {"pid_file": str(tmp_path / "pid")})
    pids = [server.process.pid, child.pid]
    Reader(child.channel).wait_for_one()

    server.close()

    assert all(wait_until_gone(pid) for pid in pids)
    assert not Path(server.folder).exists()
    child.channel.close()


def test_a_server_that_is_gone_is_told_whatever_is_asked(server: ForkServer) -> None:
    server.take()
    server.process.kill()
    server.process.wait()

    with pytest.raises(ForkServerGone):
        server.take()
    with pytest.raises(ForkServerGone):
        server.say({"fork": True})


def test_a_server_without_room_for_a_child_says_so_and_forks_when_there_is_some(server: ForkServer) -> None:
    server.stock()
    process = psutil.Process(server.process.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    while len(list(Path(f"/proc/{process.pid}/fd").iterdir())) > 6:  # it has still to close what it sent
        time.sleep(0.01)  # (its own: three, the control socket, the two ends of its alarm)
    free = next(number for number in range(100) if not Path(f"/proc/{process.pid}/fd/{number}").is_symlink())
    process.rlimit(psutil.RLIMIT_NOFILE, (free + 1, before[1]))  # room for one more, and a child needs a pair
    server.take().channel.close()
    server.ask()

    for _ in range(2):
        with pytest.raises(CannotStart, match="Too many open files"):
            server.take()
    process.rlimit(psutil.RLIMIT_NOFILE, before)
    begin(child := server.take(), "trivial")

    assert result_of(child)


def test_a_block_finds_its_folder_empty_whatever_the_last_one_left(server: ForkServer) -> None:
    folder = Path(server.folder)
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "big.bin").write_bytes(b"x" * 1000)

    server.clear_folder()

    assert list(folder.iterdir()) == []
    folder.rmdir()
    server.clear_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_no_file_of_the_worker_is_open_in_the_server(server: ForkServer, tmp_path: Path) -> None:
    with open(tmp_path / "secret", "w") as file:
        os.set_inheritable(file.fileno(), True)
        other = ForkServer(MODULES)
        other.take()
        opened = {entry.path for entry in psutil.Process(other.process.pid).open_files()}
        other.close()

    assert str(tmp_path / "secret") not in opened
