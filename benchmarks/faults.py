"""How long what was killed is away. Uses the installation and the witness of tests/faults/."""

from collections.abc import Callable

from benchmarks.figures import Row, quantile
from tests.faults import measures
from tests.faults.tree import Tree, planted

KILLS, HOSTS, MINUTES, SENSORS = 40, 5, 5, 500


def tail(values: list[float]) -> str:
    return f"{quantile(values, 0.5):.2f} / {quantile(values, 0.99):.2f} / {max(values):.2f} ({len(values)})"


def f1(tree: Tree) -> list[Row]:
    found = measures.killed_workers(tree, KILLS)
    return [("F1 worker killed → its block runs again, p50 / p99 / max, s", tail(found), "3")]


def f2(tree: Tree) -> list[Row]:
    if tree.postgres is None:
        return [("F2 host of the worker gone (Postgres only)", "–", "25")]
    found = measures.lost_hosts(tree, HOSTS)
    return [("F2 host of the worker gone → its block runs again, p50 / p99 / max, s", tail(found), "25")]


def f3(tree: Tree) -> list[Row]:
    if tree.postgres is None:
        return [("F3 one of two schedulers killed (Postgres only)", "–", "2")]
    found = measures.lateness_after_kills(tree, MINUTES)
    return [("F3 one of two schedulers killed → lateness of what is due next, p50 / p99 / max, s", tail(found), "2")]


def f4(tree: Tree) -> list[Row]:
    idle, _ = measures.waiting_sensors(tree, 0, 3600)
    found = []
    for count, interval in ((SENSORS, 3600), (2 * SENSORS, 60)):  # the first ones go on waiting beside the second
        share, most = measures.waiting_sensors(tree, count, interval)
        what = f"F4 {SENSORS} sensors wait, poke interval {interval} s: CPU of one core more than idle; most at work"
        found.append((what, f"{100 * (share - idle):.1f} % (idle {100 * idle:.1f} %); {most}", "2 %"))
    return found


def f5(tree: Tree) -> list[Row]:
    if tree.postgres is None:
        return [("F5 Postgres restarted (Postgres only)", "–", "10")]
    found = [measures.resumes_after(tree, mode) for mode in ("fast", "immediate") * 3]
    return [("F5 Postgres restarted or crashed → a new run has completed, p50 / p99 / max, s", tail(found), "10")]


def f6(tree: Tree) -> list[Row]:
    if tree.postgres is not None:
        return [("F6 what hands out work hangs (SQLite only: one cluster)", "–", "90")]
    return [("F6 what hands out work hangs → a run completes, s", f"{measures.stalled_cluster(tree):.0f}", "90")]


FAULTS: dict[str, Callable[[Tree], list[Row]]] = {"F1": f1, "F2": f2, "F3": f3, "F4": f4, "F5": f5, "F6": f6}


def measure(database: str, name: str) -> list[Row]:
    """Start an installation for this figure alone, and measure it."""
    with planted(database, triggers=20 if name == "F3" else 0) as tree:
        tree.start()
        return FAULTS[name](tree)
