"""The system page: who does what, who holds pools, executors, storage, and the configuration without secrets."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from orchestrator_site import shown_settings
from runs.models import Pool, WorkerKind
from runs.states import BlockStatus
from tests.factories import make_run, make_worker, text_of

pytestmark = pytest.mark.django_db


def at_work(**fields: Any) -> int:
    now = timezone.now()
    worker = make_worker(seen_at=now, lease_until=now + timedelta(seconds=20))
    run = make_run(blocks={"load": BlockStatus.RUNNING, "clean": BlockStatus.INITIAL})
    run.block_runs.filter(block_uuid="load").update(**{"worker": worker, "started_at": now} | fields)
    return run.pk


def test_a_worker_is_shown_with_what_it_does(page: Client) -> None:
    run = at_work()

    text = text_of(page.get("/system/"))

    assert f'<a href="/runs/{run}/?block=load">load</a>' in text
    assert f"of etl #{run}," in text


def test_a_worker_without_work_does_nothing(page: Client) -> None:
    make_worker(seen_at=timezone.now())

    assert '<span class="quiet small">nothing</span>' in text_of(page.get("/system/"))


def test_a_worker_that_can_start_nothing_says_so_with_its_executor(page: Client) -> None:
    trouble = {"executor": "local_python", "reason": "Cannot allocate <memory>", "since": timezone.now().isoformat()}
    make_worker(seen_at=timezone.now(), trouble=trouble)

    text = text_of(page.get("/system/"))

    assert text.count("cannot start blocks</span>") == 2
    assert "A worker on here cannot start blocks: Cannot allocate &lt;memory&gt;." in text
    assert '<div class="reason">Cannot allocate &lt;memory&gt;</div>' in text


def test_a_scheduler_tells_of_its_last_loop(page: Client) -> None:
    now = timezone.now()
    make_worker(WorkerKind.SCHEDULER, seen_at=now, last_loop_at=now)

    assert "last loop <time" in text_of(page.get("/system/"))


def test_a_pool_says_who_holds_it(page: Client) -> None:
    Pool.objects.create(name="warehouse", slots=2)
    run = at_work(pool="warehouse")

    (row,) = page.get("/system/").context["pools"]

    assert [block.pipeline_run_id for block in row["holders"]] == [run]


def test_orphans_are_shown_with_what_becomes_of_them(page: Client) -> None:
    at_work(worker=None)

    assert "has orphans" in text_of(page.get("/system/"))
    assert "taken up again within half a minute" in text_of(page.get("/system/"))


def test_an_executor_that_there_is_not_is_told_of(page: Client) -> None:
    at_work(executor="<mainframe>")

    text = text_of(page.get("/system/"))

    assert "&lt;mainframe&gt;" in text
    assert "there is none" in text


def test_stores_are_shown_with_their_size(page: Client) -> None:
    names = [store.name for store in page.get("/system/").context["stores"]]

    assert names == ["Database", "Logs", "Block outputs"]


def test_more_work_costs_no_more_queries(page: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(8):
        Pool.objects.create(name=f"pool {number}", slots=1)
        at_work(pool=f"pool {number}")

    with django_assert_max_num_queries(18):
        page.get("/system/")


# --- the configuration -----------------------------------------------------------------------------------------------


def test_every_setting_of_the_documentation_is_shown_but_those_of_tests_and_logging() -> None:
    table = (Path(settings.BASE_DIR) / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)`", table, re.M))

    assert documented - set(shown_settings.told()) <= {"LOG_LEVEL"}


def test_no_secret_is_shown(page: Client) -> None:
    text = text_of(page.get("/system/"))

    assert settings.SECRET_KEY not in text
    assert not any(key in text for key in settings.SECRETS_KEYS)


def test_an_address_is_shown_without_who_uses_it() -> None:
    assert shown_settings.address("rediss://user:hunter2@cache.example:6380/3?x=hunter2") == (
        "rediss://cache.example:6380/3"
    )


def test_a_postgres_database_is_shown_without_who_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"ENGINE": "django.db.backends.postgresql", "HOST": "db", "PORT": 5433, "NAME": "orc"}
    monkeypatch.setattr(settings, "DATABASES", {"default": config | {"USER": "u", "PASSWORD": "hunter2"}})

    assert shown_settings.database() == "postgres://db:5433/orc"
