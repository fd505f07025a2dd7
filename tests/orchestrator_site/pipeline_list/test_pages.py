"""The list of pipelines."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from alerts.models import Incident
from pipelines.models import Pipeline
from runs.models import Origin
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db

PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}
MINUTE = timedelta(minutes=1)


def names(page: Client, **query: str) -> list[str]:
    return [row.pipeline.uuid for row in page.get("/pipelines/", query).context["rows"]]


def test_an_empty_project_says_where_pipelines_come_from(page: Client) -> None:
    assert "There is no pipeline in the project yet." in text_of(page.get("/pipelines/"))


def test_each_pipeline_shows_its_last_runs_and_next_moment(page: Client) -> None:
    pipeline = make_pipeline()
    runs = [make_run(pipeline, status=RunStatus.FAILED), make_run(pipeline, status=RunStatus.COMPLETED)]
    schedule = make_schedule(pipeline, next_due_at=NOON)

    (row,) = page.get("/pipelines/").context["rows"]

    assert (row.strip, row.last, row.first, row.others) == (runs, runs[1], schedule, 0)


def test_the_trigger_due_next_is_shown_and_the_others_are_counted(page: Client) -> None:
    make_schedule(name="paused", is_active=False)
    make_schedule(name="by call", schedule_type="api", schedule_interval="")
    due = make_schedule(name="due", next_due_at=NOON)

    answer = page.get("/pipelines/")

    (row,) = answer.context["rows"]
    assert (row.first, row.others) == (due, 2)
    assert "and 2 more triggers" in text_of(answer)


def test_a_trigger_is_told_in_words_with_its_zone(page: Client) -> None:
    make_schedule(schedule_interval="0 6 * * 1-5", timezone="Europe/Berlin")

    text = text_of(page.get("/pipelines/"))

    assert ">At 06:00 on Monday to Friday</a>" in text
    assert '<span class="mono">0 6 * * 1-5</span> · Europe/Berlin' in text


def test_how_long_runs_take_and_how_many_passed_their_sla_is_told(page: Client) -> None:
    pipeline = make_pipeline()
    for minutes in (1, 2, 3, 10):
        make_run(
            pipeline,
            status=RunStatus.COMPLETED,
            completed_at=NOON + minutes * MINUTE,
            sla_at=NOON + 5 * MINUTE,
            passed_sla=minutes > 5,
        )

    answer = page.get("/pipelines/")

    (row,) = answer.context["rows"]
    assert (row.usual.half, row.usual.most) == (2 * MINUTE, 10 * MINUTE)
    assert "1 of 4 late" in text_of(answer)


def test_a_pipeline_that_drifts_from_what_its_trigger_declares_says_so(page: Client) -> None:
    schedule = make_schedule(schedule_interval="*/5 * * * *")
    for number in range(6):
        begin = NOON + number * 20 * MINUTE
        make_run(
            status=RunStatus.COMPLETED,
            origin=Origin.SCHEDULE,
            trigger_id=schedule.pk,
            execution_date=begin,
            interval_end=begin + 5 * MINUTE,
            started_at=begin,
            completed_at=begin + 19 * MINUTE,
        )

    assert "Every 5 min really runs every 20 min" in text_of(page.get("/pipelines/"))


def test_open_incidents_are_counted_and_lead_to_their_list(page: Client) -> None:
    now, pipeline = timezone.now(), make_pipeline()
    for number, fields in enumerate(({}, {}, {"acknowledged_at": now}, {"closed_at": now})):
        Incident.objects.create(
            title="t", fingerprint=str(number), pipeline=pipeline, opened_at=now, last_seen_at=now, **fields
        )

    text = text_of(page.get("/pipelines/"))

    assert 'href="/incidents/?pipeline=etl"' in text
    assert "2 incidents</a>" in text


@pytest.mark.parametrize(
    ("text", "found"), [("wea", ["weather"]), ("NIGHTLY", ["weather"]), ("x", []), ("", ["etl", "weather"])]
)
def test_search_looks_at_names_and_tags(page: Client, text: str, found: list[str]) -> None:
    make_pipeline()
    Pipeline.objects.filter(pk=make_pipeline("weather").pk).update(tags=["nightly"])

    assert names(page, q=text) == found


def test_chips_lead_to_all_that_have_the_same(page: Client) -> None:
    make_pipeline("other")
    Pipeline.objects.filter(pk=make_pipeline().pk).update(tags=["a & b"], owner="data team")

    text = text_of(page.get("/pipelines/"))

    assert 'href="?tag=a%20%26%20b"' in text
    assert 'href="?owner=data%20team"' in text
    assert names(page, tag="a & b") == names(page, owner="data team") == ["etl"]


def test_a_pipeline_that_is_gone_is_not_listed(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_present=False)

    assert names(page) == []


def test_a_broken_pipeline_says_where_and_why_and_offers_no_run(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_valid=False, problems=[PROBLEM])

    text = text_of(page.get("/pipelines/"))

    assert "broken" in text
    assert "pipelines/etl/metadata.yaml:7 cycle: a → b → a" in text
    assert "/pipelines/etl/run/" not in text


def test_hostile_names_are_shown_as_text(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(
        name="<i>n</i>", description="<script>d</script>", tags=["<u>t</u>"], owner='"><b>o</b>'
    )

    text = text_of(page.get("/pipelines/"))

    assert not any(part in text for part in ("<i>n", "<script>d", "<u>t", "<b>o"))


def test_a_filter_that_makes_no_sense_is_told_and_left_out(page: Client) -> None:
    make_pipeline()

    answer = page.get("/pipelines/?state=eaten&sort=color&page=zzz")

    assert "state: Select a valid choice." in text_of(answer)
    assert "sort: Select a valid choice." in text_of(answer)
    assert len(answer.context["rows"]) == 1


def test_a_filter_that_nothing_fits_leads_back(page: Client) -> None:
    make_pipeline()

    assert "No pipeline fits these filters." in text_of(page.get("/pipelines/?owner=nobody"))


@pytest.mark.parametrize("query", ["", "?sort=p95&state=failing", "?sort=next&state=paused", "?state=incident"])
def test_the_list_asks_as_much_for_many_pipelines_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries, query: str
) -> None:
    for number in range(12):
        pipeline = make_pipeline(f"p{number}")
        make_run(pipeline, status=RunStatus.FAILED)
        make_schedule(pipeline, settings={"calendar": "none"})

    with django_assert_max_num_queries(15):
        page.get(f"/pipelines/{query}")
