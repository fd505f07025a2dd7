"""Many rows in one statement: what the ORM's bulk_update does is what must come of it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.many_rows import update_each
from runs.models import PipelineRun
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
FIELDS = ["deadline_at", "timeout", "variables", "reason", "priority", "allow_blocks_to_fail", "parent_block_run"]


def change(runs: list[PipelineRun]) -> None:
    """Give each row values of every kind, among them none and text that must be quoted."""
    for number, run in enumerate(runs):
        run.deadline_at = NOON + timedelta(microseconds=number) if number % 2 else None
        run.timeout = timedelta(seconds=number, microseconds=5) if number % 3 else None
        run.variables = {"it's": [number, None, 'a "quote"', "100 %s"]}
        run.reason = f"it's %s; {number} -- ☃"
        run.priority = -number
        run.allow_blocks_to_fail = bool(number % 2)
        run.parent_block_run = None


def test_it_stores_what_bulk_update_stores() -> None:
    pipeline = make_pipeline()
    ours, theirs = ([make_run(pipeline) for _ in range(7)] for _ in range(2))
    change(ours)
    change(theirs)

    update_each(ours, FIELDS)
    PipelineRun.objects.bulk_update(theirs, FIELDS)

    stored = [
        list(PipelineRun.objects.filter(pk__in=[run.pk for run in runs]).order_by("pk").values_list(*FIELDS))
        for runs in (ours, theirs)
    ]
    assert stored[0] == stored[1]
    assert stored[0][3][0] == NOON + timedelta(microseconds=3)


def test_a_column_of_nothing_but_null_keeps_its_type() -> None:
    run = make_run(deadline_at=NOON)
    run.deadline_at = None

    update_each([run], ["deadline_at"])

    run.refresh_from_db()
    assert run.deadline_at is None


def test_other_rows_and_other_fields_stay_as_they_are() -> None:
    run, other = make_run(reason="before"), make_run(reason="before")
    run.reason, run.priority = "after", 5

    update_each([run], ["priority"])

    assert list(PipelineRun.objects.order_by("pk").values_list("reason", "priority")) == [("before", 5), ("before", 0)]
    assert other.reason == "before"


def test_two_hundred_rows_are_one_statement_and_none_is_no_statement() -> None:
    pipeline = make_pipeline(blocks=[("only",)])
    runs = [make_run(pipeline) for _ in range(200)]

    with CaptureQueriesContext(connection) as caught:
        update_each(runs, ["deadline_at", "priority"])
        update_each([], ["deadline_at"])

    assert len(caught) == 1


def test_a_database_that_cannot_join_values_gets_the_orms_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run()
    run.reason = "after"
    monkeypatch.setattr("runs.many_rows.joins_values", lambda: False)

    update_each([run], ["reason"])

    run.refresh_from_db()
    assert run.reason == "after"
