"""`idle in transaction` by construction: between the statements of a transaction of ours only Python runs."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from runs import recovery
from schedules import scheduler
from tests.factories import make_schedule
from tests.runs.place import Place

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]
NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg")
SLOW = (*NETWORK, "subprocess.Popen", "os.fork", "shutil.rmtree", "time.sleep")
_found: list[str] | None = None


def look(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook cannot be taken away: it looks only while somebody wants to know."""
    if _found is None or not connection.in_atomic_block:
        return
    if event in SLOW or (event == "open" and not str(arguments[0]).endswith((".py", ".pyc"))):
        here = [line for line in traceback.format_stack() if "site-packages" not in line][-3:]
        _found.append(f"{event}{arguments!r:.100} at {''.join(here)}")


sys.addaudithook(look)


@contextmanager
def watched() -> Iterator[list[str]]:
    global _found
    _found = found = []
    try:
        yield found
    finally:
        _found = None


def test_what_is_slow_would_be_found() -> None:
    with watched() as found, transaction.atomic():
        open("/dev/null").close()

    assert [what.partition("(")[0] for what in found] == ["open"]


def test_the_way_of_a_run_does_nothing_slow_within_a_transaction(place: Place) -> None:
    with watched() as found:
        run = place.run("chain")
        place.start("failing")
        place.worker.work_on_anything()
        recovery.sweep(timezone.now())

    assert run.status == "completed"
    assert found == []


def test_a_scheduler_does_nothing_slow_within_a_transaction(place: Place) -> None:
    place.start("chain")
    moment = timezone.now()
    schedule = make_schedule(schedule_interval="* * * * *", is_active=False)
    schedule.resume(moment - timedelta(minutes=3))

    with watched() as found:
        report = scheduler.tick(moment)

    assert report.fired >= 1
    assert found == []


def test_a_request_that_starts_a_run_does_nothing_slow_within_a_transaction(place: Place, page: Client) -> None:
    uuid = place.start("chain").pipeline.uuid

    with watched() as found:
        answer = page.post(f"/api/v1/pipelines/{uuid}/pipeline_runs", {"variables": {}}, "application/json")

    assert answer.status_code == 201, answer.content
    assert found == []
