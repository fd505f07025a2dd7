"""How long what was killed is away: measured by the witness on a tree that is otherwise idle."""

import random
import time

import psutil

from tests.faults.tree import Tree


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
