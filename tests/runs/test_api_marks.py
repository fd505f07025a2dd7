"""Marking a block run over HTTP."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from runs.models import BlockRun
from runs.states import BlockStatus, RunStatus
from tests.factories import JSONClient, make_client, make_run

pytestmark = pytest.mark.django_db
BLOCKS = {"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED, "save": BlockStatus.UPSTREAM_FAILED}


@pytest.fixture
def api(ada: User) -> JSONClient:
    return make_client()


@pytest.fixture
def failed(ada: User) -> BlockRun:
    return make_run(status=RunStatus.FAILED, blocks=BLOCKS).block_runs.get(block_uuid="clean")


def mark(api: JSONClient, row: BlockRun, **body: Any) -> Any:
    return api.post(f"/api/v1/block_runs/{row.pk}/mark", body)


def test_a_mark_ends_the_block_and_the_run_goes_on(api: JSONClient, failed: BlockRun) -> None:
    answer = mark(api, failed, status="completed", reason="done by hand")

    told = answer.json()
    assert answer.status_code == 200
    assert (told["status"], told["reason"]) == ("completed", "marked completed by ada: done by hand")
    assert failed.pipeline_run.block_runs.get(block_uuid="save").status == BlockStatus.QUEUED


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "completed"},
        {"status": "completed", "reason": ""},
        {"status": "completed", "reason": "x" * 501},
        {"status": "completed", "reason": 5},
        {"status": "done", "reason": "so"},
        {"status": "completed", "reason": "so", "force": True},
    ],
)
def test_a_mark_that_is_not_understood_changes_nothing(api: JSONClient, failed: BlockRun, body: dict[str, Any]) -> None:
    assert mark(api, failed, **body).status_code == 400
    failed.refresh_from_db()
    assert (failed.status, failed.attempt) == ("failed", 1)


def test_what_is_so_already_is_a_conflict(api: JSONClient, failed: BlockRun) -> None:
    answer = mark(api, failed, status="failed", reason="so")

    assert answer.status_code == 409
    assert answer.json()["detail"] == "clean is failed already."


def test_a_block_run_that_is_not_there_is_not_found(api: JSONClient) -> None:
    assert api.post("/api/v1/block_runs/99/mark", {"status": "failed", "reason": "so"}).status_code == 404
