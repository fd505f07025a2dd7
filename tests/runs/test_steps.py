"""The life of a run as steps, with the time between them."""

from datetime import timedelta
from typing import Any

import pytest

from runs.models import PipelineRun
from runs.states import RunStatus
from runs.steps import steps
from tests.factories import NOON, make_run

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def told(run: PipelineRun, starting: float | None = 2, at: Any = NOON + MINUTE) -> list[tuple[str, float | None]]:
    events = run.events.order_by("-id")
    return [(step.word, step.after) for step in steps(run, {"starting_seconds": starting}, events, at)]


def test_a_finished_run_has_come_to_its_end() -> None:
    run = make_run(status=RunStatus.COMPLETED, created_at=NOON - MINUTE, completed_at=NOON + MINUTE)

    assert told(run) == [("created", None), ("let in", 60), ("first block began", 2), ("completed", 58)]


def test_a_run_that_waits_says_for_how_long() -> None:
    run = make_run(status=RunStatus.INITIAL, started_at=None)

    assert told(run, None) == [("created", None), ("waiting", 60)]


def test_a_run_that_runs_ends_with_now() -> None:
    run = make_run(status=RunStatus.RUNNING)

    assert told(run)[-1] == ("running", 58)
    assert steps(run, {}, [], NOON)[-1].is_now


def test_earlier_attempts_are_told_by_their_ends() -> None:
    run = make_run(status=RunStatus.RUNNING, attempt=2, created_at=NOON - 3 * MINUTE)
    for kind, at in (("started", -3), ("failed", -2), ("retried", 0), ("started", 0)):
        run.events.create(kind=kind, happened_at=NOON + at * MINUTE)

    words = [word for word, _ in told(run)]

    assert words == ["created", "attempt 1 failed", "attempt 2 let in", "first block began", "running"]
