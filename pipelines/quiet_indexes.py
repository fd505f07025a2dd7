"""Indexes of large tables, built on Postgres while everybody goes on writing to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.migrations.operations import AddIndex
from django.db.migrations.state import ProjectState


class AddIndexQuietly(AddIndex):
    """`AddIndex` by CREATE INDEX CONCURRENTLY where there is one; its migration says `atomic = False`.

    It may be applied again after it was broken off: what is half built then is built anew.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return super().database_forwards(app_label, schema_editor, from_state, to_state)
        model = to_state.apps.get_model(app_label, self.model_name)
        with patience(schema_editor.connection) as cursor:
            found = state_of(cursor, str(self.index.name))
            if found == "half built":
                schema_editor.remove_index(model, self.index, concurrently=True)
            if found != "there":
                schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return super().database_backwards(app_label, schema_editor, from_state, to_state)
        model = from_state.apps.get_model(app_label, self.model_name)
        with patience(schema_editor.connection):
            schema_editor.remove_index(model, self.index, concurrently=True)


def state_of(cursor: Any, name: str) -> str:
    """Say whether an index is "there", "half built" or "missing"."""
    cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
    found = cursor.fetchone()
    return "missing" if found is None else "there" if found[0] else "half built"


@contextmanager
def patience(connection: Any) -> Iterator[Any]:
    """Wait as long as it takes for transactions under way: nobody has to wait for who waits here."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        (before,) = cursor.fetchone()
        cursor.execute("SET lock_timeout = 0")
        try:
            yield cursor
        finally:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])
