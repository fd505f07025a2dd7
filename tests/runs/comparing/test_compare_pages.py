"""The page on which two runs stand beside each other."""

from datetime import datetime

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from tests.factories import make_pipeline, make_run, text_of
from tests.runs.comparing.pairs_of_runs import bad_run, block_of, good_run, wrote

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


def test_a_failed_run_leads_to_its_comparison_with_the_last_good_one(page: Client) -> None:
    good_run()
    good, run = good_run(), bad_run()

    assert f'href="/runs/{run.pk}/compare/"' in text_of(page.get(f"/runs/{run.pk}/"))
    assert page.get(f"/runs/{run.pk}/compare/").headers["Location"] == f"/runs/{run.pk}/compare/{good.pk}/"


def test_another_run_may_be_named(page: Client) -> None:
    run = bad_run()

    assert page.get(f"/runs/{run.pk}/compare/?other=%237").headers["Location"] == f"/runs/{run.pk}/compare/7/"


def test_without_a_good_run_it_says_so(page: Client) -> None:
    run = bad_run()

    answer = page.get(f"/runs/{run.pk}/compare/")

    assert answer.status_code == 200
    assert "No run of etl has completed before this one." in text_of(answer)


def test_what_differs_comes_alone_and_the_rest_is_a_link_away(page: Client, now: datetime) -> None:
    good, run = good_run(), bad_run()
    for each in (good, run):
        wrote(each, "load", now, "the same")
    address = f"/runs/{run.pk}/compare/{good.pk}/"

    answer = page.get(address)

    assert [row["of"].block_uuid for row in answer.context["blocks"]] == ["clean", "save"]
    assert "ValueError: no rows" in text_of(answer)
    assert "1 without a difference is not shown" in text_of(answer)
    assert len(page.get(f"{address}?show=all").context["blocks"]) == 3


def test_where_logs_part_leads_to_both_lines(page: Client, now: datetime) -> None:
    good, run = good_run(), bad_run()
    wrote(good, "clean", now, "fine")
    wrote(run, "clean", now, HOSTILE)

    text = text_of(page.get(f"/runs/{run.pk}/compare/{good.pk}/"))

    was, now_is = (f"/runs/{each.pk}/blocks/{block_of(each, 'clean').pk}/log/1/?at=0#L0" for each in (good, run))
    assert f'href="{was}">fine</a>' in text
    assert f'href="{now_is}"' in text
    assert HOSTILE not in text


def test_no_difference_is_said(page: Client) -> None:
    old, new = good_run(), good_run()

    assert "Nothing differs that is kept of them" in text_of(page.get(f"/runs/{new.pk}/compare/{old.pk}/"))


@pytest.mark.parametrize(
    ("other", "status", "words"),
    [("compare/999/", 404, "There is no run 999."), ("compare/?other=x1", 400, "&#x27;x1&#x27; is no number of a run")],
)
def test_an_unknown_run_is_named(page: Client, other: str, status: int, words: str) -> None:
    answer = page.get(f"/runs/{bad_run().pk}/{other}")

    assert answer.status_code == status
    assert words in text_of(answer)


def test_a_run_of_another_pipeline_is_refused_in_words(page: Client) -> None:
    other = make_run(make_pipeline("other"))

    answer = page.get(f"/runs/{bad_run().pk}/compare/{other.pk}/")

    assert answer.status_code == 400
    assert "Name another run of etl." in text_of(answer)


def test_it_costs_at_most_sixteen_queries(page: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    good, run = good_run(), bad_run()

    with django_assert_max_num_queries(16):
        page.get(f"/runs/{run.pk}/compare/{good.pk}/")
