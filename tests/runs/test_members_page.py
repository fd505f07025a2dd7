"""The page of a run with a block that runs many times."""

from datetime import datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import overview
from runs.models import PipelineRun
from tests.factories import make_user, text_of
from tests.runs.fans import a_block, a_dynamic, fan, outcomes, start
from tests.runs.outcomes import FAILED, drive

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> Client:
    client.force_login(make_user())
    return client


def a_run(now: datetime, count: int = 120) -> PipelineRun:
    run = start(now, a_dynamic("D"), a_block("child", "D"), may_fail=True)
    drive(run, now, outcomes({"D": fan(count), "child:70": FAILED}))
    return run


def page(client: Client, run: PipelineRun, query: str = "") -> str:
    answer = client.get(f"/runs/{run.pk}/{query}")
    assert answer.status_code == 200
    return text_of(answer)


def test_a_fanned_block_is_one_row_and_one_node_with_a_count(ada: Client, now: datetime) -> None:
    said = page(ada, a_run(now), "?block=D")

    assert said.count("120 / 120") == 4, "in the table, in both drawings and in the title of one"
    assert "child:3" not in said


def test_the_failed_members_come_first(ada: Client, now: datetime) -> None:
    said = page(ada, a_run(now), "?block=child")

    assert 'href="?block=child%3A70"' in said
    assert said.index("child:70") < said.index("child:0")
    assert "1–50 of 120" in said
    assert said.count('<td class="name"><a data-swap href="?block=child%3A') == 50


def test_members_are_filtered_by_state_and_paged(ada: Client, now: datetime) -> None:
    run = a_run(now)

    failed = page(ada, run, "?block=child&members=failed")
    last = page(ada, run, "?block=child&members=completed&page=3")

    assert "1–1 of 1" in failed
    assert "101–119 of 119" in last
    assert "child:119" in last


def test_the_ways_to_other_members_have_names_of_their_own_so_that_a_refresh_leaves_the_focus(
    ada: Client, now: datetime
) -> None:
    run = a_run(now)

    first, middle = page(ada, run, "?block=child"), page(ada, run, "?block=child&page=2")

    assert 'id="members-later"' in first
    assert 'id="members-earlier"' not in first
    assert 'id="members-earlier"' in middle
    assert 'id="members-later"' in middle


@pytest.mark.parametrize(
    "query", ["&page=x", "&page=-1", "&page=99999999999999999999", "&members=nonsense", "&members=%00"]
)
def test_nonsense_in_the_address_shows_the_nearest_page(ada: Client, now: datetime, query: str) -> None:
    assert "of 3" in page(ada, a_run(now, 3), f"?block=child{query}")


def test_a_member_has_a_page_of_its_own_and_the_way_back(ada: Client, now: datetime) -> None:
    run = a_run(now, 80)
    said = page(ada, run, "?block=child%3A70")

    assert "<h2>child:70</h2>" in said
    assert 'one of 80 of <a data-swap href="?block=child">' in said
    assert '/retry/?from_block=child%3A70"' in said


def test_a_failed_member_is_repeated_from_its_page(ada: Client, now: datetime) -> None:
    run = a_run(now, 80)

    ada.post(f"/runs/{run.pk}/retry/", {"from_block": "child:70"})

    assert [row.block_uuid for row in run.block_runs.filter(status="queued")] == ["child:70"]


def test_a_page_costs_no_more_with_many_members(ada: Client, now: datetime) -> None:
    few = a_run(now, 80)
    with CaptureQueriesContext(connection) as first:
        page(ada, few, "?block=child")
    few.pipeline.uuid = "other"
    few.pipeline.save()
    many = a_run(now, 200)
    with CaptureQueriesContext(connection) as second:
        page(ada, many, "?block=child")

    assert len(second) <= len(first)


def test_lists_count_the_members_and_not_the_block_that_waits_for_them(now: datetime) -> None:
    run = a_run(now, 80)

    assert dict(overview.progress([run])[run.pk]) == {"completed": 80, "failed": 1}


def test_without_items_the_page_says_so(ada: Client, now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"))
    drive(run, now, outcomes({"D": fan(0)}))

    assert "There were no items." in page(ada, run, "?block=child")
