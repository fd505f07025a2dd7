"""Triggers over HTTP: written down, changed, paused, previewed, fired."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.models import Origin, PipelineRun
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType, Source
from tests.factories import NOON, make_client, make_pipeline, make_run, make_schedule, make_user

pytestmark = pytest.mark.django_db

SCHEDULES = "/api/v1/pipeline_schedules"
DAILY = {"pipeline_uuid": "etl", "name": "daily", "schedule_type": "time", "schedule_interval": "0 6 * * *"}


@pytest.fixture(autouse=True)
def _pipeline() -> None:
    make_pipeline("etl")


def create(**changes: Any) -> Any:
    return make_client().post(SCHEDULES, {**DAILY, **changes})


def test_a_trigger_is_written_down_inactive() -> None:
    answer = create(timezone="Europe/Berlin", variables={"a": 1}, sla=600, settings={"timeout": 60}, tags=["x"])

    body, row = answer.json(), PipelineSchedule.objects.get()
    assert answer.status_code == 201
    assert (row.name, row.timezone, row.sla, row.source) == (
        "daily",
        "Europe/Berlin",
        timedelta(minutes=10),
        Source.API,
    )
    assert (body["id"], body["status"], body["sla"]) == (row.pk, "inactive", 600)
    assert body["next_pipeline_run_date"] is None
    assert "token" not in body


def test_an_active_trigger_is_planned_at_once() -> None:
    body = create(status="active").json()

    row = PipelineSchedule.objects.get()
    assert row.is_active
    assert row.next_due_at is not None
    assert body["status"] == "active"
    assert datetime.fromisoformat(body["next_pipeline_run_date"]) == row.next_due_at


def test_an_api_triggers_token_is_shown_once() -> None:
    body = create(schedule_type="api", schedule_interval="").json()

    row = PipelineSchedule.objects.get()
    again = make_client().get(f"{SCHEDULES}/{row.pk}").json()
    assert row.token_matches(body["token"])
    assert "token" not in again
    assert body["token"] not in str(PipelineSchedule.objects.values().get())


def test_a_new_token_ends_the_old_one() -> None:
    old = create(schedule_type="api", schedule_interval="").json()["token"]
    row = PipelineSchedule.objects.get()

    new = make_client().post(f"{SCHEDULES}/{row.pk}/rotate_token").json()["token"]

    row.refresh_from_db()
    assert (row.token_matches(new), row.token_matches(old)) == (True, False)


def test_only_api_triggers_have_a_token() -> None:
    assert make_client().post(f"{SCHEDULES}/{make_schedule().pk}/rotate_token").status_code == 409


@pytest.mark.parametrize(
    ("changes", "status", "field", "part"),
    [
        ({"schedule_interval": "61 * * * *"}, 400, "schedule_interval", "61"),
        ({"schedule_interval": "0 0 31 2 *"}, 400, "schedule_interval", "never fires"),
        ({"schedule_interval": ""}, 400, "schedule_interval", ""),
        ({"schedule_interval": 5}, 400, "schedule_interval", "Text"),
        ({"timezone": "Europe/Berln"}, 400, "timezone", "Did you mean Europe/Berlin?"),
        ({"name": ""}, 400, "name", ""),
        ({"name": "   "}, 400, "name", ""),
        ({"name": "x" * 101}, 400, "name", ""),
        ({"name": "../../x"}, 400, "name", "letters, digits"),
        ({"name": "a<b>"}, 400, "name", "letters, digits"),
        ({"schedule_type": "cron"}, 400, "schedule_type", "Allowed: "),
        ({"schedule_type": "api"}, 400, "schedule_interval", "no interval"),
        ({"status": "paused"}, 400, "status", "Allowed: "),
        ({"start_time": "2025-03-02"}, 400, "start_time", "ISO 8601"),
        ({"start_time": "2025-03-03T00:00:00Z", "end_time": "2025-03-02T00:00:00Z"}, 400, "end_time", "before"),
        ({"variables": [1]}, 400, "variables", "JSON object"),
        ({"sla": 0}, 400, "sla", "31 536 000"),
        ({"sla": -5}, 400, "sla", "whole number of seconds"),
        ({"sla": "600"}, 400, "sla", "whole number of seconds"),
        ({"sla": True}, 400, "sla", "whole number of seconds"),
        ({"sla": 10**30}, 400, "sla", "whole number of seconds"),
        ({"settings": {"pipeline_run_limit": 0}}, 400, "settings.pipeline_run_limit", "at least 1"),
        ({"settings": []}, 400, "settings", "JSON object"),
        ({"tags": "x"}, 400, "tags", "list"),
        ({"staus": "active"}, 400, "staus", "Did you mean status?"),
        ({"id": 7}, 400, "id", "read-only"),
        ({"token_hash": "x"}, 400, "token_hash", "Unknown field"),
        ({"source": "code"}, 400, "source", "read-only"),
        ({"pipeline_uuid": "elt"}, 404, "pipeline_uuid", "Did you mean etl?"),
    ],
)
def test_a_wrong_trigger_is_refused_naming_the_field(
    changes: dict[str, Any], status: int, field: str, part: str
) -> None:
    answer = create(**changes)

    body = answer.json()
    assert answer.status_code == status
    assert field in [each["field"] for each in body["errors"]]
    assert part in body["detail"] + body.get("hint", "") + body["errors"][0]["message"]
    assert not PipelineSchedule.objects.exists()


def test_missing_fields_are_all_named() -> None:
    answer = make_client().post(SCHEDULES, {})

    assert [each["pointer"] for each in answer.json()["errors"]] == ["/pipeline_uuid", "/name"]


def test_a_name_is_used_once_in_a_pipeline() -> None:
    make_schedule(name="daily")

    answer = create()

    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_name")
    assert answer.json()["detail"] == "A trigger named daily exists already."
    assert PipelineSchedule.objects.count() == 1


def test_a_change_keeps_what_is_not_sent_and_plans_again() -> None:
    row = make_schedule(schedule_interval="@daily", description="kept", is_active=True)

    answer = make_client().patch(f"{SCHEDULES}/{row.pk}", {"schedule_interval": "@hourly"})

    row.refresh_from_db()
    assert answer.status_code == 200
    assert (row.schedule_interval, row.description) == ("@hourly", "kept")
    assert row.next_due_at is not None
    assert row.next_due_at.minute == 0
    assert answer.json()["next_pipeline_run_date"] is not None


@pytest.mark.parametrize(("was", "wanted"), [(True, "inactive"), (False, "active")])
def test_the_status_can_be_changed(was: bool, wanted: str) -> None:
    row = make_schedule(is_active=was)

    answer = make_client().patch(f"{SCHEDULES}/{row.pk}", {"status": wanted})

    row.refresh_from_db()
    assert answer.json()["status"] == wanted
    assert row.is_active is not was
    assert (row.next_due_at is None) is was


def test_a_change_that_makes_no_sense_with_what_is_stored_is_refused() -> None:
    row = make_schedule(start_time=NOON)

    answer = make_client().patch(f"{SCHEDULES}/{row.pk}", {"end_time": "2025-03-01T00:00:00Z"})

    row.refresh_from_db()
    assert answer.status_code == 400
    assert row.end_time is None


def test_a_trigger_stays_with_its_pipeline() -> None:
    make_pipeline("other")
    row = make_schedule()

    answer = make_client().patch(f"{SCHEDULES}/{row.pk}", {"pipeline_uuid": "other"})

    assert (answer.status_code, answer.json()["code"]) == (400, "read_only")


def test_a_stale_change_is_refused() -> None:
    client, path = make_client(), f"{SCHEDULES}/{make_schedule().pk}"
    tag = client.get(path).headers["ETag"]

    first = client.patch(path, {"description": "mine"}, headers={"If-Match": tag})
    second = client.patch(path, {"description": "theirs"}, headers={"If-Match": tag})
    delete = client.delete(path, headers={"If-Match": f'{tag}, "x"'})
    third = client.patch(path, {"description": "theirs"}, headers={"If-Match": first.headers["ETag"]})

    assert [answer.status_code for answer in (first, second, delete, third)] == [200, 412, 412, 200]
    assert second.json()["code"] == "stale"
    assert "changed this trigger at" in second.json()["detail"]


def test_a_firing_does_not_make_a_tag_stale() -> None:
    client, row = make_client(), make_schedule()
    tag = client.get(f"{SCHEDULES}/{row.pk}").headers["ETag"]

    row.next_due_at = NOON
    row.save()

    assert client.get(f"{SCHEDULES}/{row.pk}").headers["ETag"] == tag


def test_a_deleted_trigger_leaves_its_runs() -> None:
    row = make_schedule()
    make_run(trigger_id=row.pk)

    answer = make_client().delete(f"{SCHEDULES}/{row.pk}")

    assert answer.status_code == 204
    assert not PipelineSchedule.objects.exists()
    assert PipelineRun.objects.count() == 1


def test_pausing_and_resuming_twice_is_no_mistake() -> None:
    client, row = make_client(), make_schedule()

    said = [
        client.post(f"{SCHEDULES}/{row.pk}/{verb}").json()["status"] for verb in ("pause", "pause", "resume", "resume")
    ]

    assert said == ["inactive", "inactive", "active", "active"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_preview_tells_what_clock_changes_do(method: str) -> None:
    row = make_schedule(schedule_interval="30 2 * * *", timezone="Europe/Berlin")

    answer = getattr(make_client(), method)(f"{SCHEDULES}/{row.pk}/preview?count=2&from=2025-03-29T12:00:00Z")

    body = answer.json()
    assert body["expression"] == "30 2 * * *"
    assert [each["utc"] for each in body["next"]] == ["2025-03-30T01:00:00Z", "2025-03-31T00:30:00Z"]
    assert body["next"][0]["local"] == "2025-03-30T03:00:00+02:00"
    assert "does not exist" in body["next"][0]["note"]
    assert body["next"][1]["note"] is None


@pytest.mark.parametrize("query", ["count=0", "count=101", "count=x", "from=now", "from=2025-03-29", "until=x"])
def test_a_wrong_preview_is_refused(query: str) -> None:
    assert make_client().get(f"{SCHEDULES}/{make_schedule().pk}/preview?{query}").status_code == 400


def test_an_api_trigger_has_no_preview() -> None:
    row = make_schedule(schedule_type=ScheduleType.API, schedule_interval="")

    assert make_client().get(f"{SCHEDULES}/{row.pk}/preview").status_code == 409


def test_firing_a_trigger_starts_a_run_with_its_settings() -> None:
    row = make_schedule(variables={"a": 1, "b": 1}, sla=timedelta(seconds=5), settings={"timeout": 60})

    answer = make_client(make_user("grace")).post(f"{SCHEDULES}/{row.pk}/pipeline_runs", {"variables": {"b": 2}})

    run = PipelineRun.objects.get()
    assert answer.status_code == 201
    assert answer.json()["pipeline_schedule_id"] == run.trigger_id == row.pk
    assert (run.origin, run.started_by, run.trigger_name) == (Origin.API, "grace", "daily")
    assert run.variables == {"a": 1, "b": 2}
    assert (run.sla, run.timeout) == (timedelta(seconds=5), timedelta(seconds=60))


def test_an_inactive_trigger_is_not_fired_and_stays_inactive() -> None:
    row = make_schedule(is_active=False)

    answer = make_client().post(f"{SCHEDULES}/{row.pk}/pipeline_runs", {})

    row.refresh_from_db()
    assert (answer.status_code, answer.json()["code"]) == (409, "inactive")
    assert not row.is_active
    assert not PipelineRun.objects.exists()


def test_the_runs_of_one_trigger_are_listed() -> None:
    row = make_schedule()
    run = make_run(trigger_id=row.pk)
    make_run()

    rows = make_client().get(f"{SCHEDULES}/{row.pk}/pipeline_runs").json()["results"]

    assert [each["id"] for each in rows] == [run.pk]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "99"),
        ("patch", "99"),
        ("delete", "99"),
        ("post", "99/pause"),
        ("get", "99/preview"),
        ("get", "99/pipeline_runs"),
        ("post", "99/pipeline_runs"),
    ],
)
def test_what_is_not_there_is_404(method: str, path: str) -> None:
    assert getattr(make_client(), method)(f"{SCHEDULES}/{path}").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=active", ["hourly"]),
        ("status__in=active,inactive", ["paused", "hourly"]),
        ("schedule_type=api", ["paused"]),
        ("pipeline_uuid=other", []),
        ("source=ui", ["paused", "hourly"]),
        ("q=hour", ["hourly"]),
        ("order=name", ["hourly", "paused"]),
    ],
)
def test_the_list_can_be_narrowed(query: str, expected: list[str]) -> None:
    make_schedule(name="hourly")
    make_schedule(name="paused", is_active=False, schedule_type=ScheduleType.API, schedule_interval="")

    answer = make_client().get(f"{SCHEDULES}?{query}")

    assert [row["name"] for row in answer.json()["results"]] == expected


def test_a_longer_list_costs_no_more_queries() -> None:
    client = make_client()
    for number in range(20):
        make_schedule(name=f"t{number}")

    with CaptureQueriesContext(connection) as queries:
        rows = client.get(SCHEDULES).json()["results"]

    assert len(rows) == 20
    assert len(queries) == 1


def test_occurrences_tell_what_was_decided_and_why() -> None:
    row, run = make_schedule(), make_run()
    for hour, decision in enumerate((Decision.STARTED, Decision.SKIPPED)):
        Occurrence.objects.create(
            pipeline=row.pipeline,
            schedule=row,
            scheduled_for=NOON + timedelta(hours=hour),
            decision=decision,
            reason="" if decision == Decision.STARTED else f"run {run.pk} still runs",
            blocker_run_id=run.pk if decision == Decision.SKIPPED else None,
            pipeline_run=run if decision == Decision.STARTED else None,
            decided_at=NOON,
        )
    client = make_client()

    listed = client.get(f"/api/v1/occurrences?pipeline_schedule_id={row.pk}&order=-scheduled_for").json()["results"]
    started = client.get("/api/v1/occurrences?decision=started").json()["results"]
    one = client.get(f"/api/v1/occurrences/{started[0]['id']}").json()

    assert [each["decision"] for each in listed] == ["skipped", "started"]
    assert listed[0]["blocker_run_id"] == run.pk
    assert one["pipeline_run_id"] == run.pk
    assert one["scheduled_for"] == "2025-03-02T12:00:00Z"
