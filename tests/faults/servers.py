"""A Postgres cluster and a Redis of their own, which may be stopped, killed and started again."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

OTHERS = ("postgres", "nobody")  # whom the server runs as where we are root, which it refuses


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """Return the path of a program of Postgres, also where only Debian's folder has it; "" if there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name) or next((str(one / name) for one in folders if (one / name).exists()), "")


def missing() -> str:
    """Say what is missing for a Postgres and a Redis of our own, or return ""."""
    lacks = [name for name in ("initdb", "pg_ctl") if not program(name)]
    return ", ".join([*lacks, *([] if shutil.which("redis-server") else ["redis-server"])])


class Postgres:
    """A cluster with fsync on, in a folder that only it and we can read."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="faults-pg-"))
        self.port = free_port()
        self.user = next(name for name in OTHERS if has_user(name)) if os.geteuid() == 0 else ""
        if self.user:
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync")
        settings = f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{self.folder}'\n"
        settings += "max_connections=60\nlog_min_messages=warning\n"
        with open(f"{self.data}/postgresql.conf", "a") as file:
            file.write(settings)
        self.start()
        self.execute("CREATE DATABASE faults")

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/faults"

    def run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [program(name), *arguments],
            preexec_fn=become(self.user) if self.user else None,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{name} {arguments}: {done.stderr}"

    def start(self) -> None:
        self.run("pg_ctl", "start", "-w", "-t", "60", "-D", self.data, "-l", str(self.folder / "log"))

    def stop(self, mode: str) -> None:
        """Stop it: "fast" ends sessions and shuts down, "immediate" is a crash."""
        self.run("pg_ctl", "stop", "-w", "-t", "60", "-m", mode, "-D", self.data)

    def connect(self, database: str = "faults") -> Any:
        server = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname=database, connect_timeout=5)
        server.autocommit = True
        return server

    def execute(self, statement: str) -> None:
        with contextlib.closing(self.connect("postgres")) as server, server.cursor() as cursor:
            cursor.execute(statement)

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis:
    """Keeps nothing on disk: restarted, it is empty."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
        until = time.monotonic() + 20
        while not self.answers():
            assert time.monotonic() < until, "Redis does not answer"
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return self.say("PING").startswith("+PONG")
        except OSError:
            return False

    def say(self, words: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
            connection.sendall(f"{words}\r\n".encode())
            return connection.recv(4096).decode()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.stop()


def has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def become(name: str) -> Callable[[], None]:
    user = pwd.getpwnam(name)

    def drop() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return drop


@contextmanager
def own_servers() -> Iterator[tuple[Postgres, Redis]]:
    postgres = Postgres()
    try:
        redis = Redis()
        try:
            yield postgres, redis
        finally:
            redis.close()
    finally:
        postgres.close()
