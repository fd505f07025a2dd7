"""What goes wrong: each nemesis strikes once and, some seconds later, is healed. The numbers are promises.md's."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg2

from tests.faults.tree import Part, Tree, command_of

LEASE = 20.0
STEPS = ("+3600", "-3600", "+0 x1.1")
RESTARTED_AFTER = 2.0


@dataclass
class Blow:
    """A blow that took a block's process (or its right to go on) away: `victims` were running blocks, by pid."""

    nemesis: str
    at: float  # monotonic
    victims: set[int] = field(default_factory=set)


@dataclass
class Stage:
    """Where nemeses strike. `later` runs something after so many seconds, or when the stage is cleared."""

    tree: Tree
    dice: random.Random
    brief: bool  # outages of seconds instead of a minute
    blows: list[Blow] = field(default_factory=list)
    pending: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    down: list[Part] = field(default_factory=list)  # to be started again
    own: set[int] = field(default_factory=set)  # pids of block processes that we killed ourselves

    def blow(self, nemesis: str, victims: set[int]) -> None:
        self.blows.append(Blow(nemesis, time.monotonic(), victims))

    def later(self, seconds: float, heal: Callable[[], None]) -> None:
        self.pending.append((time.monotonic() + seconds, heal))

    def heal_due(self) -> None:
        """Heal what is due, and start again what has ended, as a service manager would."""
        now = time.monotonic()
        for part in self.tree.parts:
            if not part.is_up() and part not in self.down:
                self.down.append(part)
                self.later(RESTARTED_AFTER, lambda part=part: self.start_again(part))
        due = [heal for at, heal in self.pending if at <= now]
        self.pending = [(at, heal) for at, heal in self.pending if at > now]
        for heal in due:
            heal()

    def start_again(self, part: Part) -> None:
        self.down.remove(part)
        part.start()

    def heal_all(self) -> None:
        while self.pending or not all(part.is_up() for part in self.tree.parts):
            self.heal_due()
            time.sleep(0.1)

    def busy(self, process: psutil.Process) -> set[int]:
        """Return the running blocks below a process."""
        with contextlib.suppress(psutil.NoSuchProcess):
            below = {one.pid for one in process.children(recursive=True)}
            return below & set(self.tree.witness.open_pids())
        return set()

    def pick(self, processes: list[psutil.Process], *, busy: bool | None = None) -> psutil.Process | None:
        fitting = [one for one in processes if busy is None or bool(self.busy(one)) == busy]
        return self.dice.choice(fitting or processes) if processes else None

    def strike(self, name: str, process: psutil.Process | None) -> bool:
        """SIGKILL a process, and remember the blocks that run below it."""
        if process is None or process.pid not in {one.pid for one in self.tree.processes()}:
            return False
        victims = self.busy(process)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            self.blow(name, victims)
            return True
        return False


Nemesis = Callable[[Stage], bool]


# --- processes --------------------------------------------------------------------------------------------------------


