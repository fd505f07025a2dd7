"""Lists: pages that stay right while rows come and go, and query parameters that are known or refused."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.filters import AllowedFilters
from pipelines.models import Pipeline
from runs.states import RunStatus
from runs.viewsets import PipelineRunViewSet
from tests.factories import NOON, make_client, make_pipeline, make_run

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/pipeline_runs"
PIPELINES = "/api/v1/pipelines"


def walk(path: str, field: str) -> list[Any]:
    client, found, url = make_client(), [], path
    while url:
        page = client.get(url).json()
        found += [row[field] for row in page["results"]]
        url = page["next"]
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 200])
@pytest.mark.parametrize("order", ["id", "-id", "execution_date", "-execution_date", "created_at", "-created_at"])
def test_every_row_is_on_one_page_also_where_values_are_equal(order: str, limit: int) -> None:
    dates = [NOON + timedelta(microseconds=number // 2) for number in range(7)]
    runs = [make_run(execution_date=date, created_at=date) for date in dates]

    found = walk(f"{RUNS}?order={order}&limit={limit}", "id")

    expected = [run.pk for run in runs]
    assert found == (expected[::-1] if order.startswith("-") else expected)


def test_rows_that_come_meanwhile_move_no_page() -> None:
    runs = [make_run() for _ in range(4)]
    client = make_client()

    first = client.get(f"{RUNS}?limit=2").json()
    make_run()
    second = client.get(first["next"]).json()

    assert [row["id"] for row in first["results"] + second["results"]] == [run.pk for run in reversed(runs)]
    assert second["next"] is None


def test_the_next_page_keeps_the_filters() -> None:
    for number in range(6):
        make_run(status=RunStatus.FAILED if number % 2 else RunStatus.COMPLETED)

    assert len(walk(f"{RUNS}?limit=1&status=failed", "id")) == 3


def test_text_that_needs_escaping_can_be_a_key() -> None:
    names = ["ä", "a'b", "a&b=c", "日本"]
    for name in names:
        Pipeline.objects.create(uuid=name, name=name)

    assert sorted(walk(f"{PIPELINES}?limit=1", "uuid")) == sorted(names)


def test_fifty_rows_are_a_page_unless_told_otherwise() -> None:
    for number in range(51):
        make_pipeline(f"p{number:02}")

    body = make_client().get(PIPELINES).json()

    assert len(body["results"]) == 50
    assert body["next"].startswith("http://testserver/api/v1/pipelines?cursor=")


@pytest.mark.parametrize(
    ("query", "field", "part"),
    [
        ("page=-1", "page", "Allowed: "),
        ("page_size=1000000", "page_size", ""),
        ("ordering=password", "ordering", "Did you mean order?"),
        ("statis=failed", "statis", "Did you mean status?"),
        ("pipeline__settings=x", "pipeline__settings", ""),
        ("status__contains=x", "status__contains", ""),
        ("id__in__in=1", "id__in__in", ""),
        ('variables__a"=1', 'variables__a"', ""),
        ("status=foo", "status", "Allowed: initial, running, completed, failed, cancelled."),
        ("status__in=failed,foo", "status__in", "Allowed: initial"),
        ("status=", "status", "Allowed: "),
        ("status=failed&status=running", "status", "status__in=a,b"),
        ("order=password", "order", "Allowed: id, -id"),
        ("order=id,created_at", "order", "Allowed: id, -id"),
        ("limit=0", "limit", "from 1 to 200"),
        ("limit=201", "limit", "from 1 to 200"),
        ("limit=x", "limit", "from 1 to 200"),
        ("limit=%D9%A3", "limit", "from 1 to 200"),
        ("id=9223372036854775808", "id", "whole number"),
        ("id=-1", "id", "whole number"),
        ("id__in=1,x", "id__in", "whole number"),
        ("id__in=" + ",".join(["1"] * 201), "id__in", "the limit is 200"),
        ("created_at__gte=yesterday", "created_at__gte", "ISO 8601"),
        ("created_at__lt=2025-03-02", "created_at__lt", "ISO 8601"),
        ("created_at__lt=2025-02-30T00:00:00Z", "created_at__lt", "ISO 8601"),
        ("q=%00", "q", "cannot be stored"),
        ("q=" + "x" * 201, "q", "200 characters"),
        ("pipeline_uuid=%00", "pipeline_uuid", "cannot be stored"),
        ("cursor=x", "cursor", "as it was given"),
        ("cursor=%00", "cursor", "as it was given"),
    ],
)
def test_a_wrong_parameter_is_refused_with_what_is_allowed(query: str, field: str, part: str) -> None:
    answer = make_client().get(f"{RUNS}?{query}")

    body = answer.json()
    assert answer.status_code == 400
    assert body["errors"][0]["field"] == field
    assert part in body["detail"] + " " + body.get("hint", "")


def test_a_cursor_is_good_for_its_own_list_and_order_only() -> None:
    for number in range(3):
        make_run(make_pipeline(f"p{number}"))
    client = make_client()
    cursor = client.get(f"{RUNS}?limit=1").json()["next"].partition("cursor=")[2].partition("&")[0]

    answers = [
        client.get(f"{RUNS}?cursor={cursor}&order=id"),
        client.get(f"/api/v1/block_runs?cursor={cursor}"),
        client.get(f"{RUNS}?cursor={cursor[:-1]}"),
    ]

    assert [answer.json()["code"] for answer in answers] == ["invalid_cursor"] * 3
    assert client.get(f"{RUNS}?cursor={cursor}").status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/system/?x=1", f"{PIPELINES}/etl?fields=x", "/api/v1/tokens?user=2"])
def test_no_resource_ignores_a_parameter(path: str) -> None:
    make_pipeline("etl")

    assert make_client().get(path).json()["code"] == "unknown_parameter"


@pytest.mark.parametrize("path", [PIPELINES, f"{PIPELINES}/etl", RUNS, "/api/v1/system", "/api/v1/tokens"])
def test_a_slash_at_the_end_makes_no_difference(path: str) -> None:
    make_pipeline("etl")
    client = make_client()

    assert client.get(path).status_code == client.get(f"{path}/").status_code == 200


def test_words_are_looked_for_among_the_newest_of_a_large_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PipelineRunViewSet, "searches_newest", 2)
    runs = [make_run(trigger_name="nightly") for _ in range(3)]

    found = make_client().get("/api/v1/pipeline_runs?q=night").json()["results"]

    assert [row["id"] for row in found] == [runs[2].pk, runs[1].pk]


def test_the_schema_says_among_how_many_words_are_looked_for() -> None:
    parameters = AllowedFilters().get_schema_operation_parameters(PipelineRunViewSet())

    (told,) = [each["description"] for each in parameters if each["name"] == "q"]

    assert told == "Words to look for. Looked for among the newest 20,000."


def test_what_was_looked_at_is_said_and_older_rows_are_found_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PipelineRunViewSet, "searches_newest", 2)
    runs = [make_run(trigger_name="nightly") for _ in range(3)]
    client = make_client()

    newest = client.get("/api/v1/pipeline_runs?q=night").json()
    older = client.get(f"/api/v1/pipeline_runs?q=night&id__lt={newest['among']['since']}").json()

    assert newest["among"] == {"newest": 2, "of": "pipeline_runs", "since": runs[1].pk}
    assert [row["id"] for row in older["results"]] == [runs[0].pk]
    assert "among" not in client.get("/api/v1/pipeline_runs").json()
