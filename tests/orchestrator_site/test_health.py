"""Probes answer without a login; the system resource says who is alive and what waits."""

from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, close_old_connections, connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from orchestrator_site import health
from runs.models import BlockRun, Worker, WorkerKind
from runs.states import BlockStatus
from tests.factories import make_run, make_user, make_worker


def test_healthz_asks_no_database(client: Client) -> None:  # no db mark: a query would raise
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a file does not hang up")
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_closed_costs_the_next_request_nothing() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    killer = connection.copy()
    with killer.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    killer.close()

    close_old_connections()  # as Django does at the beginning of each request

    assert Worker.objects.count() == 0


@pytest.mark.django_db
def test_readyz_says_that_database_and_tables_are_there(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "migrations": "ok", "scheduler": "none yet"}


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "status"), [(29, 200), (40, 503)])
def test_readyz_fails_when_the_loop_of_all_schedulers_is_late(client: Client, age: int, status: int) -> None:
    for more in (0, 3600):
        loop = timezone.now() - timedelta(seconds=age + more)
        make_worker(WorkerKind.SCHEDULER, pid=more + 1, last_loop_at=loop)

    answer = client.get("/readyz")

    assert answer.status_code == status
    assert answer.json()["scheduler"] == ("ok" if status == 200 else "late: the last loop was completed 40 s ago")


@pytest.mark.django_db
def test_readyz_says_that_tables_are_missing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "found_migrated", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'runs'")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "migrate" in answer.json()["migrations"]


@pytest.mark.django_db
def test_readyz_says_that_the_database_is_silent_and_no_more(client: Client) -> None:
    def refuse(*args: object) -> None:
        raise DatabaseError("could not connect to db.internal as root with password hunter2")

    with connection.execute_wrapper(refuse):
        answer = client.get("/readyz")

    assert answer.status_code == 503
    silent = {"database": "does not answer", "migrations": "unknown", "scheduler": "unknown"}
    assert answer.json() == {"status": "not ready", **silent}


@pytest.mark.django_db
def test_a_probe_only_reads(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
    assert client.post("/readyz").status_code == 405


@pytest.mark.django_db
def test_the_system_resource_tells_who_is_alive_and_what_waits(django_assert_num_queries: object) -> None:
    moment = timezone.now()
    make_worker(
        WorkerKind.SCHEDULER, seen_at=moment, last_loop_at=moment - timedelta(seconds=3), lag=timedelta(seconds=1)
    )
    make_worker(WorkerKind.SCHEDULER, seen_at=moment - timedelta(minutes=5))
    worker = make_worker(seen_at=moment, pid=7)
    make_worker(seen_at=moment, stopped_at=moment)
    make_run(blocks={"load": BlockStatus.QUEUED, "clean": BlockStatus.RUNNING, "save": BlockStatus.WAITING})
    BlockRun.objects.filter(status=BlockStatus.QUEUED).update(queued_at=moment - timedelta(seconds=9))
    BlockRun.objects.filter(status=BlockStatus.RUNNING).update(worker=worker)

    with django_assert_num_queries(3):  # type: ignore[operator]
        told = health.system(moment)

    assert [scheduler["last_loop_age"] for scheduler in told["schedulers"]] == [3.0]
    assert told["schedulers"][0]["lag"] == 1.0
    assert [(worker.pid, worker.running) for worker in told["workers"]] == [(7, 1)]
    assert told["queue"] | {"oldest": None} == {
        "depth": 1,
        "oldest": None,
        "oldest_age": 9.0,
        "running": 1,
        "waiting": 1,
    }


@pytest.mark.django_db
def test_a_worker_that_can_start_nothing_says_why() -> None:
    trouble = {"executor": "local_python", "reason": "no room", "since": "2025-03-03T12:00:00Z"}
    make_worker(seen_at=timezone.now(), trouble=trouble)
    make_worker(seen_at=timezone.now())
    client = APIClient()
    client.force_authenticate(make_user())

    workers = client.get("/api/v1/system/").json()["workers"]

    assert [worker["trouble"] for worker in workers] == [trouble, None]


@pytest.mark.django_db
def test_an_idle_system_has_no_oldest_age(now: datetime) -> None:
    assert health.system(now)["queue"]["oldest_age"] is None


@pytest.mark.django_db
def test_the_system_resource_is_for_users() -> None:
    client = APIClient()

    assert client.get("/api/v1/system/").status_code == 401
    client.force_authenticate(make_user())
    answer = client.get("/api/v1/system/")

    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "now", "schedulers", "workers", "queue", "findings"}
