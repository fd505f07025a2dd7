"""The API describes itself, truly and completely."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from runs.states import RunStatus
from tests.alerts.facts import make_channel, make_incident
from tests.factories import NOON, make_backfill, make_client, make_pipeline, make_run, make_schedule, make_user


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The OpenAPI document, made and checked once: that takes seconds."""
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


def test_the_schema_is_valid_openapi_3_1_without_warnings(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")


def test_every_operation_may_answer_with_a_problem_and_has_its_own_id(schema: dict[str, Any]) -> None:
    operations = [operation for path in schema["paths"].values() for operation in path.values()]

    assert all("application/problem+json" in each["responses"]["default"]["content"] for each in operations)
    assert len({each["operationId"] for each in operations}) == len(operations) > 25


def test_paths_are_those_of_the_interface(schema: dict[str, Any]) -> None:
    paths = schema["paths"]

    assert {"get", "post"} <= paths["/api/v1/pipelines/{pipeline_uuid}/pipeline_runs"].keys()
    assert {"get", "patch", "delete"} == paths["/api/v1/pipeline_schedules/{id}"].keys()
    assert {"post"} == paths["/api/v1/pipeline_runs/{id}/cancel"].keys()
    assert {"get"} == paths["/api/v1/block_runs/{id}/outputs"].keys()
    assert {"get", "patch"} == paths["/api/v1/backfills/{id}"].keys()
    assert {"post"} == paths["/api/v1/backfills/{id}/retry"].keys()
    assert {"get", "patch", "delete"} == paths["/api/v1/calendars/{id}"].keys()
    assert {"get"} == paths["/api/v1/calendars/{id}/days"].keys()
    assert {"get", "patch", "delete"} == paths["/api/v1/maintenance_windows/{id}"].keys()
    assert "/api/v1/system" in paths


@pytest.mark.django_db
@pytest.mark.parametrize(("accept", "start"), [("*/*", b'{\n    "openapi"'), ("application/yaml", b"openapi: 3.1")])
def test_the_schema_is_served(accept: str, start: bytes) -> None:
    answer = make_client().get("/api/schema/", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.content.startswith(start)


@pytest.mark.django_db
def test_the_documentation_loads_nothing_from_elsewhere_and_runs_no_inline_script() -> None:
    client = Client()
    assert client.get("/api/docs/").status_code == 302
    client.force_login(make_user())

    page = client.get("/api/docs/").content.decode()

    assert "http" not in page
    assert "<script>" not in page
    assert "<style" not in page
    for name in ("swagger-ui-dist/swagger-ui-bundle.js", "swagger-ui-dist/swagger-ui.css"):
        assert finders.find(f"drf_spectacular_sidecar/{name}")
    assert finders.find("js/api_docs.js")


# --- every operation with what it is not made for -------------------------------------------------------------------

HUGE, NUL = 10**400, "a\x00b"
NONSENSE: tuple[Any, ...] = (None, HUGE, NUL, [HUGE], {"a": HUGE})


@pytest.fixture
def rows(db: None) -> None:
    """A row for each kind of address."""
    pipeline = make_pipeline()
    make_run(pipeline, status=RunStatus.FAILED)
    make_schedule(pipeline)
    make_backfill(pipeline, created_at=NOON).save()
    make_incident()
    make_channel()


def taking(schema: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each operation that takes a body: its method, its address with numbers filled in, its fields."""
    for path, methods in schema["paths"].items():
        address = re.sub(r"\{(\w+)\}", lambda match: "etl" if match[1] == "pipeline_uuid" else "1", path)
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            known = schema["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], body)
            if method in ("post", "patch", "put"):
                yield method.upper(), address, list(known.get("properties", {}))


@pytest.mark.usefixtures("rows")
def test_no_operation_breaks_at_a_body_of_nonsense(schema: dict[str, Any]) -> None:
    client, broken = make_client(), {}
    client.raise_request_exception = False

    for method, address, fields in taking(schema):
        for wrong in NONSENSE:
            for body in (wrong, dict.fromkeys(fields, wrong)):
                sent = json.dumps(body)
                status = client.generic(method, address, sent, content_type="application/json").status_code
                if status >= 500:
                    broken[method, address, sent[:60]] = status

    assert broken == {}
