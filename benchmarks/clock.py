"""The figures of time: bursts of due schedules, crowds of idle ones, instants, simulations, backfill plans.

`T1` and `T2` start schedulers as users do, with no workers: what is measured is the clock.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import psutil

from benchmarks.figures import Row, spread, used
from benchmarks.ground import Ground
from benchmarks.instants import NASTY, seconds_for_a_thousand

BURST, CROWD, SLOTS, SIMULATED = 10_000, 50_000, 10_000, 1_000


@contextlib.contextmanager
def schedulers(ground: Ground, count: int) -> Iterator[list[psutil.Process]]:
    """Run so many schedulers meanwhile; their start is not measured."""
    begun = [ground.scheduler() for _ in range(count)]
    try:
        yield [psutil.Process(process.pid) for process in begun]
    finally:
        for process in begun:
            process.terminate()
        for process in begun:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)


def cpu_of(processes: Sequence[psutil.Process]) -> float:
    return sum(used(process) for process in processes)


def t1(ground: Ground, times: int = 3) -> list[Row]:
    """Many schedules due in one second, from that second until the last run is there; each must have fired once."""
    count, limit = (3, "8") if ground.database == "postgres" else (1, "15")
    took, cpu = [], []
    for _ in range(times):
        due = ground.ask("make_burst", size=BURST, lead=10)
        with schedulers(ground, count) as begun:
            time.sleep(max(0, datetime.fromisoformat(due).timestamp() - time.time() - 1))
            before = cpu_of(begun)
            found = ground.ask("watch_burst", size=BURST, due=due)
            cpu.append(cpu_of(begun) - before)
        counts = {name: found[name] for name in ("runs", "triggers", "rows", "started")}
        if set(counts.values()) != {BURST}:
            raise RuntimeError(f"each of {BURST} should have fired once: {counts}")
        took.append(found["took"])
    name = f"T1 {BURST:,} schedules due in one second, {count} scheduler{'s' * (count > 1)}, s"
    return [(name, f"{spread(took)}; their CPU {spread(cpu)}", limit)]


def t2(ground: Ground, seconds: int = 60) -> list[Row]:
    """One scheduler among many schedules, of which one is due each second; and the plans of all its statements."""
    there = ground.ask("make_crowd", size=CROWD)
    with schedulers(ground, 1) as begun:
        time.sleep(65 - time.time() % 60)  # from their first minute on
        since, before = datetime.now(UTC), cpu_of(begun)
        time.sleep(seconds)
        share = 100 * (cpu_of(begun) - before) / seconds
        found = ground.ask("count_started", since=since.isoformat())
    if not 0.9 * seconds <= found["started"] <= 1.2 * seconds:
        raise RuntimeError(f"{found['started']} moments were started in {seconds} s")
    looked = ground.ask("scans")
    if looked["scans"]:
        raise RuntimeError(f"these statements read every schedule: {looked['scans']}")
    text = f"{share:.2f} %; {found['started']} started, at most {found['late']:.2f} s late"
    plans = f"none of {looked['looked_at']} statements scans the table"
    return [
        (f"T2 {there:,} active schedules, one due per second, CPU of one core", text, "5 %"),
        ("T2 query plans of every duty of the loop", plans, "none"),
    ]


def t3(_: Ground) -> list[Row]:
    """The next thousand instants of each nasty expression: the worst of them."""
    took = {label: seconds_for_a_thousand(timetable) for label, timetable in NASTY.items()}
    worst = max(took, key=lambda label: took[label])
    text = f"{took[worst] * 1000:.1f} (of {len(took)}: {worst})"
    return [("T3 the next 1,000 instants of any expression, ms", text, "50")]


def t4(ground: Ground, times: int = 3) -> list[Row]:
    found = [ground.ask("simulate_week", size=SIMULATED) for _ in range(times)]
    took, cpu = ([each[name] for each in found] for name in ("took", "cpu"))
    name = f"T4 simulate a week of {SIMULATED:,} schedules, {found[0]['moments']:,} moments, s"
    return [(name, f"{spread(took)}; CPU {spread(cpu)}", "20")]


def t5(ground: Ground, times: int = 3) -> list[Row]:
    took = [ground.ask("plan_backfill", size=SLOTS) for _ in range(times)]
    return [(f"T5 plan a backfill of {SLOTS:,} slots, half of them run before, s", spread(took), "3")]


CLOCK: dict[str, Callable[[Ground], list[Row]]] = {"T1": t1, "T2": t2, "T3": t3, "T4": t4, "T5": t5}
