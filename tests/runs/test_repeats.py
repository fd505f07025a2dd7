"""`Idempotency-Key`: the same request again gives the same run."""

from typing import Any

import pytest
from django.db import IntegrityError

from runs import repeats
from runs.models import PipelineRun
from tests.factories import make_client, make_pipeline, make_run, make_schedule, make_user

pytestmark = pytest.mark.django_db

START = "/api/v1/pipelines/etl/pipeline_runs"


@pytest.fixture(autouse=True)
def _pipeline() -> None:
    make_pipeline("etl")


def start(body: dict[str, Any], key: str, *, client: Any = None, path: str = START) -> Any:
    return (client or make_client()).post(path, body, headers={"Idempotency-Key": key})


def test_a_repeated_request_gives_the_first_run() -> None:
    first = start({"variables": {"a": 1, "b": 2}}, "k")
    again = start({"variables": {"b": 2, "a": 1}}, "k")

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert PipelineRun.objects.count() == 1


def test_another_key_or_none_gives_another_run() -> None:
    start({}, "k")
    start({}, "l")
    make_client().post(START, {})

    assert PipelineRun.objects.count() == 3


@pytest.mark.parametrize("path", [START, "/api/v1/pipelines/other/pipeline_runs"])
def test_the_same_key_for_another_request_is_refused(path: str) -> None:
    make_pipeline("other")
    first = start({"variables": {"a": 1}}, "k")

    answer = start({"variables": {"a": 1 if path != START else 2}}, "k", path=path)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert f"run {first.json()['id']}" in answer.json()["detail"]
    assert PipelineRun.objects.count() == 1


def test_two_users_may_use_the_same_key() -> None:
    start({}, "k", client=make_client(make_user("ada")))
    start({}, "k", client=make_client(make_user("grace")))

    assert PipelineRun.objects.count() == 2


def test_a_trigger_is_fired_once_for_a_key() -> None:
    path = f"/api/v1/pipeline_schedules/{make_schedule().pk}/pipeline_runs"

    answers = [start({}, "k", path=path) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert PipelineRun.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "x" * 1000])
def test_a_key_of_a_wrong_length_is_refused(key: str) -> None:
    answer = start({}, key)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    assert not PipelineRun.objects.exists()


def test_the_longest_key_is_kept_whole() -> None:
    start({}, "x" * 255)
    start({}, "x" * 254 + "y")

    assert PipelineRun.objects.count() == 2


def test_who_loses_the_race_gets_the_winners_run(monkeypatch: pytest.MonkeyPatch) -> None:
    winner = start({}, "k").json()
    found = PipelineRun.objects.filter(pk=winner["id"])
    looks = iter([PipelineRun.objects.none()])
    real_filter = PipelineRun.objects.filter
    monkeypatch.setattr(
        PipelineRun.objects, "filter", lambda **conditions: next(looks, None) or real_filter(**conditions)
    )
    monkeypatch.setattr(repeats.PipelineRun, "objects", PipelineRun.objects)

    answer = start({}, "k")

    assert answer.status_code == 200
    assert answer.json()["id"] == found.get().pk


def test_another_broken_constraint_is_not_taken_for_a_repetition() -> None:
    run = make_run(idempotency_key="other")

    def break_something(key: str | None, digest: str) -> PipelineRun:
        raise IntegrityError(run.pk)

    request = make_client().post(START, {}).wsgi_request  # type: ignore[attr-defined]
    request.data, request.headers.__dict__["_store"]["idempotency-key"] = {}, ("Idempotency-Key", "k")
    with pytest.raises(IntegrityError):
        repeats.start_once(request, owner="user:1", start=break_something)