def kill_child(stage: Stage) -> bool:
    """N1: a block's own process. The block fails, and says by what."""
    pids = list(stage.tree.witness.open_pids())
    if not pids:
        return False
    pid = stage.dice.choice(pids)
    stage.own.add(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


def kill_worker(stage: Stage) -> bool:
    """N2: a worker that is at work."""
    return stage.strike("N2", stage.pick(stage.tree.workers(), busy=True))


def kill_fork_server(stage: Stage) -> bool:
    """N2: what forks the blocks of a worker."""
    servers = [one for one in stage.tree.processes() if "executors.fork_server" in command_of(one)]
    return stage.strike("N2", stage.pick(servers, busy=True))


def kill_idle_worker(stage: Stage) -> bool:
    """N3: a worker that waits for work: the one that could hold a lock."""
    return stage.strike("N3", stage.pick(stage.tree.workers(), busy=False))


def kill_sentinel(stage: Stage) -> bool:
    """N3: django-q2's guard, with its whole cluster."""
    return stage.strike("N3", stage.pick(stage.tree.sentinels()))


def kill_scheduler(stage: Stage) -> bool:
    """N4: a scheduler, and the workers that it brought."""
    found = [one for part in stage.tree.parts for one in part.children_named("run_scheduler")]
    return stage.strike("N4", stage.pick(found))


def kill_web(stage: Stage) -> bool:
    """N5: a web server."""
    found = [one for part in stage.tree.parts for one in part.children_named("web_server.py")]
    return stage.strike("N5", stage.pick(found))


def kill_tree(stage: Stage) -> bool:
    """N5: everything that one `start` has started, at once; it is started again soon."""
    part = stage.dice.choice(stage.tree.parts)
    if not part.is_up():
        return False
    return kill_part(stage, part)


def kill_part(stage: Stage, part: Part) -> bool:
    processes = part.processes()
    stage.blow("tree", stage.busy(processes[0]) if processes else set())
    for process in processes:  # the supervisor first, so that it mends nothing
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    part.kill()
    return True


def pause_group(stage: Stage) -> bool:
    """N6: a worker and everything below it stand still for longer than the lease."""
    return pause(stage, whole=True)


def pause_parent(stage: Stage) -> bool:
    """N6: the worker alone stands still; its block goes on."""
    return pause(stage, whole=False)


def pause(stage: Stage, *, whole: bool) -> bool:
    worker = stage.pick(stage.tree.workers(), busy=True)
    if worker is None:
        return False
    stage.blow("N6", stage.busy(worker))
    with contextlib.suppress(psutil.NoSuchProcess):
        paused = [worker, *(worker.children(recursive=True) if whole else [])]
        send(paused, signal.SIGSTOP)
        stage.later(LEASE + (4 if stage.brief else 2 * LEASE), lambda: send(paused, signal.SIGCONT))
        return True
    return False


def pause_scheduler(stage: Stage) -> bool:
    """N6: a scheduler's own process stands still; only where there is another."""
    found = [one for part in stage.tree.parts for one in part.children_named("run_scheduler")]
    if len(found) < 2:
        return False
    paused = [stage.dice.choice(found)]
    send(paused, signal.SIGSTOP)
    stage.later(8.0, lambda: send(paused, signal.SIGCONT))
    return True


def send(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


# --- clocks -----------------------------------------------------------------------------------------------------------


def step_clock(stage: Stage) -> bool:
    """N17: a scheduler believes that it is an hour later or earlier, or that time goes faster.

    Not a worker: libfaketime makes writing an output fail (EINVAL) in the blocks below it.
    """
    parts = [part for part in stage.tree.parts if part.name == "scheduler" and part.is_up() and not part.env]
    library = faketime()
    if not parts or not library:
        return False
    part = stage.dice.choice(parts)
    part.env = {"LD_PRELOAD": library, "DONT_FAKE_MONOTONIC": "1", "FAKETIME": stage.dice.choice(STEPS)}
    stage.later(40.0, lambda: right_clock(stage, part))
    return kill_part(stage, part)


def right_clock(stage: Stage, part: Part) -> None:
    part.env = {}
    if part.is_up():
        kill_part(stage, part)


def faketime() -> str:
    """Return the path of libfaketime; "" where it is not installed."""
    places = [os.environ.get("FAKETIME_LIBRARY", ""), *map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))]
    return next((place for place in places if place and Path(place).exists()), "")


# --- the database -----------------------------------------------------------------------------------------------------


def restart_postgres(stage: Stage) -> bool:
    """N7: an orderly restart."""
    return stop_postgres(stage, "fast")


def crash_postgres(stage: Stage) -> bool:
    """N7: a crash, and recovery from the log."""
    return stop_postgres(stage, "immediate")


def stop_postgres(stage: Stage, mode: str) -> bool:
    server = stage.tree.postgres
    if server is None:
        return False
    server.stop(mode)
    stage.later(stage.dice.uniform(0.5, 3.0), server.start)
    return True


def end_sessions(stage: Stage) -> bool:
    """N8: every session is ended by the server."""
    if stage.tree.postgres is None:
        return False
    stage.tree.postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'faults' AND pid <> pg_backend_pid()"
    )
    return True


def use_up_connections(stage: Stage) -> bool:
    """N9: nobody gets a new connection; those who have one keep it."""
    server = stage.tree.postgres
    if server is None:
        return False
    held = []
    with contextlib.suppress(psycopg2.OperationalError):
        while len(held) < 200:
            held.append(server.connect())
    stage.later(5.0 if stage.brief else 20.0, lambda: [one.close() for one in held] and None)
    return True


