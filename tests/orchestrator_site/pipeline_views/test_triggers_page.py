"""The view of what starts a pipeline."""

import pytest
from django.test import Client

from tests.factories import NOON, make_backfill, make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def test_triggers_and_backfills_are_listed_with_links(page: Client) -> None:
    pipeline = make_pipeline()
    schedule = make_schedule(pipeline, name="nightly", schedule_interval="0 6 * * *", next_due_at=NOON)
    backfill = make_backfill(pipeline, name="February", created_at=NOON)
    backfill.save()
    make_schedule(make_pipeline("other"), name="not here")

    text = text_of(page.get("/pipelines/etl/triggers/"))

    assert f'href="/schedules/{schedule.pk}/">nightly' in text
    assert "at 06:00" in text
    assert f'href="/backfills/{backfill.pk}/">February' in text
    assert "not here" not in text


def test_a_pipeline_without_triggers_says_how_it_gets_one(page: Client) -> None:
    make_pipeline()

    text = text_of(page.get("/pipelines/etl/triggers/"))

    assert "No trigger: it runs only by hand" in text
    assert "/schedules/new/?pipeline=etl" in text
    assert "A backfill runs the pipeline for moments of the past" in text
