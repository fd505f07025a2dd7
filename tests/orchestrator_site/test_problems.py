"""Errors of the API are RFC 9457 problems, whatever went wrong, and tell nothing of the inside."""

import logging
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions

from orchestrator_site import problems
from pipelines.refusal import Refusal
from pipelines.viewsets import PipelineViewSet
from runs.states import IllegalMove
from tests.factories import make_client, make_pipeline

pytestmark = pytest.mark.django_db

PIPELINES = "/api/v1/pipelines"


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Put an exception in; the list of pipelines raises it."""
    box: list[BaseException] = []

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise box[0]

    monkeypatch.setattr(PipelineViewSet, "list", fail)
    return box


@pytest.mark.parametrize(
    ("exception", "status", "code"),
    [
        (Refusal("No.", field="name"), 400, "invalid"),
        (Refusal("No.", code="unknown_pipeline"), 404, "unknown_pipeline"),
        (Refusal("No.", code="unknown_timezone"), 400, "unknown_timezone"),
        (Refusal("No.", code="conflict"), 409, "conflict"),
        (IllegalMove("a run cannot go from completed to running"), 409, "conflict"),
        (Http404("SELECT * FROM secret"), 404, "not_found"),
        (PermissionDenied("secret"), 403, "permission_denied"),
        (SuspiciousOperation("secret"), 400, "bad_request"),
        (exceptions.Throttled(wait=3.2), 429, "throttled"),
        (OperationalError("password=secret"), 503, "database_unavailable"),
        (KeyError("secret"), 500, "internal"),
        (RecursionError("secret"), 500, "internal"),
    ],
)
def test_every_exception_becomes_a_problem(raised: list[Any], exception: Exception, status: int, code: str) -> None:
    raised.append(exception)
    logging.disable(logging.CRITICAL)

    answer = make_client().get(PIPELINES)
    logging.disable(logging.NOTSET)

    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert body.keys() >= {"type", "title", "status", "code", "detail", "errors"}
    assert body["code"] == code
    assert b"secret" not in answer.content
    assert b"Traceback" not in answer.content


def test_the_unforeseen_is_logged_under_the_id_that_was_told(
    raised: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    raised.append(ZeroDivisionError("inside"))

    body = make_client().get(PIPELINES).json()

    assert body["request_id"] in caplog.text
    assert "ZeroDivisionError: inside" in caplog.text


def test_waiting_is_told_in_whole_seconds(raised: list[Any]) -> None:
    raised.append(exceptions.Throttled(wait=3.2))

    assert make_client().get(PIPELINES).headers["Retry-After"] == "4"


def test_what_was_written_before_a_problem_is_undone(raised: list[Any]) -> None:
    from pipelines.models import Pipeline

    make_pipeline("etl")
    raised.append(Refusal("No."))

    make_client().get(PIPELINES)

    assert Pipeline.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "pointer"),
    [("", ""), ("name", "/name"), ("settings.timeout", "/settings/timeout"), ("a/b~c", "/a~1b~0c")],
)
def test_a_pointer_leads_to_the_field(field: str, pointer: str) -> None:
    assert problems.error(field, "x", "y")["pointer"] == pointer


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v2/pipelines", f"{PIPELINES}/a/b/c"])
def test_an_unknown_address_is_a_problem_too(path: str) -> None:
    answer = make_client().get(path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_what_cannot_be_rendered_is_406() -> None:
    answer = make_client().get(PIPELINES, headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (406, "application/problem+json")
