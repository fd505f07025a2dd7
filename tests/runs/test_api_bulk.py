"""One verb for many runs over HTTP."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import JSONClient, make_client, make_pipeline, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(ada: User) -> JSONClient:
    return make_client()


def ask(api: JSONClient, verb: str, filter: Any = None, **body: Any) -> Any:
    return api.post("/api/v1/pipeline_runs/bulk", {"verb": verb, "filter": filter or {}, **body})


def failed(**fields: Any) -> PipelineRun:
    return make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED}, **fields)


def test_what_was_told_is_what_is_done(api: JSONClient) -> None:
    mine, other = failed(), failed(pipeline=make_pipeline("other"))
    chosen = {"pipeline_uuid": "etl", "status__in": ["failed", "cancelled"]}

    told = ask(api, "retry", chosen, dry_run=True).json()
    answer = ask(api, "retry", chosen, token=told["token"])

    assert (told["count"], [run["id"] for run in told["sample"]]) == (1, [mine.pk])
    assert answer.json() == {
        "count": 1,
        "done": 1,
        "refused": 0,
        "results": [{"id": mine.pk, "done": True, "reason": ""}],
    }
    other.refresh_from_db()
    assert other.status == RunStatus.FAILED


def test_runs_are_chosen_by_their_numbers(api: JSONClient) -> None:
    first, _, third = failed(), failed(), failed()

    told = ask(api, "keep", {"id__in": [first.pk, third.pk]}, dry_run=True).json()

    assert [run["id"] for run in told["sample"]] == [first.pk, third.pk]


def test_nothing_is_done_without_a_preview(api: JSONClient) -> None:
    run = failed()

    answer = ask(api, "retry")

    run.refresh_from_db()
    assert (answer.status_code, run.status) == (400, "failed")
    assert "dry_run" in answer.json()["hint"]


def test_a_preview_that_is_out_of_date_is_a_conflict(api: JSONClient) -> None:
    failed()
    token = ask(api, "retry", dry_run=True).json()["token"]
    failed()

    assert ask(api, "retry", token=token).status_code == 409


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("delete", {}),
        ("retry", {"filter": {"state": "failed"}}),
        ("retry", {"filter": {"status": "bad"}}),
        ("retry", {"filter": {"status": None}}),
        ("retry", {"filter": {"id__in": [True]}}),
        ("retry", {"filter": {"created_at__gte": "yesterday"}}),
        ("retry", {"filter": []}),
        ("retry", {"whole": True, "incomplete": True}),
        ("retry", {"reason": "so"}),
        ("cancel", {"whole": True}),
        ("cancel", {"version": "current"}),
        ("retry", {"token": 5}),
    ],
)
def test_what_is_not_understood_is_refused(api: JSONClient, verb: str, body: dict[str, Any]) -> None:
    failed()

    assert (
        api.post("/api/v1/pipeline_runs/bulk", {"filter": {}, "verb": verb, "dry_run": True, **body}).status_code == 400
    )


def test_a_filter_that_fits_nothing_says_so(api: JSONClient) -> None:
    assert "None of these runs can be cancelled" in ask(api, "cancel", dry_run=True).json()["detail"]
