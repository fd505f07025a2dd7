"""The page of moments that were lost."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from schedules.models import Decision, Occurrence
from schedules.pages import missed_pages
from tests.factories import make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db


def lose(name: str, hours: int = 1, decision: Decision = Decision.MISSED) -> Occurrence:
    at, pipeline = timezone.now() - timedelta(hours=hours), make_pipeline(f"of_{name}")
    return Occurrence.objects.create(
        pipeline=pipeline,
        schedule=make_schedule(pipeline, name=name),
        scheduled_for=at,
        decision=decision,
        reason=f"why {name} did not run",
        decided_at=at,
    )


def names(page: Client, query: str = "") -> list[str]:
    return [row.schedule.name for row in page.get(f"/schedules/missed/{query}").context["rows"]]


def test_the_last_day_is_shown_first_and_more_when_asked_for(page: Client) -> None:
    lose("today"), lose("expired", 2, Decision.EXPIRED), lose("last week", 100), lose("skipped", 1, Decision.SKIPPED)

    assert names(page) == ["today", "expired"]
    assert names(page, "?hours=168") == ["today", "expired", "last week"]
    assert names(page, "?hours=all&decision=expired") == ["expired"]
    assert names(page, "?q=of_tod") == ["today"]


def test_a_row_says_why_and_leads_to_the_whole_reason(page: Client) -> None:
    row = lose("today")

    text = text_of(page.get("/schedules/missed/"))

    assert "why today did not run" in text
    assert f'href="/schedules/{row.schedule_id}/occurrences/{row.pk}/"' in text


def test_a_long_list_goes_on_where_the_page_before_ended(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed_pages, "PAGE", 2)
    first, second, third = lose("first"), lose("second", 2), lose("third", 2)
    Occurrence.objects.filter(pk=third.pk).update(decided_at=second.decided_at)

    begun = page.get("/schedules/missed/")
    older = page.get("/schedules/missed/", {"before": begun.context["older"]})

    assert [row.pk for row in begun.context["rows"]] == [first.pk, third.pk]
    assert [row.pk for row in older.context["rows"]] == [second.pk]
    assert older.context["older"] is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?hours=1e9", "hours: Select a valid choice."),
        ("?decision=eaten", "decision: Select a valid choice."),
        ("?before=yesterday", "before: This is no place in the list."),
        ("?before=2025-01-01T00:00:00 7", "before: This is no place in the list."),
        (f"?q={'a' * 300}", "q: Ensure this value has at most 200 characters"),
        ("?q=%00", "q: Null characters are not allowed."),
    ],
)
def test_a_filter_that_makes_no_sense_is_told_and_left_out(page: Client, query: str, said: str) -> None:
    lose("today")

    answer = page.get(f"/schedules/missed/{query}")

    assert answer.status_code == 200
    assert said in text_of(answer)
    assert len(answer.context["rows"]) == 1


def test_an_empty_page_says_what_would_be_there(page: Client) -> None:
    assert "No moment was missed within 24 h." in text_of(page.get("/schedules/missed/"))
    assert "No missed moment fits this filter." in text_of(page.get("/schedules/missed/?q=x"))


def test_many_rows_cost_no_more_questions(page: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(8):
        lose(f"s{number}")

    with django_assert_max_num_queries(8):
        page.get("/schedules/missed/")
