"""The figures of pages: P1, the server's time for each beside a large crowd; P2, the weight of
the first; P3, what the clock does meanwhile.

P1 needs the crowd of `python -m benchmarks.crowd make`, which it makes if it is not there. On SQLite a small one does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import psycopg2

from benchmarks import crowd
from benchmarks.figures import Row
from benchmarks.ground import Ground
from benchmarks.tree import ROOT

MILLISECONDS, QUERIES, KILOBYTES = 200, 20, 250
LIMIT = f"{MILLISECONDS} ms, {QUERIES} queries"


def p1(database: str) -> list[Row]:
    """The time of each page: median and 95th percentile of twenty requests, queries, bytes.

    Beside it what web process and database computed for one request: what it takes on a machine left alone.
    """
    found = ask(database, "time_pages")
    rows = [(f"P1 {each['name']}", in_words(each), LIMIT) for each in found]
    slow = [each for each in found if each["p95"] > MILLISECONDS]
    greedy = [each for each in found if each["queries"] > QUERIES]
    laborious = [each for each in found if each["work"] > MILLISECONDS]
    told = (
        f"{len(slow)} over {MILLISECONDS} ms ({len(laborious)} computed so long), {len(greedy)} over {QUERIES} queries"
    )
    return [*rows, (f"P1 {len(found)} pages and lists in all", told, "none")]


def in_words(each: Mapping[str, Any]) -> str:
    times = f"{each['median']:.0f} / {each['p95']:.0f} ms (computed {each['work']:.0f})"
    return f"{times}, {each['queries']} queries, {each['bytes'] / 1024:.0f} KB{each['note']}"


def p2(database: str) -> list[Row]:
    found = ask(database, "weigh_first_load")
    parts = ", ".join(f"{kind} {size / 1024:.0f}" for kind, size in found.items())
    total = sum(found.values()) / 1024
    return [("P2 first load of the dashboard, KB zipped", f"{total:.0f} ({parts})", str(KILOBYTES))]


def p3(database: str) -> list[Row]:
    """The duties of the scheduler's loop beside the same crowd, when nothing is due."""
    found = ask(database, "time_duties")
    rows = [
        (
            f"P3 {each['name']}, every {each['every']:g} s",
            f"{each['median']:.0f} ms (computed {each['work']:.0f}), {each['queries']:.0f} queries",
            "",
        )
        for each in found
    ]
    share = sum(each["work"] / each["every"] for each in found) / 10
    return [*rows, ("P3 all duties when nothing is due, of one core", f"{share:.1f} %", "5 %")]


def ask(database: str, what: str) -> Any:
    """Have a process with our own settings do it on the crowd."""
    if database == "postgres":
        if not is_there():
            subprocess.run([sys.executable, "-m", "benchmarks.crowd", "make"], cwd=ROOT, check=True)
        return answer_of({**os.environ, **crowd.environment()}, what)
    with Ground(database) as ground:
        return answer_of(ground.env, "settle", what)


def answer_of(env: Mapping[str, str], *words: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.pages_process", *words]
    done = subprocess.run(command, cwd=ROOT, env=dict(env), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def is_there() -> bool:
    try:
        psycopg2.connect(crowd.URL, connect_timeout=3).close()
    except psycopg2.OperationalError:
        return False
    return True


PAGES: dict[str, Callable[[str], list[Row]]] = {"P1": p1, "P2": p2, "P3": p3}
