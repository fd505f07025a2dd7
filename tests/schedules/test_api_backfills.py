"""Backfills over HTTP: planned, started once, followed, steered; and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.states import RunStatus
from schedules.backfilling import backfills
from schedules.models import Backfill, Decision, Occurrence
from tests.factories import (
    FEBRUARY,
    NOON,
    make_backfill,
    make_client,
    make_pipeline,
    make_run,
    make_schedule,
    make_user,
)

pytestmark = pytest.mark.django_db

BACKFILLS = "/api/v1/backfills"
WANTED = {
    "pipeline_uuid": "etl",
    "interval_type": "day",
    "start_at": "2025-02-01T00:00:00Z",
    "end_at": "2025-02-03T00:00:00Z",
}


@pytest.fixture(autouse=True)
def _pipeline() -> None:
    make_pipeline("etl")


def post(query: str = "", *, key: str = "", **changes: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return make_client().post(BACKFILLS + query, {**WANTED, **changes}, headers=headers)


def started(**fields: Any) -> Backfill:
    backfill = make_backfill(**fields)
    backfills.start(backfill, NOON)
    return backfill


# --- planned and started --------------------------------------------------------------------------------------------


def test_a_dry_run_answers_with_every_slot_and_starts_nothing() -> None:
    run = make_run(status=RunStatus.FAILED, execution_date=FEBRUARY)

    answer = post("?dry_run=true")

    body = answer.json()
    assert answer.status_code == 200
    assert (body["counts"], body["to_run"], len(body["slots"])) == ({"missing": 2, "failed": 1}, 2, 3)
    assert body["slots"][0] == {
        "slot": "2025-02-01T00:00:00Z",
        "local_time": "2025-02-01T00:00:00+00:00",
        "interval_end": "2025-02-02T00:00:00Z",
        "state": "failed",
        "decision": None,
        "pipeline_run_id": run.pk,
        "to_run": False,
    }
    assert not Backfill.objects.exists()
    assert not Occurrence.objects.exists()


def test_a_backfill_is_started_with_all_that_was_asked_for() -> None:
    schedule = make_schedule(timezone="Europe/Berlin")
    said = {
        "pipeline_schedule_id": schedule.pk,
        "name": "May",
        "which": "all",
        "newest_first": True,
        "run_limit": 4,
        "priority": 60,
        "variables": {"full": True},
        "interval_units": 2,
    }

    answer = post(**said)

    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"{BACKFILLS}/{body['id']}")
    assert said.items() <= body.items()
    assert (body["timezone"], body["status"], body["created_by"]) == ("Europe/Berlin", "running", "ada")
    assert body["progress"] == {"waiting": 2}
    assert body["forecast"] == {"run_duration": None, "remaining": None, "finish_at": None}
    assert Occurrence.objects.filter(schedule=schedule, decision="waiting", priority=60).count() == 2


def test_what_is_left_out_comes_from_the_trigger_or_is_days_in_utc() -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *", timezone="Europe/Berlin")
    without = {name: value for name, value in WANTED.items() if name != "interval_type"}

    plain = make_client().post(BACKFILLS, without).json()
    of_trigger = make_client().post(BACKFILLS, {**without, "pipeline_schedule_id": schedule.pk}).json()

    assert (plain["interval_type"], plain["timezone"], plain["which"]) == ("day", "UTC", "missing")
    assert (of_trigger["interval_type"], of_trigger["timezone"]) == ("schedule", "Europe/Berlin")


def test_the_same_key_starts_one_backfill_and_another_body_is_refused() -> None:
    first, again, other = post(key="k"), post(key="k"), post(key="k", run_limit=2)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json()["id"] == again.json()["id"]
    assert f"which started backfill {first.json()['id']}." in other.json()["detail"]
    assert Backfill.objects.count() == 1


def test_without_a_key_the_second_one_has_nothing_to_run() -> None:
    post()

    answer = post()

    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_run")
    assert "3 waiting" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "status", "field", "part"),
    [
        ({"pipeline_uuid": "elt"}, 404, "", "etl"),
        ({"pipeline_schedule_id": 77}, 404, "pipeline_schedule_id", "has no trigger"),
        ({"pipeline_schedule_id": "1"}, 400, "pipeline_schedule_id", "whole number"),
        ({"start_at": "2025-02-30T00:00:00Z"}, 400, "start_at", "ISO 8601"),
        ({"start_at": "2025-02-01T00:00:00"}, 400, "start_at", "with a zone"),
        ({"start_at": "2025-02-04T00:00:00Z"}, 400, "start_at", "Start must be before end."),
        ({"end_at": "2400-01-01T00:00:00Z"}, 400, "end_at", "in the future"),
        ({"interval_type": "second"}, 400, "end_at", "172 801 runs; the limit is 10 000"),
        ({"interval_type": "dayly"}, 400, "interval_type", ""),
        ({"interval_type": "schedule"}, 400, "pipeline_schedule_id", "none is given"),
        ({"interval_units": 0}, 400, "interval_units", "from 1 to"),
        ({"interval_units": 2**63}, 400, "interval_units", "from 1 to"),
        ({"timezone": "Europe/Berln"}, 400, "timezone", "Europe/Berlin"),
        ({"which": "some"}, 400, "which", ""),
        ({"run_limit": 0}, 400, "run_limit", "at least 1"),
        ({"run_limit": True}, 400, "run_limit", "whole number"),
        ({"priority": 2000}, 400, "priority", "-1000 to 1000"),
        ({"variables": []}, 400, "variables", "JSON object"),
        ({"name": "a\x00b"}, 400, "", "cannot be stored"),
        ({"newest_first": "yes"}, 400, "newest_first", "true or false"),
        ({"status": "completed"}, 400, "status", "read-only"),
        ({"star_at": "x"}, 400, "star_at", "Did you mean start_at?"),
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_bad_input_names_the_field_and_changes_nothing(
    changes: dict[str, Any], status: int, field: str, part: str, query: str
) -> None:
    answer = post(query, **changes)

    body = answer.json()
    assert answer.status_code == status
    assert not field or field in [error["field"].strip("/") for error in body["errors"]]
    assert part in str(body)
    assert not Backfill.objects.exists()
    assert not Occurrence.objects.exists()


def test_a_trigger_of_another_pipeline_is_not_found() -> None:
    other = make_schedule(make_pipeline("other"))

    assert post(pipeline_schedule_id=other.pk).status_code == 404


def test_dry_run_is_true_or_false() -> None:
    assert post("?dry_run=maybe").json()["errors"][0]["field"].strip("/") == "dry_run"


# --- followed -------------------------------------------------------------------------------------------------------


def test_a_list_tells_how_far_each_is_with_as_many_queries_for_many_as_for_one() -> None:
    started()
    make_client()
    with CaptureQueriesContext(connection) as few:
        make_client().get(BACKFILLS)
    for number in range(3):
        started(pipeline=make_pipeline(f"p{number}"))

    with CaptureQueriesContext(connection) as many:
        body = make_client().get(BACKFILLS).json()

    assert [row["progress"] for row in body["results"]] == [{"waiting": 5}] * 4
    assert len(many) == len(few)


def test_lists_are_narrowed_by_pipeline_trigger_and_words() -> None:
    started(name="May")
    started(pipeline=make_pipeline("other"), name="June")

    def names(query: str) -> list[str]:
        return [row["name"] for row in make_client().get(f"{BACKFILLS}?{query}").json()["results"]]

    assert names("pipeline_uuid=etl") == ["May"]
    assert names("q=june") == ["June"]
    assert names("order=id") == ["May", "June"]


def test_the_rows_of_a_backfill_are_occurrences() -> None:
    backfill = started()
    started(pipeline=make_pipeline("other"))

    rows = make_client().get(f"/api/v1/occurrences?backfill_id={backfill.pk}&order=scheduled_for").json()["results"]

    assert [row["scheduled_for"][:10] for row in rows] == [f"2025-02-0{day}" for day in range(1, 6)]
    assert {row["backfill_id"] for row in rows} == {backfill.pk}
    assert len(make_client().get("/api/v1/occurrences?pipeline_uuid=etl").json()["results"]) == 5


def test_a_backfill_that_is_not_there_is_404() -> None:
    assert make_client().get(f"{BACKFILLS}/7").status_code == 404
    assert make_client().post(f"{BACKFILLS}/7/pause").status_code == 404


# --- steered --------------------------------------------------------------------------------------------------------


def test_it_is_paused_resumed_and_cancelled_and_says_what_it_is() -> None:
    backfill = started()
    client = make_client()

    said = [
        client.post(f"{BACKFILLS}/{backfill.pk}/{verb}") for verb in ("pause", "pause", "resume", "cancel", "resume")
    ]

    assert [answer.status_code for answer in said] == [200, 409, 200, 202, 409]
    assert [answer.json()["status"] for answer in said if answer.status_code < 300] == [
        "paused",
        "running",
        "cancelled",
    ]
    assert said[3].json()["progress"] == {"cancelled": 5}
    assert said[1].json()["detail"] == f"Backfill {backfill.pk} is paused."


def test_what_failed_is_retried() -> None:
    backfill = started(end_at=FEBRUARY)
    run = make_run(status=RunStatus.FAILED, execution_date=FEBRUARY, backfill_id=backfill.pk)
    Occurrence.objects.update(decision=Decision.STARTED, pipeline_run=run)
    client = make_client()

    answer = client.post(f"{BACKFILLS}/{backfill.pk}/retry")

    assert (answer.status_code, answer.json()["progress"]) == (202, {"waiting": 1})
    assert client.post(f"{BACKFILLS}/{backfill.pk}/retry").status_code == 409


def test_a_limit_is_changed_by_who_read_it_last() -> None:
    backfill = started()
    client, url = make_client(), f"{BACKFILLS}/{backfill.pk}"
    tag = client.get(url).headers["ETag"]

    first = client.patch(url, {"run_limit": 3, "priority": 10, "name": "June"}, headers={"If-Match": tag})
    second = client.patch(url, {"run_limit": 9}, headers={"If-Match": tag})

    assert (first.status_code, second.status_code) == (200, 412)
    assert first.json()["run_limit"] == 3
    backfill.refresh_from_db()
    assert (backfill.run_limit, backfill.priority, backfill.name) == (3, 10, "June")


@pytest.mark.parametrize(
    ("changes", "status", "part"),
    [
        ({"run_limit": 0}, 400, "at least 1"),
        ({"end_at": "2025-02-09T00:00:00Z"}, 400, "read-only"),
        ({"which": "all"}, 400, "read-only"),
        ({"limit": 3}, 400, "Unknown field"),
    ],
)
def test_what_cannot_be_changed_is_refused(changes: dict[str, Any], status: int, part: str) -> None:
    backfill = started()

    answer = make_client().patch(f"{BACKFILLS}/{backfill.pk}", changes)

    assert answer.status_code == status
    assert part in str(answer.json())


def test_a_finished_backfill_is_not_changed() -> None:
    backfill = started()
    Backfill.objects.update(completed_at=NOON)

    assert make_client().patch(f"{BACKFILLS}/{backfill.pk}", {"run_limit": 3}).status_code == 409


def test_a_trigger_is_not_deleted_under_its_backfill() -> None:
    schedule = make_schedule()
    backfill = started(schedule=schedule, name="May")
    client, url = make_client(), f"/api/v1/pipeline_schedules/{schedule.pk}"

    answer = client.delete(url)
    assert (answer.status_code, "'May' of this trigger is not over" in answer.json()["detail"]) == (409, True)

    client.post(f"{BACKFILLS}/{backfill.pk}/cancel")
    assert client.delete(url).status_code == 204


def test_the_forecast_is_in_seconds() -> None:
    backfill = started(run_limit=5)
    make_run(status=RunStatus.COMPLETED, completed_at=NOON + timedelta(minutes=2))

    forecast = make_client().get(f"{BACKFILLS}/{backfill.pk}").json()["forecast"]

    assert (forecast["run_duration"], forecast["remaining"]) == (120, 120)
    assert forecast["finish_at"] is not None


def test_strangers_are_turned_away() -> None:
    from rest_framework.test import APIClient

    make_user()
    assert APIClient().get(BACKFILLS).status_code == 401
    assert APIClient().post(BACKFILLS, WANTED, format="json").status_code == 401
