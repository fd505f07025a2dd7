"""Mage's trigger addresses: a token starts a run, and nothing else does."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.models import Origin, PipelineRun
from schedules.models import PipelineSchedule, ScheduleType
from tests.factories import make_pipeline, make_schedule, make_user

pytestmark = pytest.mark.django_db

BASE = "/api/pipeline_schedules"


@pytest.fixture
def trigger() -> PipelineSchedule:
    pipeline = make_pipeline("etl", variables={"country": "DE"})
    return make_schedule(pipeline, name="hook", schedule_type=ScheduleType.API, schedule_interval="")


def send(path: str, body: str = "", content_type: str = "application/json", **headers: str) -> Any:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.post(f"{BASE}/{path}", body, content_type=content_type, headers=headers)


def test_the_token_in_the_path_starts_a_run(trigger: PipelineSchedule) -> None:
    token = trigger.rotate_token()

    answer = send(f"{trigger.pk}/pipeline_runs/{token}", '{"pipeline_run": {"variables": {"day": "x"}}}')

    run = PipelineRun.objects.get()
    assert answer.status_code == 200
    assert answer.json()["pipeline_run"] == {
        "id": run.pk,
        "status": run.status,
        "execution_date": run.execution_date.isoformat().replace("+00:00", "Z"),
        "pipeline_uuid": "etl",
        "pipeline_schedule_id": trigger.pk,
        "variables": {"country": "DE", "day": "x"},
    }
    assert (run.origin, run.trigger_id) == (Origin.API, trigger.pk)


@pytest.mark.parametrize("path", ["pipeline_runs", "pipeline_runs/", "api_trigger", "api_trigger/"])
@pytest.mark.parametrize("word", ["Bearer", "Token"])
def test_the_token_as_bearer_starts_a_run(trigger: PipelineSchedule, path: str, word: str) -> None:
    token = trigger.rotate_token()

    answer = send(f"{trigger.pk}/{path}", "{}", Authorization=f"{word} {token}")

    assert answer.status_code == 200
    assert PipelineRun.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "variables"),
    [
        ("", {}),
        ("{}", {}),
        ('{"day": "x"}', {"day": "x"}),
        ('{"pipeline_run": {}}', {}),
        ('{"pipeline_run": {"variables": null}}', {}),
        ('{"pipeline_run": {"variables": {"a": [1, {"b": null}]}}}', {"a": [1, {"b": None}]}),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_variables_come_in_either_of_mages_shapes(
    trigger: PipelineSchedule, body: str, variables: dict[str, Any], content_type: str
) -> None:
    answer = send(f"{trigger.pk}/pipeline_runs/{trigger.rotate_token()}", body, content_type)

    assert answer.status_code == 200
    assert answer.json()["pipeline_run"]["variables"] == {"country": "DE", **variables}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "day=x",
        "[]",
        "3",
        '"x"',
        '{"pipeline_run": 3}',
        '{"pipeline_run": {"variables": [1]}}',
        '{"pipeline_run": {"varables": {}}}',
        '{"pipeline_run": {"status": "completed"}}',
        '{"pipeline_run": {}, "day": "x"}',
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
    ],
)
def test_a_wrong_body_starts_nothing(trigger: PipelineSchedule, body: str) -> None:
    answer = send(f"{trigger.pk}/pipeline_runs/{trigger.rotate_token()}", body)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not PipelineRun.objects.exists()


def test_a_wrong_token_is_401_wherever_it_is(trigger: PipelineSchedule) -> None:
    token = trigger.rotate_token()

    answers = [
        send(f"{trigger.pk}/pipeline_runs/{token}x"),
        send(f"{trigger.pk}/pipeline_runs/{token[:-1]}"),
        send(f"{trigger.pk}/pipeline_runs"),
        send(f"{trigger.pk}/pipeline_runs", Authorization=token),
        send(f"{trigger.pk}/pipeline_runs", Authorization=f"Basic {token}"),
        send(f"{trigger.pk}/pipeline_runs/x", Authorization=f"Bearer {token}"),
        send(f"{trigger.pk}/api_trigger", Authorization="Bearer \xff"),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {'Bearer realm="trigger"'}
    assert not PipelineRun.objects.exists()


def test_a_trigger_without_a_token_is_fired_by_none(trigger: PipelineSchedule) -> None:
    assert send(f"{trigger.pk}/pipeline_runs/x").status_code == 401
    assert send(f"{trigger.pk}/pipeline_runs").status_code == 401


def test_a_session_is_no_token(trigger: PipelineSchedule) -> None:
    client = Client()
    client.force_login(make_user())

    answer = client.post(f"{BASE}/{trigger.pk}/pipeline_runs", "{}", content_type="application/json")

    assert answer.status_code == 401


def test_the_token_of_another_trigger_is_wrong(trigger: PipelineSchedule) -> None:
    other = make_schedule(name="other", schedule_type=ScheduleType.API, schedule_interval="")

    assert send(f"{trigger.pk}/pipeline_runs/{other.rotate_token()}").status_code == 401


@pytest.mark.parametrize("schedule_type", [ScheduleType.TIME, ScheduleType.EVENT])
def test_other_types_and_unknown_numbers_look_alike(trigger: PipelineSchedule, schedule_type: ScheduleType) -> None:
    token = trigger.rotate_token()
    PipelineSchedule.objects.update(schedule_type=schedule_type)

    other_type, unknown = send(f"{trigger.pk}/pipeline_runs/{token}"), send(f"99999/pipeline_runs/{token}")

    assert (other_type.status_code, unknown.status_code) == (404, 404)
    assert other_type.content == unknown.content


def test_an_inactive_trigger_is_409_and_is_not_switched_on(trigger: PipelineSchedule) -> None:
    token = trigger.rotate_token()
    PipelineSchedule.objects.update(is_active=False)

    answer = send(f"{trigger.pk}/pipeline_runs/{token}")

    trigger.refresh_from_db()
    assert (answer.status_code, answer.json()["code"]) == (409, "inactive")
    assert not trigger.is_active
    assert not PipelineRun.objects.exists()


def test_only_who_has_the_token_learns_that_a_trigger_is_inactive(trigger: PipelineSchedule) -> None:
    PipelineSchedule.objects.update(is_active=False)

    assert send(f"{trigger.pk}/pipeline_runs/x").status_code == 401


def test_a_broken_pipeline_is_409(trigger: PipelineSchedule) -> None:
    trigger.pipeline.is_valid = False
    trigger.pipeline.save()

    assert send(f"{trigger.pk}/pipeline_runs/{trigger.rotate_token()}").status_code == 409


def test_no_token_gets_into_the_log_when_something_breaks(
    trigger: PipelineSchedule, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = trigger.rotate_token()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("schedules.scheduler.start_now", fail)
    answer = send(f"{trigger.pk}/pipeline_runs/{token}")

    assert answer.status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert token not in caplog.text


def test_a_repeated_call_with_a_key_starts_one_run(trigger: PipelineSchedule) -> None:
    path, key = f"{trigger.pk}/pipeline_runs/{trigger.rotate_token()}", {"Idempotency-Key": "k"}

    answers = [send(path, '{"a": 1}', **key) for _ in range(3)]
    other = send(path, '{"a": 2}', **key)

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json()["pipeline_run"]["id"] for answer in answers}) == 1
    assert other.status_code == 409


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_only_a_post_starts_anything(trigger: PipelineSchedule, method: str) -> None:
    path = f"{BASE}/{trigger.pk}/pipeline_runs/{trigger.rotate_token()}"

    answer = getattr(Client(), method)(path)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def test_a_call_is_a_few_queries(trigger: PipelineSchedule) -> None:
    token = trigger.rotate_token()

    with CaptureQueriesContext(connection) as queries:
        send(f"{trigger.pk}/pipeline_runs/{token}")

    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(statements) <= 6, statements
