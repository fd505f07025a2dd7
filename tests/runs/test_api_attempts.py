"""The attempts at a block over HTTP and on the page of its run."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs import lifecycle, logs, recovery
from runs.models import BlockRun, Origin
from tests.factories import make_client, make_pipeline, text_of
from tests.runs.outcomes import COMPLETED, FAILED, claim, make_owner

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def tried_twice(now: datetime, settings: Any, tmp_path: Path) -> BlockRun:
    """A block that failed and was then done, each time with a log."""
    settings.LOGS_URL = str(tmp_path)
    pipeline = make_pipeline(blocks=[("load",)], retry_config={"retries": 1, "delay": 1})
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)
    for outcome in (FAILED, COMPLETED):
        held = claim(run, "load", make_owner(now), now)
        path = logs.path(run.pk, held.pk, held.attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        lifecycle.finish_block(held, outcome, moment=now + timedelta(seconds=1))
        now += timedelta(seconds=5)
        recovery.due_timers(now)
    return run.block_runs.get()


def test_all_attempts_are_listed_in_order_and_alike(ada: object, tried_twice: BlockRun) -> None:
    answer = make_client().get(f"/api/v1/block_runs/{tried_twice.pk}/attempts")

    first, second = answer.json()["results"]
    assert (first["number"], first["ended_as"], first["error"]["type"]) == (1, "failed", "ValueError")
    assert (second["number"], second["ended_as"], second["error"]) == (2, "completed", {})
    assert (first["duration"], second["duration"], second["host"]) == (1.0, 1.0, "here")
    assert first.keys() == second.keys()


def test_attempts_take_no_parameters(ada: object, tried_twice: BlockRun) -> None:
    assert make_client().get(f"/api/v1/block_runs/{tried_twice.pk}/attempts?limit=1").status_code == 400


def test_attempts_of_an_unknown_block_run_are_not_found(ada: object) -> None:
    assert make_client().get("/api/v1/block_runs/99/attempts").status_code == 404


def test_the_page_lists_the_attempts_with_their_logs(page: Client, tried_twice: BlockRun) -> None:
    text = text_of(page.get(f"/runs/{tried_twice.pipeline_run_id}/"))

    assert "<h2>Attempts</h2>" in text
    assert "ValueError: no such day" in text
    assert "?block=load&amp;attempt=1" in text


def test_what_an_attempt_says_is_shown_as_text(page: Client, tried_twice: BlockRun) -> None:
    tried_twice.attempts.update(host=HOSTILE, external_id=HOSTILE, error={"type": HOSTILE, "message": HOSTILE})

    assert HOSTILE not in text_of(page.get(f"/runs/{tried_twice.pipeline_run_id}/"))
