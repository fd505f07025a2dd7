"""Getting very many rows into a table: COPY on Postgres, INSERT elsewhere.

What a row does not say is as its model says. Nothing of the rows is checked: they are made to be right.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models

Values = tuple[Any, ...]
CHUNK = 2000  # rows at a time
NOTHING = "\\N"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Raw(str):
    """Text that needs no escaping: JSON that was written once for many rows."""

    __slots__ = ()


def load(model: type[models.Model], names: Sequence[str], rows: Iterable[Values], **constants: Any) -> None:
    """Store rows whose values are those of `names` (columns); `constants` and the model's defaults are in each."""
    varying = set(names)
    rest = {
        field.attname: constants.get(field.attname, field.get_default())
        for field in model._meta.local_concrete_fields
        if field.attname not in varying and (not field.primary_key or field.attname in constants)
    }
    columns = ", ".join(f'"{column(model, name)}"' for name in (*names, *rest))
    values = [prepared(model, name, value) for name, value in rest.items()]
    table = connection.ops.quote_name(model._meta.db_table)
    write = copy if connection.vendor == "postgresql" else insert
    write(f"{table} ({columns})", rows, values)


def column(model: type[models.Model], name: str) -> str:
    return str(model._meta.get_field(name).column)


def prepared(model: type[models.Model], name: str, value: Any) -> Any:
    """Return a default as this module takes it."""
    if isinstance(model._meta.get_field(name), models.JSONField):
        return json.dumps(value)
    return getattr(value, "value", value)


def copy(target: str, rows: Iterable[Values], constants: Sequence[Any]) -> None:
    end = "".join(f"\t{plain(value)}" for value in constants) + "\n"
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {target} FROM STDIN", Text(rows, end))


class Text:
    """What psycopg2 reads from: rows as COPY takes them."""

    def __init__(self, rows: Iterable[Values], end: str) -> None:
        self.rows, self.end = iter(rows), end

    def read(self, size: int = 0) -> str:
        return "".join("\t".join(map(plain, row)) + self.end for row in islice(self.rows, 20))


def plain(value: Any) -> str:
    kind = type(value)
    if kind is Raw or kind is int:
        return str(value)
    if value is None:
        return NOTHING
    if kind is bool:
        return "t" if value else "f"
    if kind is datetime:
        return str(value.isoformat())
    if isinstance(value, timedelta):
        return f"{value.total_seconds()} seconds"
    return str(value).translate(ESCAPES)


def insert(target: str, rows: Iterable[Values], constants: Sequence[Any]) -> None:
    """Through sqlite3 itself."""
    end = tuple(map(native, constants))
    with connection.cursor() as cursor:
        for chunk in chunks(tuple(map(native, row)) + end for row in rows):
            places = ", ".join(["%s"] * len(chunk[0]))
            cursor.executemany(f"INSERT INTO {target} VALUES ({places})", chunk)


def native(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    return str(value) if isinstance(value, Raw) else value


def chunks(rows: Iterable[Values]) -> Iterator[list[Values]]:
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def reset_sequences(*of: type[models.Model]) -> None:
    """Let the next key be one that is free; rows came with their own."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(of)):
            cursor.execute(statement)
