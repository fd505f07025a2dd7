"""C1: how long after a cancel until every process of the run is gone, those that left its session included."""

import os
import time

from benchmarks.tree import Tree

Row = tuple[str, str, str]  # what, measured, limit
PROCESSES = 3  # of a block: workloads.SLEEPER


def c1(tree: Tree) -> Row:
    return row(tree, "sleeping", 50, "C1 cancel → every process gone, p50 / p99 (max) of 50, s", "2")


def c1_deaf(tree: Tree) -> Row:
    return row(tree, "deaf", 20, "C1 the same of blocks deaf to SIGTERM, p50 / p99 (max) of 20, s", "10")


def row(tree: Tree, pipeline: str, times: int, what: str, limit: str) -> Row:
    found = sorted(seconds_to_end(tree, pipeline, number * 0.037 % 1) for number in range(times))
    p50, p99 = (found[min(times - 1, int(times * share))] for share in (0.5, 0.99))
    return what, f"{p50:.2f} / {p99:.2f} ({found[-1]:.2f})", limit


def seconds_to_end(tree: Tree, pipeline: str, pause: float) -> float:
    """Start a run, let its processes come, cancel it at an uneven moment; return how long they were there yet."""
    run_id, _ = tree.trigger(pipeline)
    pids = wait_for_processes(tree, run_id)
    time.sleep(0.3 + pause)
    asked = time.monotonic()
    tree.call("POST", f"/api/v1/pipeline_runs/{run_id}/cancel/", {})
    while any(is_there(pid) for pid in pids):
        if time.monotonic() - asked > 60:
            raise TimeoutError(f"processes of run {run_id} do not end: {pids}")
        time.sleep(0.005)
    return time.monotonic() - asked


def wait_for_processes(tree: Tree, run_id: int) -> list[int]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pids = [int(line[4]) for line in tree.event_lines() if int(line[0]) == run_id]
        if len(pids) == PROCESSES:
            return pids
        time.sleep(0.05)
    raise TimeoutError(f"run {run_id} did not begin")


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
