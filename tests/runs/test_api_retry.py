"""Repeating a run over HTTP: what would happen, the choice of the version, keeping a run."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from runs import lifecycle
from runs.models import Origin, PipelineRun
from tests.factories import JSONClient, make_client, make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, drive, statuses
from tests.runs.versions import coded, give_version

pytestmark = pytest.mark.django_db
BLOCKS = [coded("load"), coded("clean", "load")]


@pytest.fixture
def api(ada: User) -> JSONClient:
    return make_client()


@pytest.fixture
def run(ada: User, now: datetime) -> PipelineRun:
    """A run that failed at its second block, of a pipeline whose first has changed since."""
    pipeline = make_pipeline()
    give_version(pipeline, BLOCKS, load="x = 1", clean="y = 1")
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL, variables={"day": "mon"})
    drive(run, now, lambda uuid: FAILED if uuid == "clean" else COMPLETED)
    give_version(pipeline, BLOCKS, load="x = 2", clean="y = 1")
    return run


def retry(api: JSONClient, run: PipelineRun, query: str = "", **body: Any) -> Any:
    return api.post(f"/api/v1/pipeline_runs/{run.pk}/retry{query}", body)


def test_a_dry_run_tells_what_would_run_again_and_does_nothing(api: JSONClient, run: PipelineRun) -> None:
    answer = retry(api, run, "?dry_run=true")

    told = answer.json()
    run.refresh_from_db()
    assert (answer.status_code, run.status) == (200, "failed")
    assert told["again"] == [{"block_uuid": "clean", "status": "failed", "why": "it failed"}]
    assert [line["block_uuid"] for line in told["kept"]] == ["load"]
    assert (told["version"], told["refused"], told["removed"]) == (None, "", [])


def test_a_dry_run_shows_what_differs_from_the_current_version(api: JSONClient, run: PipelineRun) -> None:
    told = retry(api, run, "?dry_run=true", version="current").json()["version"]

    (difference,) = told["differences"]
    assert (told["pinned"], told["current"]) == ("version 2", "version 3")
    assert (difference["block_uuid"], difference["kind"], difference["does_otherwise"]) == ("load", "changed", True)
    assert "-x = 1\n+x = 2" in difference["code"]


def test_the_current_version_is_taken_when_asked_for(api: JSONClient, run: PipelineRun) -> None:
    answer = retry(api, run, version="current")

    assert answer.status_code == 202
    assert statuses(run) == {"load": "queued", "clean": "initial"}
    assert api.get(f"/api/v1/pipeline_runs/{run.pk}").json()["version"] == "version 3"


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", {"whole": True, "from_block": "load"}, 400),
        ("", {"whole": True, "incomplete": True}, 400),
        ("", {"version": "newest"}, 400),
        ("?dry_run=perhaps", {}, 400),
        ("?dry_run=true", {"from_block": "nope"}, 404),
        ("?force=true", {}, 400),
    ],
)
def test_a_retry_that_is_not_understood_changes_nothing(
    api: JSONClient, run: PipelineRun, query: str, body: dict[str, Any], status: int
) -> None:
    assert retry(api, run, query, **body).status_code == status
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("failed", 1)


def test_a_run_is_kept_and_left_again(api: JSONClient, run: PipelineRun) -> None:
    kept = api.post(f"/api/v1/pipeline_runs/{run.pk}/keep").json()["is_kept"]
    left = api.post(f"/api/v1/pipeline_runs/{run.pk}/unkeep").json()["is_kept"]

    assert (kept, left) == (True, False)


def test_kept_runs_are_found_again(api: JSONClient, run: PipelineRun) -> None:
    assert api.get("/api/v1/pipeline_runs?is_kept=true").json()["results"] == []

    run.set_kept(True)

    assert [row["id"] for row in api.get("/api/v1/pipeline_runs?is_kept=true").json()["results"]] == [run.pk]


def test_a_verb_that_takes_nothing_says_so(api: JSONClient, run: PipelineRun) -> None:
    answer = api.post(f"/api/v1/pipeline_runs/{run.pk}/keep", {"keep": False})

    run.refresh_from_db()
    assert (answer.status_code, answer.json()["code"], run.is_kept) == (400, "unknown_field", False)


def test_a_word_that_is_not_known_is_told_with_those_that_are(api: JSONClient, run: PipelineRun) -> None:
    told = retry(api, run, "", version="latest").json()

    assert told["detail"] == "version: 'latest' is not known. Allowed: pinned, current."


def test_variables_say_where_they_are_from(api: JSONClient, run: PipelineRun) -> None:
    run.variables |= {"city": "Köln"}
    run.variable_origins |= {"city": "trigger"}
    run.save()

    told = api.get(f"/api/v1/pipeline_runs/{run.pk}").json()

    assert told["variable_origins"] == {"day": "run", "city": "schedule"}
