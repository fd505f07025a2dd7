"""Whose clock counts: on Postgres the server's, whatever this host believes."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from runs import clock
from tests.conftest import ON_POSTGRES

pytestmark = pytest.mark.django_db(transaction=True)
on_postgres = pytest.mark.skipif(not ON_POSTGRES, reason="the database of this test run is not Postgres")
WRONG = datetime(2031, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_reading", None)
    monkeypatch.setattr(clock, "_asked_at", float("-inf"))


@pytest.fixture
def wrong_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: WRONG)


def server_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found


@on_postgres
def test_a_wrong_clock_of_this_host_does_not_count(wrong_host: None) -> None:
    assert abs(clock.now() - server_time()) < timedelta(seconds=1)


@on_postgres
def test_within_a_transaction_the_server_is_not_asked(wrong_host: None, django_assert_num_queries: object) -> None:
    clock.now()
    clock._asked_at = float("-inf")

    with transaction.atomic(), django_assert_num_queries(0):  # type: ignore[operator]
        assert clock.now() < WRONG


@on_postgres
def test_a_server_that_does_not_answer_leaves_the_time_it_said_last(
    wrong_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clock.now()
    clock._asked_at = float("-inf")

    def away() -> None:
        raise OperationalError("no route to host")

    monkeypatch.setattr(connection, "cursor", away)

    assert timedelta(0) <= clock.now() - before < timedelta(seconds=5)


@pytest.mark.skipif(ON_POSTGRES, reason="the database of this test run is Postgres")
def test_on_sqlite_the_host_is_all_there_is(wrong_host: None) -> None:
    assert clock.now() == WRONG
