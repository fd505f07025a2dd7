"""Stretches of equal length, in which the database counts."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Func, IntegerField


class CellOf(Func):
    """The number of the cell, counted from `begin`, in which a time lies."""

    output_field = IntegerField()

    def __init__(self, time: str, begin: datetime, length: timedelta) -> None:
        self.begin, self.length = int(begin.timestamp()), int(length.total_seconds())
        super().__init__(F(time), output_field=IntegerField())

    def _text(self, seconds: str) -> str:
        return f"CAST(FLOOR(({seconds} - {self.begin}) / {self.length}) AS INTEGER)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        seconds = "CAST(strftime('%%%%s', %(expressions)s) AS REAL)"
        return self.as_sql(compiler, connection, template=self._text(seconds).replace("FLOOR", ""), **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self._text("EXTRACT(EPOCH FROM %(expressions)s)"), **context)