def lock_tables(stage: Stage) -> bool:
    """N10: the table of block runs (on SQLite the whole database) is locked for five seconds."""
    connection = stage.tree.rows.connect()
    try:
        if stage.tree.postgres:
            connection.autocommit = False
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'")
                cursor.execute("LOCK TABLE runs_blockrun IN ACCESS EXCLUSIVE MODE")
        else:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
    except Exception as error:  # it was not to be had: then it is slow enough already
        connection.close()
        return "lock" not in str(error)
    time.sleep(5.0)  # SQLite's connection belongs to this thread
    connection.rollback()
    connection.close()
    return True


# --- hints, logs ------------------------------------------------------------------------------------------------------


def flush_redis(stage: Stage) -> bool:
    """N11: everything that Redis knows is gone."""
    if stage.tree.redis is None:
        return False
    stage.tree.redis.say("FLUSHALL")
    return True


def restart_redis(stage: Stage) -> bool:
    """N12: Redis comes back empty."""
    return stop_redis(stage, 0.5)


def lose_redis(stage: Stage) -> bool:
    """N13: Redis is away for a while."""
    return stop_redis(stage, 10.0 if stage.brief else 60.0)


def stop_redis(stage: Stage, seconds: float) -> bool:
    redis = stage.tree.redis
    if redis is None or redis.process is None:
        return False
    redis.stop()
    stage.later(seconds, redis.start)
    return True


def multiply_hints(stage: Stage) -> bool:
    """N14: every hint comes ten times."""
    return set_hints(stage, "multiply")


def lose_hints(stage: Stage) -> bool:
    """N15: three in ten hints are lost."""
    return set_hints(stage, "lose")


def set_hints(stage: Stage, mode: str) -> bool:
    file = stage.tree.folder / "hints"
    file.write_text(mode)
    stage.later(15.0, lambda: file.unlink(missing_ok=True))
    return True


def fill_log_disk(stage: Stage) -> bool:
    """N18: the disk of the logs is full: a file system of 1 MB lies over their folder."""
    logs = stage.tree.folder / "data" / "logs"
    if os.geteuid() != 0 or os.path.ismount(logs):
        return False
    logs.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(logs)], check=False, capture_output=True
    )
    if done.returncode != 0:
        return False
    with contextlib.suppress(OSError):
        (logs / "filler").write_bytes(b"x" * (1 << 20))
    stage.later(10.0, lambda: unmount(str(logs)))
    return True


def unmount(folder: str) -> None:
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


NEMESES: dict[str, Nemesis] = {
    "N1 child killed": kill_child,
    "N2 worker killed": kill_worker,
    "N2 fork server killed": kill_fork_server,
    "N3 idle worker killed": kill_idle_worker,
    "N3 sentinel killed": kill_sentinel,
    "N4 scheduler killed": kill_scheduler,
    "N5 web killed": kill_web,
    "N5 tree killed": kill_tree,
    "N6 worker and block paused": pause_group,
    "N6 worker paused": pause_parent,
    "N6 scheduler paused": pause_scheduler,
    "N7 Postgres restarted": restart_postgres,
    "N7 Postgres crashed": crash_postgres,
    "N8 sessions ended": end_sessions,
    "N9 connections used up": use_up_connections,
    "N10 tables locked": lock_tables,
    "N11 Redis flushed": flush_redis,
    "N12 Redis restarted": restart_redis,
    "N13 Redis away": lose_redis,
    "N14 hints multiplied": multiply_hints,
    "N15 hints lost": lose_hints,
    "N17 clock stepped": step_clock,
    "N18 log disk full": fill_log_disk,
}
OF_POSTGRES = ("N7", "N8", "N9", "N11", "N12", "N13", "N17", "N6 scheduler")


def possible(tree: Tree) -> dict[str, Nemesis]:
    """Return the nemeses that can strike here."""
    found = {name: one for name, one in NEMESES.items() if tree.postgres or not name.startswith(OF_POSTGRES)}
    if os.geteuid() != 0 or not shutil.which("mount"):
        found.pop("N18 log disk full")
    if not faketime():
        found.pop("N17 clock stepped", None)
    return found


def impossible(tree: Tree) -> dict[str, str]:
    """Return the nemeses that cannot strike here, and why."""
    here = possible(tree)
    why = {name: "needs Postgres and Redis" for name in NEMESES if name.startswith(OF_POSTGRES)}
    if tree.postgres:
        why = {"N17 clock stepped": "needs libfaketime"}
    return {name: why.get(name, "needs root") for name in NEMESES if name not in here}
