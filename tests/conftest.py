"""What every test may use. `TEST_DATABASE=postgres` runs the tests that touch the database against Postgres."""

import importlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg2
import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import Client
from hypothesis import settings as hypothesis_settings

from tests import emptying, migrated, turns
from tests.factories import make_user

ON_POSTGRES = os.environ.get("TEST_DATABASE") == "postgres"
TURNS = turns.of_this_run()
# A deadline is one of the wall clock: it would judge what else the machine does.
hypothesis_settings.register_profile("ours", deadline=None)
hypothesis_settings.load_profile("ours")
emptying.use_delete()


def bring_back_first_rules(**_: object) -> None:
    """A test that commits empties every table after it: what a migration wrote is to be there for the next one."""
    if not apps.get_model("alerts", "AlertRule").objects.exists():
        importlib.import_module("alerts.migrations.0002_first_rules").write(apps, None)


post_migrate.connect(bring_back_first_rules, sender=apps.get_app_config("alerts"), dispatch_uid="first rules")


def postgres_problem() -> str:
    """Say why Postgres cannot be used here, or return ""."""
    try:
        psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=10).close()
    except psycopg2.OperationalError as error:
        return f"no Postgres answers: {str(error).strip().splitlines()[0]}"
    return ""


def touches_database(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or "db" in names or "transactional_db" in names


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    slow = {item.path for item in items if item.get_closest_marker("processes") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)  # first, so that no worker is left with a long file at the end
    if not ON_POSTGRES:
        return
    chosen = [item for item in items if touches_database(item)]
    config.hook.pytest_deselected(items=[item for item in items if not touches_database(item)])
    items[:] = chosen
    if problem := postgres_problem():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=problem))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Wait for this test's turn; outermost, so that the waiting counts for no timeout."""
    if TURNS is None:
        return (yield)
    TURNS.begin(item)
    try:
        return (yield)
    finally:
        TURNS.end(nextitem)


def pytest_sessionfinish() -> None:
    if TURNS is not None:
        TURNS.close()
    migrated.forget()


@pytest.fixture(autouse=True)
def same_project() -> Iterator[None]:
    """A command makes its process work on the project it is given: the next test is to find the one of the settings."""
    setting, variable = settings.PROJECT_DIR, os.environ.get("ORCHESTRATOR_PROJECT")
    yield
    if setting != settings.PROJECT_DIR:
        settings.PROJECT_DIR = setting
    if variable is None:
        os.environ.pop("ORCHESTRATOR_PROJECT", None)
    else:
        os.environ["ORCHESTRATOR_PROJECT"] = variable


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The workers of one test run migrate once, not each for itself."""
    if TURNS is not None and not (ON_POSTGRES and postgres_problem()):
        migrated.share_migrations(ON_POSTGRES, connection.settings_dict["TEST"])


@pytest.fixture
def now() -> datetime:
    """A moment: Sunday 2025-03-02, noon UTC."""
    return datetime(2025, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def ada(db: None) -> User:
    return make_user()


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    """A browser of ada's, who is signed in."""
    client.force_login(ada)
    return client
