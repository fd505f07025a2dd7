"""Each figure: how it is measured. Every count is checked against what the blocks themselves wrote down."""

import contextlib
import statistics
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psutil

from benchmarks.cancelling import c1, c1_deaf
from benchmarks.tree import Tree

Row = tuple[str, str, str]  # what, measured, limit


def when(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def check_events(tree: Tree, runs: dict[int, int]) -> None:
    """Each block of each run must have run exactly once."""
    lines = [line for line in tree.event_lines() if int(line[0]) in runs]
    seen = [(line[0], line[1]) for line in lines]
    if len(seen) != len(set(seen)) or len(seen) != sum(runs.values()):
        raise RuntimeError(f"{len(seen)} blocks ran ({len(set(seen))} different), {sum(runs.values())} expected")


def total(tree: Tree, pipeline: str, blocks: int, times: int = 5) -> list[float]:
    """Request sent → the run recorded as completed, seconds, several times."""
    found = []
    for _ in range(times):
        run, sent = tree.run(pipeline)
        check_events(tree, {run["id"]: blocks})
        found.append(when(run["completed_at"]) - sent)
    return found


def w1(tree: Tree) -> Row:
    return ("W1 chain of 40, a process per block, s", spread(total(tree, "chain40", 40)), "1.2")


def w1_one(tree: Tree) -> Row:
    return ("W1 chain of 40 in one process, s", spread(total(tree, "chain40_one", 40)), "0.5")


def w2(tree: Tree) -> Row:
    return ("W2 1 → 100 → 1, s", spread(total(tree, "fan100", 102)), "2.5")


def r1(tree: Tree) -> Row:
    return ("R1 1,000 children of a dynamic block, s", spread(total(tree, "dynamic", 1000, times=3)), "20")


def w3(tree: Tree) -> Row:
    found = []
    for _ in range(5):
        began = time.time()
        runs = [tree.trigger("burst3")[0] for _ in range(50)]
        ends = [when(tree.finished(run_id)["completed_at"]) for run_id in runs]
        check_events(tree, dict.fromkeys(runs, 3))
        found.append(max(ends) - began)
    return ("W3 50 runs of 3 blocks by API, s", spread(found), "4")


def w4(tree: Tree, times: int = 40) -> Row:
    found = []
    for _ in range(times):
        run_id, sent = tree.trigger("single")
        tree.finished(run_id)
        (line,) = [line for line in tree.event_lines() if int(line[0]) == run_id]
        found.append((float(line[2]) - sent) * 1000)
        time.sleep(0.4)
    text = f"{quantile(found, 0.5):.0f} / {quantile(found, 0.95):.0f} (max {max(found):.0f})"
    return ("W4 API trigger → first line of the block, p50 / p95, ms", text, "60 / 120")


def w5(tree: Tree, minutes: int = 5) -> Row:
    before = {line[0] for line in tree.event_lines()}
    time.sleep(60 * minutes + 61 - time.time() % 60)
    fired = tree.call("GET", "/api/v1/pipeline_runs/?pipeline_uuid=minutely&limit=200")["results"]
    starts = {line[0]: float(line[2]) for line in tree.event_lines() if line[0] not in before}
    late = [starts[str(run["id"])] - when(run["execution_date"]) for run in fired if str(run["id"]) in starts]
    if len(late) < minutes:
        raise RuntimeError(f"{len(late)} of at least {minutes} occurrences fired")
    text = f"{quantile(late, 0.5):.3f} / {max(late):.3f} ({len(late)} fires)"
    return ("W5 due second → block starts, p50 / max, s", text, "0.3 / 1.0")


def w6(tree: Tree, seconds: int = 60) -> Row:
    time.sleep(5)
    before = tree.processes()
    cpu = [used(process) for process in before]
    time.sleep(seconds)
    share = 100 * sum(used(process) - then for process, then in zip(before, cpu, strict=True)) / seconds
    rss = sum(process.memory_info().rss for process in tree.processes()) / 2**20
    pss = sum(proportional(process) for process in tree.processes()) / 2**20
    text = f"{share:.2f} %; {rss:.0f} MB RSS, {pss:.0f} MB PSS, {len(tree.processes())} processes"
    return ("W6 idle, 1,000 active daily schedules, CPU of one core", text, "2 %")


def b1(tree: Tree) -> Row:
    found = [spent(lambda: plan_of(tree)) for _ in range(5)]
    return ("B1 plan a backfill of 10,000 slots, request to answer, s", spread(found), "3")


def plan_of(tree: Tree) -> None:
    plan = tree.call("POST", "/api/v1/backfills?dry_run=true", TEN_THOUSAND)
    if (len(plan["slots"]), plan["to_run"]) != (10_000, 10_000):
        raise RuntimeError(f"{len(plan['slots'])} slots were planned, {plan['to_run']} to run")


def b2(tree: Tree) -> Row:
    """Each start but the first takes over the rows of the one before."""
    found = []
    for _ in range(3):
        began = time.monotonic()
        backfill = tree.call("POST", "/api/v1/backfills", TEN_THOUSAND | {"which": "all"})
        found.append(time.monotonic() - began)
        tree.call("POST", f"/api/v1/backfills/{backfill['id']}/cancel")
        while tree.call("GET", f"/api/v1/backfills/{backfill['id']}")["progress"].get("running"):
            time.sleep(0.1)
    return ("B2 start a backfill of 10,000 slots, request to answer, s (3 times)", spread(found), "3")


def spent(call: Callable[[], None]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


TEN_THOUSAND = {
    "pipeline_uuid": "single",
    "interval_type": "minute",
    "start_at": "2025-01-01T00:00:00Z",
    "end_at": "2025-01-07T22:39:00Z",
}


def used(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def proportional(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss)
    return 0.0


def starting(tree: Tree) -> list[Row]:
    stops = tree.stop()
    again = tree.start()
    return [
        ("start → first page, new data folder, s", f"{tree.first_page:.2f}", "60"),
        ("restart → first page, s", f"{again:.2f}", "5"),
        ("SIGTERM → everything stopped, s", f"{stops:.2f}", "5"),
    ]


FIGURES: dict[str, Any] = {
    "W1": w1,
    "W1_one": w1_one,
    "W2": w2,
    "W3": w3,
    "R1": r1,
    "W4": w4,
    "W5": w5,
    "W6": w6,
    "B1": b1,
    "B2": b2,
    "C1": c1,
    "C1_deaf": c1_deaf,
}
