"""The list of pipelines."""

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import Pipeline
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db

PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def test_an_empty_project_says_where_pipelines_come_from(page: Client) -> None:
    assert "There is no pipeline in the project yet." in text_of(page.get("/pipelines/"))


def test_each_pipeline_shows_its_last_runs_and_next_moment(page: Client) -> None:
    pipeline = make_pipeline()
    runs = [make_run(pipeline, status=RunStatus.FAILED), make_run(pipeline, status=RunStatus.COMPLETED)]
    schedule = make_schedule(pipeline, next_due_at=NOON)

    (row,) = page.get("/pipelines/").context["rows"]

    assert (row["strip"], row["last"], row["schedules"]) == (runs, runs[1], [schedule])


def test_the_trigger_due_next_is_shown_before_paused_ones(page: Client) -> None:
    make_schedule(name="paused", is_active=False)
    make_schedule(name="by call", schedule_type="api", schedule_interval="")
    due = make_schedule(name="due", next_due_at=NOON)

    (row,) = page.get("/pipelines/").context["rows"]

    assert row["schedules"][0] == due
    assert row["schedules"][-1].name == "paused"


@pytest.mark.parametrize(
    ("text", "found"), [("wea", ["weather"]), ("NIGHTLY", ["weather"]), ("x", []), ("", ["etl", "weather"])]
)
def test_search_looks_at_names_and_tags(page: Client, text: str, found: list[str]) -> None:
    make_pipeline()
    Pipeline.objects.filter(pk=make_pipeline("weather").pk).update(tags=["nightly"])

    rows = page.get("/pipelines/", {"q": text}).context["rows"]

    assert [row["pipeline"].uuid for row in rows] == found


def test_a_pipeline_that_is_gone_is_not_listed(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_present=False)

    assert page.get("/pipelines/").context["rows"] == []


def test_a_broken_pipeline_says_where_and_why_and_offers_no_run(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_valid=False, problems=[PROBLEM])

    text = text_of(page.get("/pipelines/"))

    assert "broken" in text
    assert "pipelines/etl/metadata.yaml:7 cycle: a → b → a" in text
    assert "/pipelines/etl/run/" not in text


def test_the_list_asks_as_much_for_many_pipelines_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        pipeline = make_pipeline(f"p{number}")
        make_run(pipeline)
        make_schedule(pipeline)

    with django_assert_max_num_queries(10):
        page.get("/pipelines/")
