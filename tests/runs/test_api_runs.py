"""Runs over HTTP: start, read, cancel, retry."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import Origin, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_client, make_pipeline, make_run, make_user

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/pipeline_runs"
START = "/api/v1/pipelines/etl/pipeline_runs"


def test_a_run_started_by_hand_is_kept_before_the_answer() -> None:
    make_pipeline("etl", variables={"country": "DE", "day": "today"})

    answer = make_client(make_user("grace")).post(START, {"variables": {"day": "2025-03-02"}})

    body = answer.json()
    run = PipelineRun.objects.get(pk=body["id"])
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"{RUNS}/{run.pk}")
    assert (run.origin, run.started_by) == (Origin.MANUAL, "grace")
    assert body["pipeline_uuid"] == "etl"
    assert body["status"] == run.status == RunStatus.RUNNING
    assert body["variables"] == {"country": "DE", "day": "2025-03-02"}
    assert datetime.fromisoformat(body["execution_date"]).tzinfo is not None


def test_a_run_stands_for_the_moment_that_was_given() -> None:
    make_pipeline("etl")

    body = make_client().post(START, {"execution_date": "2025-03-30T03:30:00+02:00"}).json()

    assert body["execution_date"] == "2025-03-30T01:30:00Z"


def test_an_unknown_pipeline_is_404_with_the_nearest_name() -> None:
    make_pipeline("weather")

    answer = make_client().post("/api/v1/pipelines/waether/pipeline_runs", {})

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_pipeline")
    assert answer.json()["hint"] == "Did you mean weather?"


def test_a_broken_pipeline_is_409_with_file_and_line() -> None:
    problem = {"file": "pipelines/etl/metadata.yaml", "line": 3, "reason": "a tab", "hint": "Use spaces."}
    pipeline = make_pipeline("etl")
    pipeline.is_valid, pipeline.problems = False, [problem]
    pipeline.save()

    answer = make_client().post(START, {})

    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_pipeline")
    assert "metadata.yaml line 3: a tab" in answer.json()["detail"]
    assert not PipelineRun.objects.exists()


def test_the_detail_has_the_block_runs_in_order_and_no_traceback_in_lists() -> None:
    run = make_run(blocks={"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED})
    failed = run.block_runs.get(block_uuid="clean")
    failed.error = {"type": "ValueError", "message": "no", "traceback": "File x", "full_traceback": "File y"}
    failed.started_at, failed.completed_at = NOON, NOON + timedelta(seconds=1.5)
    failed.save()

    body = make_client().get(f"{RUNS}/{run.pk}").json()

    assert [(row["block_uuid"], row["status"]) for row in body["block_runs"]] == [
        ("load", "completed"),
        ("clean", "failed"),
        ("save", "initial"),
    ]
    assert [row["error"] for row in body["block_runs"]] == [None, {"type": "ValueError", "message": "no"}, None]
    assert body["block_runs"][1]["duration"] == 1.5
    assert body["version"] == "hash of etl"


def test_a_finished_run_has_its_duration() -> None:
    run = make_run(status=RunStatus.COMPLETED, started_at=NOON - timedelta(seconds=90))

    assert make_client().get(f"{RUNS}/{run.pk}").json()["duration"] == 90.0


def test_cancelling_stops_the_run_and_says_who() -> None:
    run = make_run(blocks={"load": BlockStatus.QUEUED})

    answer = make_client(make_user("grace")).post(f"{RUNS}/{run.pk}/cancel", {})

    run.refresh_from_db()
    assert answer.status_code == 202
    assert answer.json()["status"] == run.status == RunStatus.CANCELLED
    assert run.reason == "cancelled by grace"


def test_a_finished_run_cannot_be_cancelled() -> None:
    run = make_run(status=RunStatus.COMPLETED)

    answer = make_client().post(f"{RUNS}/{run.pk}/cancel", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["detail"] == f"Run {run.pk} is already completed."


def test_a_failed_run_is_retried_from_what_is_incomplete() -> None:
    blocks = {"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED, "save": BlockStatus.UPSTREAM_FAILED}
    run = make_run(status=RunStatus.FAILED, blocks=blocks)

    answer = make_client().post(f"{RUNS}/{run.pk}/retry")

    assert answer.status_code == 202
    assert answer.json()["status"] == "running"
    assert answer.json()["attempt"] == 2
    found = dict(run.block_runs.values_list("block_uuid", "status"))
    assert found == {"load": "completed", "clean": "queued", "save": "initial"}


def test_a_run_is_retried_from_a_block_on() -> None:
    run = make_run(status=RunStatus.FAILED, blocks=dict.fromkeys(("load", "clean"), BlockStatus.COMPLETED))

    answer = make_client().post(f"{RUNS}/{run.pk}/retry", {"from_block": "load"})

    assert answer.status_code == 202
    assert run.block_runs.get(block_uuid="load").status == BlockStatus.QUEUED


def test_a_run_that_goes_on_is_not_retried() -> None:
    run = make_run()

    answer = make_client().post(f"{RUNS}/{run.pk}/retry", {})

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Run {run.pk} is running; only a finished run is retried."


def test_a_completed_run_is_only_repeated_on_purpose() -> None:
    run = make_run(status=RunStatus.COMPLETED, blocks=dict.fromkeys(("load", "clean", "save"), BlockStatus.COMPLETED))

    refused = make_client().post(f"{RUNS}/{run.pk}/retry", {})
    accepted = make_client().post(f"{RUNS}/{run.pk}/retry", {"whole": True})

    assert (refused.status_code, accepted.status_code) == (409, 202)
    assert set(run.block_runs.values_list("attempt", flat=True)) == {2}


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"from_block": "nope"}, 404, "no block 'nope'"),
        ({"from_block": "load", "incomplete": True}, 400, "not both"),
        ({"incomplete": "yes"}, 400, "true or false"),
        ({"from_block": 3}, 400, "Text is wanted"),
        ({"status": "completed"}, 400, "Unknown field: status"),
    ],
)
def test_a_wrong_retry_changes_nothing(body: dict[str, Any], status: int, part: str) -> None:
    run = make_run(status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})

    answer = make_client().post(f"{RUNS}/{run.pk}/retry", body)

    run.refresh_from_db()
    assert answer.status_code == status
    assert part in answer.json()["detail"]
    assert run.status == RunStatus.FAILED


@pytest.mark.parametrize("path", [f"{RUNS}/99", f"{RUNS}/99/cancel", f"{RUNS}/99/retry", f"{RUNS}/99/logs"])
def test_what_is_not_there_is_404(path: str) -> None:
    method = "get" if path.endswith(("99", "logs")) else "post"

    answer = getattr(make_client(), method)(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("number", ["9" * 18, "9" * 30, "-1", "1.0", "1e3", "x", "%31%00"])
def test_no_number_breaks_the_lookup(number: str) -> None:
    assert make_client().get(f"{RUNS}/{number}").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=failed", [1]),
        ("status__in=failed,running", [0, 1]),
        ("pipeline_uuid=etl", [0, 1]),
        ("origin=api", [1]),
        ("pipeline_schedule_id=7", [1]),
        ("execution_date__gte=2025-03-02T12:30:00Z", [1]),
        ("execution_date__lt=2025-03-02T13:30:00%2B01:00", [0]),
        ("execution_date__lt=2025-03-02T13:30:00+01:00", [0]),
        ("id__lt=1", []),
        ("q=nightly", [1]),
        ("q=%25", []),
    ],
)
def test_the_list_can_be_narrowed(query: str, expected: list[int]) -> None:
    runs = [
        make_run(),
        make_run(
            status=RunStatus.FAILED,
            origin=Origin.API,
            trigger_id=7,
            trigger_name="nightly",
            execution_date=NOON + timedelta(hours=1),
        ),
    ]

    answer = make_client().get(f"{RUNS}?order=id&{query}")

    assert [row["id"] for row in answer.json()["results"]] == [runs[index].pk for index in expected]


def test_the_runs_of_one_pipeline_are_listed_apart() -> None:
    make_run(make_pipeline("other"))
    run = make_run(make_pipeline("etl"))

    rows = make_client().get(START).json()["results"]

    assert [row["id"] for row in rows] == [run.pk]


def test_a_longer_list_costs_no_more_queries() -> None:
    client = make_client()
    make_run()
    with CaptureQueriesContext(connection) as few:
        client.get(RUNS)
    for _ in range(20):
        make_run()

    with CaptureQueriesContext(connection) as many:
        client.get(RUNS)

    assert len(many) == len(few) == 1


def test_a_run_with_many_blocks_costs_no_more_queries() -> None:
    run = make_run(make_pipeline("wide", [(f"b{number}",) for number in range(50)]))
    client = make_client()

    with CaptureQueriesContext(connection) as queries:
        body = client.get(f"{RUNS}/{run.pk}").json()

    assert len(body["block_runs"]) == 50
    assert len(queries) == 3  # the run, its blocks, their sums


def test_moments_are_told_in_utc(now: datetime) -> None:
    run = make_run(created_at=now)

    assert make_client().get(f"{RUNS}/{run.pk}").json()["created_at"] == "2025-03-02T12:00:00Z"
    assert now.tzinfo == UTC
