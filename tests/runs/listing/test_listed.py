"""The page of the list: order, paging, marks, and what it costs."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.listing import filters, listed
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db


def took(seconds: float, **fields: Any) -> PipelineRun:
    end = NOON + timedelta(seconds=seconds)
    return make_run(**{"status": RunStatus.COMPLETED, "started_at": NOON, "completed_at": end, **fields})


def runs_of(answer: Any) -> list[PipelineRun]:
    return [row["run"] for row in answer.context["runs"]]


def test_the_oldest_come_first_when_asked_for_and_newer_ones_are_a_link_away(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "PAGE", 2)
    first, second, third = took(1), took(1), took(1)

    answer = page.get("/runs/?order=oldest")

    assert runs_of(answer) == [first, second]
    assert f"order=oldest&amp;after={second.pk}" in text_of(answer)
    assert runs_of(page.get(f"/runs/?order=oldest&after={second.pk}")) == [third]


def test_the_longest_come_first_when_asked_for(page: Client) -> None:
    short, long, middle = took(1), took(100), took(10)

    answer = page.get("/runs/?order=longest")

    assert runs_of(answer) == [long, middle, short]
    assert "The longest of the newest 1,000 that fit." in text_of(answer)


def test_where_looking_stopped_is_said_and_goes_on(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "WINDOW", 2)
    runs = [took(1, origin=Origin.MANUAL) for _ in range(3)]

    answer = page.get("/runs/?origin=api")

    assert f"down to #{runs[1].pk}" in text_of(answer)
    assert f'href="?origin=api&amp;before={runs[1].pk}">Search older ones</a>' in text_of(answer)
    assert "Looked through" not in text_of(page.get(f"/runs/?origin=api&before={runs[1].pk}"))


def test_each_run_is_a_mark_that_says_how_it_ended_and_leads_to_it(page: Client) -> None:
    took(3)
    failed = took(7, status=RunStatus.FAILED)

    text = text_of(page.get("/runs/"))

    assert f"<title>#{failed.pk} etl: failed, 7.00 s, began 2025-03-02 12:00:00 UTC</title>" in text
    assert f'<a href="/runs/{failed.pk}/" tabindex="-1" class="t-bad">' in text


def test_more_than_ten_thousand_are_not_counted(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "MOST_COUNTED", 2)
    for _ in range(3):
        took(1)

    assert "all more than 2 runs" in text_of(page.get("/runs/"))


def test_views_that_are_often_wanted_are_links(page: Client) -> None:
    took(1)

    text = text_of(page.get("/runs/?status=failed&since=24h"))

    assert '<a class="chip" href="?status=failed&amp;since=24h" aria-current="true">Failed in 24 h</a>' in text


def test_it_costs_as_much_for_many_runs_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        make_run(make_pipeline(f"p{number}"))

    with django_assert_max_num_queries(13):
        page.get("/runs/?since=24h&until=0s&longer=1s")
