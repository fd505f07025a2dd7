"""How long what was killed is away: measured by the witness on a tree that is otherwise idle."""

import random
import time

import psutil

from tests.faults.rows import moment
from tests.faults.tree import Tree, wait_until


def worker_of(tree: Tree, run: int) -> psutil.Process:
    """Return the process whose block begins next in this run, once it has."""
    pid = tree.witness.wait_for(run, "begin").pid
    found = next((one for one in tree.workers() if pid in {below.pid for below in one.children(recursive=True)}), None)
    assert found is not None, f"no worker has the block process {pid}"
    return found


def killed_workers(tree: Tree, times: int, seed: int = 1) -> list[float]:
    """SIGKILL the worker of a running block; return the seconds until the block runs again, each time."""
    dice, found = random.Random(seed), []
    for _ in range(times):
        run = tree.trigger("nap", seconds=1.0)
        worker = worker_of(tree, run)
        time.sleep(dice.uniform(0, 0.6))
        worker.kill()
        struck = time.monotonic()
        found.append(tree.witness.wait_for(run, "begin", times=2).monotonic - struck)
        tree.finished(run)
    return found


def lost_hosts(tree: Tree, times: int, seed: int = 1) -> list[float]:
    """Kill everything of the host `other` at once while blocks run there; return the seconds until each runs again.

    Nobody there can say that the host is gone: only its lease ends.
    """
    dice, found = random.Random(seed), []
    part = next(part for part in tree.parts if part.name == "worker")
    for _ in range(times):
        runs = [tree.trigger("nap", seconds=8.0) for _ in range(4)]
        pids = {tree.witness.wait_for(run, "begin").pid: run for run in runs}
        time.sleep(dice.uniform(0, 4))
        below = {one.pid for one in part.processes()}
        victims = [run for pid, run in pids.items() if pid in below]
        for process in part.processes():
            process.kill()
        struck = time.monotonic()
        found += [tree.witness.wait_for(run, "begin", times=2).monotonic - struck for run in victims]
        for run in runs:
            tree.finished(run)
        part.kill()
        part.start()
        wait_until(lambda: len(tree.workers()) >= 4, 60)
    return found


def lateness_after_kills(tree: Tree, minutes: int) -> list[float]:
    """SIGKILL one of two schedulers just before each whole minute; return how late every moment of it was, seconds."""
    dice = random.Random(1)
    began = time.time()
    for _ in range(minutes):
        time.sleep(60 - time.time() % 60 - dice.uniform(0.05, 2.0))
        found = [one for part in tree.parts for one in part.children_named("run_scheduler")]
        dice.choice(found).kill()
        time.sleep(6)
    rows = tree.rows.all("SELECT scheduled_for, decided_at FROM schedules_occurrence WHERE decision = 'started'")
    return [moment(decided) - moment(due) for due, decided in rows if moment(due) > began]


def waiting_sensors(tree: Tree, count: int, interval: int, seconds: float = 60.0) -> tuple[float, int]:
    """Return what the scheduler and its workers use of one core while so many sensors wait, and the most at work."""
    for _ in range(count - waiting(tree)):
        tree.trigger("waits" if interval == 60 else "waits_long")
    wait_until(lambda: waiting(tree) == count, 300)
    processes = [one for part in tree.parts for one in part.processes()]
    before = sum(map(used, processes))
    until, most = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        most = max(most, int(tree.rows.one("SELECT count(*) FROM runs_blockrun WHERE status = 'running'")))
        time.sleep(0.25)
    return (sum(map(used, processes)) - before) / seconds, most


def waiting(tree: Tree) -> int:
    return int(tree.rows.one("SELECT count(*) FROM runs_blockrun WHERE status = 'waiting'"))


def used(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and of the children that it has waited for."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def resumes_after(tree: Tree, mode: str) -> float:
    """Restart Postgres; return the seconds from when it accepts connections until a new run has completed."""
    assert tree.postgres is not None
    tree.postgres.stop(mode)
    time.sleep(3)
    tree.postgres.start()
    began = time.monotonic()
    while True:
        try:
            run = tree.trigger("quick")
            break
        except (AssertionError, OSError):
            time.sleep(0.05)
    tree.finished(run)
    return time.monotonic() - began


def stalled_cluster(tree: Tree) -> float:
    """Stop what hands out the work of each cluster; return the seconds until a run has completed all the same."""
    warm = {one.pid for one in tree.workers()}
    for sentinel in tree.sentinels():
        for process in sentinel.children():
            if process.pid not in warm:
                process.suspend()
    run, began = tree.trigger("quick"), time.monotonic()
    tree.finished(run, 180)
    return time.monotonic() - began
