"""Tables of Postgres are emptied between tests by DELETE, which costs as much as there are rows.

TRUNCATE makes new files for each table and each of its indexes, and waits for the disk, also where nothing is in them.
"""

from django.core.management.color import Style
from django.db.backends.postgresql.operations import DatabaseOperations

# What `flush` fills anew with the very same rows: one for each model, and what may be done with it.
FILLED_AGAIN = ("django_content_type", "auth_permission")
truncate = DatabaseOperations.sql_flush


def delete(
    self: DatabaseOperations,
    style: Style,
    tables: list[str],
    *,
    reset_sequences: bool = False,
    allow_cascade: bool = False,
) -> list[str]:
    """Say what empties the tables; in one transaction, at whose end foreign keys are looked at."""
    if reset_sequences:
        return list(truncate(self, style, tables, reset_sequences=True, allow_cascade=allow_cascade))
    return [f"DELETE FROM {self.quote_name(table)}" for table in tables if table not in FILLED_AGAIN]


def use_delete() -> None:
    setattr(DatabaseOperations, "sql_flush", delete)  # noqa: B010  # a type checker would not see why
