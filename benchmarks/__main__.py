"""`make bench`: measure and print a table. `python -m benchmarks [sqlite|postgres] [W1 … start L1 … T1 … F1 … P1 …]`.

The W and L figures ask a real tree, L (`benchmarks.live`) of how soon pages hear; the T figures are about time
(`benchmarks.clock`), the F figures about what was killed (`benchmarks.faults`), the P figures about pages beside a
million runs (`benchmarks.pages`).
"""

import os
import platform
import sys

import django
import psycopg2

from benchmarks import faults
from benchmarks.clock import CLOCK
from benchmarks.figures import FIGURES, Row, starting
from benchmarks.ground import Ground
from benchmarks.live import LIVE
from benchmarks.pages import PAGES
from benchmarks.tree import Tree, execute


def main(words: list[str]) -> None:
    databases = [word for word in words if word in ("sqlite", "postgres")] or ["sqlite", "postgres"]
    known = [*FIGURES, "start", *LIVE, *CLOCK, *faults.FAULTS, *PAGES]
    chosen = [word for word in words if word in known] or known
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, Django {django.__version__}; median (min–max) of 5 unless said"
    )
    for database in databases:
        if database == "postgres" and (problem := no_postgres()):
            print(f"\npostgres: left out, {problem}")
            continue
        measure(database, chosen)


def measure(database: str, chosen: list[str]) -> None:
    title = {"sqlite": "SQLite (the embedded default)", "postgres": "Postgres + Redis"}[database]
    print(f"\n{title}\n{'what':68} {'measured':60} at most")
    if of_tree := [name for name in chosen if name in (*FIGURES, "start", *LIVE)]:
        with Tree(database) as tree:
            for name in of_tree:
                if name in LIVE:
                    show(LIVE[name](tree))
                else:
                    show(starting(tree) if name == "start" else [FIGURES[name](tree)])
    if of_clock := [name for name in chosen if name in CLOCK]:
        with Ground(database) as ground:
            for name in of_clock:
                show(CLOCK[name](ground))
    for name in faults.FAULTS:
        if name in chosen:
            show(faults.measure(database, name))
    for name, figure in PAGES.items():
        if name in chosen:
            show(figure(database))


def show(rows: list[Row]) -> None:
    for what, measured, limit in rows:
        print(f"{what:68} {measured:60} {limit}", flush=True)


def no_postgres() -> str:
    try:
        execute("SELECT 1")
    except psycopg2.OperationalError as error:
        return str(error).strip().splitlines()[0]
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
