"""What happened is told when it is true: after the commit, and not at all when it was taken back."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

from runs import bell, events, lifecycle
from runs.models import Event, Origin
from tests.factories import make_pipeline, make_run
from tests.runs.outcomes import COMPLETED, FAILED, claim, drive, make_owner

pytestmark = pytest.mark.django_db(transaction=True)
Rings = list[tuple[str, str]]


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> Rings:
    """What was rung; nobody need hear it."""
    heard: Rings = []
    monkeypatch.setattr(bell, "ring", lambda topic, text="": heard.append((topic, text)))
    return heard


@pytest.mark.parametrize(
    ("publish", "ring"),
    [
        (lambda: events.publish_run(17), ("live", "run 17")),
        (events.publish_work, ("queue", "")),
        (events.publish_timer, ("timers", "")),
    ],
)
def test_nobody_is_told_before_the_commit(publish: Any, ring: tuple[str, str], rings: Rings) -> None:
    with transaction.atomic():
        publish()
        before = list(rings)

    assert before == []
    assert rings == [ring]


def test_what_was_taken_back_is_told_to_nobody(rings: Rings, now: datetime) -> None:
    run = make_run()

    with suppress(KeyError), transaction.atomic():
        events.note(run, "started", now)
        events.publish_run(run.pk)
        raise KeyError

    assert rings == []
    assert not Event.objects.exists()


def test_a_new_run_rings_for_workers_and_pages(rings: Rings, now: datetime) -> None:
    run = lifecycle.create_run(make_pipeline(), moment=now, origin=Origin.MANUAL, started_by="ada")

    assert set(rings) == {("live", f"run {run.pk}"), ("queue", "")}
    assert [(each.kind, each.message) for each in run.events.all()] == [("created", "started by ada")]


def test_a_worker_that_goes_on_by_itself_rings_for_no_other(rings: Rings, now: datetime) -> None:
    run = lifecycle.create_run(make_pipeline(), moment=now, origin=Origin.MANUAL)
    worker = make_owner(now)
    held = claim(run, "load", worker, now)
    rings.clear()

    lifecycle.finish_block(held, COMPLETED, moment=now, next_for=worker)

    assert rings == [("live", f"run {run.pk}")]


def test_a_cancelled_run_rings_for_its_pages(rings: Rings, now: datetime) -> None:
    run = lifecycle.create_run(make_pipeline(), moment=now, origin=Origin.MANUAL)
    rings.clear()

    lifecycle.cancel(run, moment=now, reason="enough", by="ada")

    assert ("live", f"run {run.pk}") in rings


def test_a_retry_delay_wakes_the_scheduler(rings: Rings, now: datetime) -> None:
    pipeline = make_pipeline(retry_config={"retries": 1, "delay": 60})
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)

    drive(run, now, lambda _: FAILED)

    assert ("timers", "") in rings


def test_a_long_message_is_cut_to_what_a_row_holds(now: datetime) -> None:
    run = make_run()

    events.note(run, "block_failed", now, "x" * 10_000, attempt=1)

    event = run.events.get()
    assert len(event.message) == 500
    assert event.data == {"attempt": 1}
