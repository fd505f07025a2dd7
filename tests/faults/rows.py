"""The database seen from outside, by plain SQL: what the checker may believe."""

import contextlib
import sqlite3
from datetime import datetime
from typing import Any

from tests.faults.servers import Postgres


class Rows:
    def __init__(self, file: str, postgres: Postgres | None) -> None:
        self.file, self.postgres = file, postgres

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]

    def one(self, sql: str) -> Any:
        rows = self.all(sql)
        return rows[0][0] if rows else None

    def connect(self) -> Any:
        return self.postgres.connect() if self.postgres else sqlite3.connect(self.file, timeout=20)

    def ago(self, seconds: float) -> str:
        """Return SQL for a moment so long ago, to be compared with a stored one."""
        if self.postgres:
            return f"now() - interval '{seconds} seconds'"
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{seconds} seconds')"


def moment(value: Any) -> float:
    """Return a stored moment as seconds since 1970."""
    if isinstance(value, datetime):
        return value.timestamp()
    text = str(value)
    return datetime.fromisoformat(text if "+" in text else f"{text}+00:00").timestamp()
