"""Views that people keep: the page and its filters under a name, their own and nobody else's."""

from typing import Any

import pytest
from django.test import Client

from orchestrator_site.models import SavedView
from orchestrator_site.saved_views import MOST, lasting
from tests.factories import make_user, text_of

pytestmark = pytest.mark.django_db


def save(page: Client, **fields: str) -> Any:
    return page.post("/views/save/", {"name": "my failures", "page": "runs:list", "query": "status=failed"} | fields)


def test_a_kept_view_leads_back_to_the_page_with_its_filters(page: Client) -> None:
    answer = save(page)

    assert answer["Location"] == "/runs/?status=failed"
    assert 'href="/runs/?status=failed">my failures</a>' in text_of(page.get("/runs/"))


def test_the_view_one_is_in_says_so(page: Client) -> None:
    save(page)

    assert "Saved views, now my failures" in text_of(page.get("/runs/?status=failed"))


def test_a_view_of_the_same_name_takes_its_place(page: Client) -> None:
    save(page)
    save(page, query="status=running")

    assert [view.query for view in SavedView.objects.all()] == ["status=running"]


def test_where_one_had_scrolled_to_is_no_part_of_a_view() -> None:
    assert lasting("status=failed&q=&cursor=abc&page=3") == "status=failed"


@pytest.mark.parametrize("wrong", [{"page": "runs:detail"}, {"page": "nowhere"}, {"name": ""}, {"query": "a" * 2001}])
def test_what_cannot_be_come_back_to_is_not_kept(page: Client, wrong: dict[str, str]) -> None:
    answer = page.post("/views/save/", {"name": "my failures", "page": "runs:list", "query": ""} | wrong, follow=True)

    assert "The view was not saved" in text_of(answer)
    assert not SavedView.objects.exists()


def test_there_are_only_so_many(page: Client) -> None:
    for number in range(MOST):
        save(page, name=f"view {number}")

    assert "forget one first" in text_of(page.get(save(page, name="one more")["Location"]))
    assert SavedView.objects.count() == MOST


def test_a_view_is_forgotten(page: Client) -> None:
    save(page)

    answer = page.post(f"/views/{SavedView.objects.get().pk}/forget/")

    assert answer["Location"] == "/runs/?status=failed"
    assert not SavedView.objects.exists()


def test_nobody_sees_or_forgets_the_views_of_others(page: Client) -> None:
    save(page)
    grace = Client()
    grace.force_login(make_user("grace"))

    assert "my failures" not in text_of(grace.get("/runs/"))
    assert grace.post(f"/views/{SavedView.objects.get().pk}/forget/").status_code == 404
    assert SavedView.objects.exists()


def test_a_name_is_text(page: Client) -> None:
    save(page, name="<b>bold</b>")

    assert "&lt;b&gt;bold&lt;/b&gt;" in text_of(page.get("/runs/"))
