"""Incidents on the pages of runs and pipelines."""

from datetime import timedelta
from typing import Any

import pytest
from django.template import Context, Template

from alerts import incidents
from tests.alerts.facts import make_incident
from tests.factories import NOON, make_pipeline

pytestmark = pytest.mark.django_db


def drawn(tag: str, **context: Any) -> str:
    return Template(f"{{% load incidents %}}{{% {tag} %}}").render(Context(context)).strip()


def test_a_run_tells_its_incidents_also_closed_ones_in_one_query(django_assert_num_queries: Any) -> None:
    repaired = make_incident("etl <b>failed</b>", run_id=7)
    incidents.close(repaired, NOON + timedelta(hours=1), "ada", "")
    make_incident("still wrong", run_id=7)
    make_incident("another run", run_id=8)

    with django_assert_num_queries(1):
        text = drawn("incidents_of run_id", run_id=7)

    assert "etl &lt;b&gt;failed&lt;/b&gt;" in text
    assert f'href="/incidents/{repaired.pk}/"' in text
    assert "still wrong" in text
    assert "another run" not in text


def test_a_pipeline_tells_what_of_it_is_not_closed_in_one_query(django_assert_num_queries: Any) -> None:
    etl, other = make_pipeline(), make_pipeline("other")
    closed, seen = make_incident("repaired", pipeline=etl), make_incident("late again", pipeline=etl)
    incidents.close(closed, NOON, "ada", "")
    make_incident("late again", pipeline=etl)
    make_incident("not ours", pipeline=other)

    with django_assert_num_queries(1):
        text = drawn("incidents_of_pipeline pipeline", pipeline=etl)

    assert f"incident #{seen.pk}, open" in text
    assert "seen 2 times" in text
    assert "repaired" not in text
    assert "not ours" not in text


def test_where_nothing_is_wrong_nothing_is_told() -> None:
    assert drawn("incidents_of 7") == ""
    assert drawn("incidents_of_pipeline pipeline", pipeline=make_pipeline()) == ""


def test_of_very_many_only_the_latest_are_told() -> None:
    pipeline = make_pipeline()
    for number in range(7):
        make_incident(f"trouble {number}", pipeline=pipeline)

    text = drawn("incidents_of_pipeline pipeline", pipeline=pipeline)

    assert "trouble 6" in text
    assert "trouble 0" not in text
    assert "and more" in text
