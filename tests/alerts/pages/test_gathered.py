"""An incident that stands for many, on the pages: one line of the list, and all of them on its own."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from alerts import incidents
from orchestrator_site import pulse
from orchestrator_site.dashboard import trouble
from tests.alerts.facts import make_incident, make_many
from tests.factories import NOON, text_of

pytestmark = pytest.mark.django_db
MANY = "8 pipelines failed since 12:00 UTC"


def titles(page: Client, **query: Any) -> list[str]:
    return [row["incident"].title for row in page.get("/incidents/", query).context["rows"]]


def test_many_are_one_line_of_the_list_and_one_in_every_count(page: Client) -> None:
    make_many()
    make_incident("etl failed")

    answer = page.get("/incidents/")

    assert [row["incident"].title for row in answer.context["rows"]] == ["etl failed", MANY]
    assert answer.context["counts"]["open"] == pulse.take(NOON).incidents == trouble.incidents(NOON).loud == 2
    assert "of 8" in text_of(answer)
    assert f"{MANY} 8 times" not in text_of(page.get("/"))


def test_the_one_of_a_pipeline_is_found_by_its_name_and_by_words(page: Client) -> None:
    make_many()

    assert titles(page, pipeline="load_3") == titles(page, q="load_3") == ["load_3 failed"]
    assert titles(page, q="8 pipelines") == [MANY]


def test_its_page_lists_all_with_their_runs_and_what_is_over_last(page: Client) -> None:
    incident = make_many()
    first = incident.members.order_by("id")[0]
    incidents.recover(first.fingerprint, NOON, "Run 9 completed")

    answer = page.get(f"/incidents/{incident.pk}/")

    assert [row["incident"].title for row in answer.context["members"]][::7] == ["load_1 failed", "load_0 failed"]
    assert len(answer.context["runs"]) == len(answer.context["breaches"]) == 8
    assert "8 incidents, told as one; 7 open" in text_of(answer)
    assert "Run 9 completed" in text_of(answer)


def test_the_page_of_one_of_them_leads_to_what_stands_for_it(page: Client) -> None:
    incident = make_many()

    answer = page.get(f"/incidents/{incident.members.first().pk}/")  # type: ignore[union-attr]

    assert f'<a href="/incidents/{incident.pk}/">incident #{incident.pk}</a>' in answer.content.decode()
    assert "told as one" not in text_of(answer)


def test_its_page_takes_no_more_queries_than_another(page: Client, django_assert_max_num_queries: Any) -> None:
    incident = make_many(20)

    with django_assert_max_num_queries(18):
        page.get(f"/incidents/{incident.pk}/")


def test_all_of_it_is_acknowledged_and_its_retry_counted_from_its_page(page: Client, ada: User) -> None:
    incident = make_many()

    page.post(f"/incidents/{incident.pk}/acknowledge/")

    assert incident.members.filter(acknowledged_by="ada").count() == 8
    assert page.get(f"/incidents/{incident.pk}/retry/").context["count"] == 8


def test_a_rule_is_told_by_its_form_to_tell_each(page: Client) -> None:
    rule = make_incident().rule
    assert rule is not None
    form = page.get(f"/incidents/rules/{rule.pk}/").context["form"]
    assert form["gathers"].value() is True
    sent = {name: form[name].value() for name in ("name", "kind", "severity", "tag")}

    assert page.post(f"/incidents/rules/{rule.pk}/", {**sent, "is_active": "on"}).status_code == 302

    rule.refresh_from_db()
    assert rule.gathers is False
