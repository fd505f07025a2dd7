"""The demo's own database: one SQLite file that all its pipelines share."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from demo_project.utils.places import state_file

TABLES = """
CREATE TABLE IF NOT EXISTS weather (
    day TEXT PRIMARY KEY, precipitation REAL, temp_max REAL, temp_min REAL, temp_mean REAL, wind REAL, weather TEXT,
    normal REAL, anomaly REAL);
CREATE TABLE IF NOT EXISTS energy_mix (
    year INTEGER, source TEXT, net_generation INTEGER, total INTEGER, share REAL, growth REAL,
    PRIMARY KEY (year, source));
CREATE TABLE IF NOT EXISTS employment (
    year INTEGER PRIMARY KEY, average INTEGER, change INTEGER, best_month TEXT, worst_month TEXT);
CREATE TABLE IF NOT EXISTS climate (
    month INTEGER PRIMARY KEY, name TEXT, days INTEGER, temp_mean REAL, hottest REAL, coldest REAL,
    rain_total REAL, wet_days INTEGER);
CREATE TABLE IF NOT EXISTS audit (
    audited_for TEXT PRIMARY KEY, files INTEGER, problems INTEGER, gaps INTEGER);
"""


@contextmanager
def reading() -> Iterator[sqlite3.Connection]:
    """A connection for queries; rows are dictionaries. Tables that nothing was written to yet are empty."""
    db = connect()
    try:
        yield db
    finally:
        db.close()


@contextmanager
def writing() -> Iterator[sqlite3.Connection]:
    """One transaction that no other writer overlaps: kept when the body ends, undone when it raises."""
    with reading() as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def upsert(db: sqlite3.Connection, table: str, key: Sequence[str], rows: Sequence[dict[str, Any]]) -> int:
    """Insert the rows, or overwrite those with the same key; return how many were new."""
    if not rows:
        return 0
    before = count(db, table)
    columns = list(rows[0])
    others = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in key)
    db.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {others}",
        rows,
    )
    return count(db, table) - before


def count(db: sqlite3.Connection, table: str) -> int:
    return db.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"]


def connect() -> sqlite3.Connection:
    # Runs of several pipelines overlap: in WAL mode reading never waits, and a writer waits for its turn.
    db = sqlite3.connect(state_file("store.sqlite"), timeout=30, isolation_level=None)
    db.row_factory = lambda cursor, row: {column[0]: value for column, value in zip(cursor.description, row)}
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(TABLES)
    return db
