"""Writing many rows at a time where the ORM is slow: it makes an expression of each value and asks it many questions.

Most columns of a batch hold one value in every row. Here a column is looked at as a whole: a value is prepared for
the database once and, where all rows have the same, sent once.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

Row = TypeVar("Row", bound=models.Model)


def insert_all(rows: Sequence[Row]) -> None:
    """Store new rows of one model and give them their keys: `bulk_create`, at a third of its cost.

    What they refer to is stored before. The fields have no `auto_now` and no default of the database's.
    """
    for begin in range(0, len(rows), CHUNK):
        insert(rows[begin : begin + CHUNK])


CHUNK = 500  # rows in a statement: SQLite takes 32,766 values at least


def insert(rows: Sequence[Row]) -> None:
    model = type(rows[0])
    if not joins_values():
        model._base_manager.bulk_create(rows)
        return
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    columns = [prepared(field, [getattr(row, field.attname) for row in rows]) for field in fields]
    varying = [each for each in zip(fields, columns, strict=True) if not is_constant(each[1])]
    constant = [each for each in zip(fields, columns, strict=True) if is_constant(each[1])]
    names = ", ".join(quoted(field) for field, _ in [*varying, *constant])
    chosen = [typed(field, f"new.column{number}") for number, (field, _) in enumerate(varying, 2)]
    chosen += [typed(field, "%s") for field, _ in constant]
    # The first column keeps the rows in order and is there when nothing varies.
    places = f"({', '.join(['%s'] * (len(varying) + 1))})"
    sql = (
        f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({names}) "  # noqa: S608 - our names
        f"SELECT {', '.join(chosen)} FROM (VALUES {', '.join([places] * len(rows))}) AS new "
        f"ORDER BY new.column1 RETURNING {quoted(column_of(model, 'pk'))}"
    )
    values = [values[0] for _, values in constant]
    for number in range(len(rows)):
        values += [number, *(column[number] for _, column in varying)]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk, row._state.adding, row._state.db = key, False, connection.alias


def prepared(field: Any, values: Sequence[Any]) -> list[Any]:
    """Return the values of a column as the database takes them; equal ones are one object."""
    known: dict[Any, Any] = {}
    found = []
    database = connections[DEFAULT_DB_ALIAS]  # itself: `connection` looks for it at each touch
    is_json = isinstance(field, models.JSONField)  # lists and objects: the same one, or none the less empty
    for value in values:
        key = (type(value), id(value) if is_json and value else None if is_json else value)
        if key not in known:
            known[key] = field.get_db_prep_save(value, database)
        found.append(known[key])
    return found


def is_constant(column: Sequence[Any]) -> bool:
    return all(value is column[0] for value in column)


def update_each(rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Save these fields of stored rows of one model in one statement: `bulk_update`, at a tenth of its cost."""
    if not rows:
        return
    model = type(rows[0])
    if not joins_values():
        model._base_manager.bulk_update(rows, names)
        return
    table, key = connection.ops.quote_name(model._meta.db_table), column_of(model, "pk")
    fields = [column_of(model, name) for name in names]
    changes = ", ".join(
        f"{quoted(field)} = {typed(field, f'new.column{number}')}" for number, field in enumerate(fields, 2)
    )
    places = f"({', '.join(['%s'] * (len(fields) + 1))})"
    sql = (
        f"UPDATE {table} SET {changes} FROM (VALUES {', '.join([places] * len(rows))}) AS new "  # noqa: S608 - our names
        f"WHERE {table}.{quoted(key)} = new.column1"
    )
    news = [prepared(field, [getattr(row, field.attname) for row in rows]) for field in fields]
    values = [value for row, *new in zip(rows, *news, strict=True) for value in (row.pk, *new)]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def column_of(model: type[models.Model], name: str) -> Any:
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def quoted(field: Any) -> str:
    return connection.ops.quote_name(field.column)


def joins_values() -> bool:
    """Does this database know UPDATE … FROM and RETURNING?"""
    if connection.vendor == "sqlite":
        return sqlite3.sqlite_version_info >= (3, 35)
    return connection.vendor == "postgresql"


def typed(field: Any, column: str) -> str:
    """Name the type on Postgres, which takes a column of nothing but NULL for text. (With its length it would cut.)"""
    if connection.vendor != "postgresql":
        return column
    return f"CAST({column} AS {field.cast_db_type(connection).partition('(')[0]})"
