"""Pipelines over HTTP."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.models import Pipeline
from tests.factories import make_client, make_pipeline

pytestmark = pytest.mark.django_db

PIPELINES = "/api/v1/pipelines"
BROKEN = {"file": "pipelines/bad/metadata.yaml", "line": 3, "reason": "a tab", "hint": "Use spaces."}


def test_the_list_is_in_order_of_uuid_and_leaves_out_what_is_gone() -> None:
    for uuid in ("weather", "etl", "gone"):
        make_pipeline(uuid)
    Pipeline.objects.filter(uuid="gone").update(is_present=False)

    answer = make_client().get(PIPELINES)

    assert answer.status_code == 200
    assert [row["uuid"] for row in answer.json()["results"]] == ["etl", "weather"]
    assert answer.json()["next"] is None


def test_a_broken_pipeline_says_where() -> None:
    Pipeline.objects.create(uuid="bad", name="bad", is_valid=False, problems=[BROKEN])

    row = make_client().get(f"{PIPELINES}/bad").json()

    assert (row["is_valid"], row["problems"]) == (False, [BROKEN])
    assert (row["graph"], row["version"], row["variables"]) == (None, None, None)


def test_the_detail_has_the_graph_and_the_variables() -> None:
    make_pipeline("etl", variables={"country": "DE"}, notification_config={"slack": "hook-4711"})

    answer = make_client().get(f"{PIPELINES}/etl")

    row = answer.json()
    assert [block["uuid"] for block in row["graph"]["blocks"]] == ["load", "clean", "save"]
    assert row["graph"]["blocks"][0]["downstream"] == ["clean"]
    assert row["variables"] == {"country": "DE"}
    assert row["version"] == "hash of etl"
    assert b"4711" not in answer.content


def test_an_unknown_pipeline_is_not_found() -> None:
    make_pipeline("etl")

    answer = make_client().get(f"{PIPELINES}/etk")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("uuid", ["%00", "..", "%2e%2e", "a%2fb", "x" * 201, "%F0%9F%98%80", "a'--"])
def test_no_name_breaks_the_lookup(uuid: str) -> None:
    assert make_client().get(f"{PIPELINES}/{uuid}").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("is_valid=true", ["etl", "weather"]),
        ("is_valid=false", []),
        ("uuid=etl", ["etl"]),
        ("uuid__in=etl,other", ["etl"]),
        ("q=wea", ["weather"]),
        ("q=wea%20etl", []),
        ("order=-uuid", ["weather", "etl"]),
    ],
)
def test_the_list_can_be_narrowed(query: str, expected: list[str]) -> None:
    make_pipeline("etl")
    make_pipeline("weather")

    answer = make_client().get(f"{PIPELINES}?{query}")

    assert [row["uuid"] for row in answer.json()["results"]] == expected


def test_a_longer_list_costs_no_more_queries() -> None:
    client = make_client()
    make_pipeline("a")
    with CaptureQueriesContext(connection) as few:
        client.get(PIPELINES)
    for number in range(20):
        make_pipeline(f"p{number}")

    with CaptureQueriesContext(connection) as many:
        client.get(PIPELINES)

    assert len(many) == len(few) == 1


def test_pipelines_are_only_read_here() -> None:
    make_pipeline("etl")
    client = make_client()

    answers = [client.post(PIPELINES, {}), client.patch(f"{PIPELINES}/etl", {}), client.delete(f"{PIPELINES}/etl")]

    assert {answer.status_code for answer in answers} == {405}
    assert answers[0].headers["Allow"] == "GET, HEAD, OPTIONS"
    assert answers[0].json()["code"] == "method_not_allowed"
