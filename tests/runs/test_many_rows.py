"""Many rows in one statement: what the ORM's bulk_update does is what must come of it."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from pipelines.models import Pipeline
from runs.many_rows import insert_all, update_each
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


# --- new rows ---------------------------------------------------------------------------------------------------------


def new_runs(count: int, **fields: Any) -> list[PipelineRun]:
    pipeline = Pipeline.objects.filter(uuid="etl").first() or make_pipeline()
    same = {"pipeline": pipeline, "version": pipeline.current_version, "execution_date": NOON, "created_at": NOON}
    return [PipelineRun(origin="manual", **same | fields) for _ in range(count)]


def test_it_inserts_what_bulk_create_inserts() -> None:
    ours, theirs = new_runs(7), new_runs(7)
    change(ours)
    change(theirs)

    insert_all(ours)
    PipelineRun.objects.bulk_create(theirs)

    names = [field.attname for field in PipelineRun._meta.concrete_fields if field.name != "id"]
    stored = [
        [PipelineRun.objects.filter(pk=run.pk).values_list(*names).get() for run in runs] for runs in (ours, theirs)
    ]
    assert stored[0] == stored[1]
    assert not any(run._state.adding for run in ours)


def test_each_row_gets_its_own_key_in_order_over_several_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.many_rows.CHUNK", 3)
    runs = new_runs(8)
    for number, run in enumerate(runs):
        run.reason = f"number {number}"

    insert_all(runs)

    assert [run.reason for run in PipelineRun.objects.order_by("pk")] == [f"number {number}" for number in range(8)]
    assert [run.pk for run in runs] == sorted(run.pk for run in runs)


def test_values_that_are_equal_but_not_the_same_stay_apart() -> None:
    runs = new_runs(4)
    for run, value in zip(runs, (1, True, 1.0, "1"), strict=True):
        run.variables = {"value": value}
    runs[0].priority = True
    runs[1].variable_origins = []

    insert_all(runs)

    stored = [row.variables["value"] for row in PipelineRun.objects.order_by("pk")]
    assert [repr(value) for value in stored] == ["1", "True", "1.0", "'1'"]
    assert list(PipelineRun.objects.order_by("pk").values_list("variable_origins", flat=True)) == [{}, [], {}, {}]


def test_an_instant_written_in_two_zones_is_one_instant() -> None:
    runs = new_runs(2)
    runs[1].execution_date = NOON.astimezone(ZoneInfo("Asia/Kolkata"))

    insert_all(runs)

    assert set(PipelineRun.objects.values_list("execution_date", flat=True)) == {NOON}


def test_what_a_column_cannot_hold_is_refused_and_not_cut() -> None:
    runs = new_runs(2)
    runs[1].trigger_name = "x" * 256

    if connection.vendor == "postgresql":
        with pytest.raises(DataError), transaction.atomic():
            insert_all(runs)
        with pytest.raises(DataError), transaction.atomic():
            insert_all(new_runs(2, trigger_name="x" * 256))  # the same in all rows
        assert not PipelineRun.objects.exists()
    with pytest.raises((DataError, IntegrityError)), transaction.atomic():
        insert_all(new_runs(1, block_run_limit=-1))


def test_a_broken_constraint_is_told_as_the_orm_tells_it() -> None:
    runs = new_runs(2, idempotency_key="the same")

    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all(runs)


def test_rows_that_differ_in_nothing_are_still_that_many() -> None:
    insert_all(new_runs(5))
    insert_all([])

    assert PipelineRun.objects.count() == 5


def test_an_old_sqlite_gets_the_orms_insert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.many_rows.joins_values", lambda: False)
    runs = new_runs(2)

    insert_all(runs)

    assert PipelineRun.objects.count() == 2
    assert all(run.pk for run in runs)
