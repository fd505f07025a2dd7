"""Indexes are built beside work on Postgres, and all the same on SQLite."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.migrations.operations import AddIndex
from django.db.migrations.state import ProjectState

from pipelines.models import Pipeline
from pipelines.quiet_indexes import AddIndexQuietly, state_of
from tests.conftest import ON_POSTGRES

NAME = "pipeline_by_type_for_a_test"
LARGE = {"pipelinerun", "blockrun", "event", "attempt", "occurrence"}
LAST_LOUD = {"runs": 9, "schedules": 12}  # they were applied long ago, or the tables are small in them
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def states() -> tuple[ProjectState, ProjectState]:
    before = ProjectState.from_apps(apps)
    return before, before.clone()


@pytest.fixture
def operation(states: tuple[ProjectState, ProjectState]) -> Iterator[AddIndexQuietly]:
    made = AddIndexQuietly("pipeline", models.Index(fields=["type"], name=NAME))
    made.state_forwards("pipelines", states[1])
    yield made
    if NAME in indexes():
        backwards(made, states)


def forwards(operation: AddIndexQuietly, states: tuple[ProjectState, ProjectState]) -> None:
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("pipelines", editor, *states)


def backwards(operation: AddIndexQuietly, states: tuple[ProjectState, ProjectState]) -> None:
    with connection.schema_editor(atomic=False) as editor:
        operation.database_backwards("pipelines", editor, *states[::-1])


def indexes() -> dict[str, object]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, Pipeline._meta.db_table)  # type: ignore[no-any-return]


def test_an_index_is_built_and_removed_again(
    operation: AddIndexQuietly, states: tuple[ProjectState, ProjectState]
) -> None:
    forwards(operation, states)
    assert NAME in indexes()

    backwards(operation, states)
    assert NAME not in indexes()


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite builds it in one step")
def test_it_may_be_applied_again_when_it_is_there_already(
    operation: AddIndexQuietly, states: tuple[ProjectState, ProjectState]
) -> None:
    forwards(operation, states)

    forwards(operation, states)

    assert NAME in indexes()


@pytest.mark.skipif(not ON_POSTGRES, reason="SQLite builds it in one step")
def test_what_is_half_built_is_built_anew(
    operation: AddIndexQuietly, states: tuple[ProjectState, ProjectState]
) -> None:
    forwards(operation, states)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)", [NAME])
        assert state_of(cursor, NAME) == "half built"

        forwards(operation, states)

        assert state_of(cursor, NAME) == "there"


@pytest.mark.skipif(not ON_POSTGRES, reason="there are no lock timeouts elsewhere")
def test_the_time_that_others_may_wait_is_as_before(
    operation: AddIndexQuietly, states: tuple[ProjectState, ProjectState]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1234ms'")

        forwards(operation, states)

        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("1234ms",)
        cursor.execute("RESET lock_timeout")


@pytest.mark.parametrize("app", LAST_LOUD)
def test_no_new_migration_stops_the_writing_to_a_large_table(app: str) -> None:
    folder = Path(inspect.getfile(importlib.import_module(f"{app}.migrations"))).parent
    new = [path.stem for path in sorted(folder.glob("0*.py")) if int(path.stem[:4]) > LAST_LOUD[app]]

    for name in new:
        migration = importlib.import_module(f"{app}.migrations.{name}").Migration
        loud = [each for each in migration.operations if isinstance(each, AddIndex) and is_loud(each)]
        quiet = [each for each in migration.operations if isinstance(each, AddIndexQuietly)]
        assert not loud, f"{app}.{name}: use AddIndexQuietly for {[each.index.name for each in loud]}"
        assert not quiet or migration.atomic is False, f"{app}.{name} has to say atomic = False"


def is_loud(operation: AddIndex) -> bool:
    return not isinstance(operation, AddIndexQuietly) and operation.model_name.lower() in LARGE
