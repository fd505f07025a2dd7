"""The pages of backfills: the list, the planner, one with its slots and its buttons."""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.asserts import assertRedirects

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.backfilling import backfills
from schedules.models import Backfill, Decision, Occurrence
from tests.factories import FEBRUARY, NOON, make_backfill, make_pipeline, make_run, make_schedule, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipeline")]
RIGHT = {
    "pipeline": "etl",
    "schedule": "",
    "start_at": "2025-02-01T00:00",
    "end_at": "2025-02-03T00:00",
    "timezone": "UTC",
    "interval_units": "1",
    "interval_type": "day",
    "which": "missing",
    "run_limit": "1",
    "priority": "50",
    "name": "",
    "variables": "",
}


@pytest.fixture
def pipeline() -> None:
    make_pipeline()


def started(**fields: Any) -> Backfill:
    backfill = make_backfill(**fields)
    backfills.start(backfill, NOON)
    return backfill


def send(page: Client, url: str = "/backfills/new/", **fields: str) -> Any:
    return page.post(url, {"key": str(uuid.uuid4()), **RIGHT, **fields})


def started_run(backfill: Backfill, status: RunStatus) -> PipelineRun:
    """Let the first slot have been run."""
    run = make_run(backfill.pipeline, status=status, execution_date=FEBRUARY, backfill_id=backfill.pk)
    Occurrence.objects.filter(scheduled_for=FEBRUARY, backfill=backfill).update(
        decision=Decision.STARTED, pipeline_run=run
    )
    return run


# --- the list -------------------------------------------------------------------------------------------------------


def test_no_backfill_says_what_one_is(page: Client) -> None:
    assert "runs a pipeline for moments of the past" in text_of(page.get("/backfills/"))


def test_the_list_shows_how_far_each_is_in_as_many_queries_for_many_as_for_one(page: Client) -> None:
    started_run(started(name="May"), RunStatus.COMPLETED)
    with CaptureQueriesContext(connection) as few:
        page.get("/backfills/")
    for number in range(3):
        started(pipeline=make_pipeline(f"p{number}"))

    with CaptureQueriesContext(connection) as many:
        text = text_of(page.get("/backfills/"))

    assert "May" in text
    assert "1/5" in text
    assert len(many) == len(few)


@pytest.mark.parametrize(("query", "is_found"), [("may", True), ("ETL", True), ("june", False), ("%00", True)])
def test_the_list_is_searched(page: Client, query: str, is_found: bool) -> None:
    started(name="May")

    assert bool(page.get(f"/backfills/?q={query}").context["rows"]) is is_found


# --- the planner ----------------------------------------------------------------------------------------------------


def test_a_link_fills_the_planner_in_with_the_triggers_zone_and_moments(page: Client) -> None:
    schedule = make_schedule(timezone="Europe/Berlin")

    form = page.get(f"/backfills/new/?pipeline=etl&schedule={schedule.pk}").context["form"]

    assert (form["pipeline"].value(), form["schedule"].value()) == ("etl", str(schedule.pk))
    assert (form["timezone"].value(), form["interval_type"].value()) == ("Europe/Berlin", "schedule")
    assert form["start_at"].value() < form["end_at"].value()


@pytest.mark.parametrize(
    "query",
    ["", "?pipeline=nothing", "?pipeline=%00", "?schedule=x", "?schedule=99999999999999999999", "?key=1&which=x"],
)
def test_a_link_with_nonsense_opens_the_planner_all_the_same(page: Client, query: str) -> None:
    assert page.get(f"/backfills/new/{query}").status_code == 200


def test_the_trigger_of_another_pipeline_is_dropped_when_the_pipeline_is_changed(page: Client) -> None:
    other = make_schedule(make_pipeline("other"))

    form = page.get(f"/backfills/new/?pipeline=etl&schedule={other.pk}&run_limit=7").context["form"]

    assert (form["schedule"].value(), form["run_limit"].value()) == (None, "7")


def test_the_plan_shows_each_slot_and_how_many_would_be_run(page: Client) -> None:
    run = make_run(status=RunStatus.COMPLETED, execution_date=FEBRUARY)

    text = text_of(send(page, "/backfills/plan/"))

    assert "Start 2 runs" in text
    assert f"#{run.pk}" in text
    assert "Sat 2025-02-01 00:00 +00:00" in text
    assert "2 missing" in text
    assert "1 completed" in text
    assert not Occurrence.objects.exists()


def test_thousands_of_slots_are_shown_a_hundred_at_a_time(page: Client) -> None:
    minutes = RIGHT | {"interval_type": "minute", "end_at": "2025-02-02T09:19", "key": str(uuid.uuid4())}

    first, last = (text_of(page.post("/backfills/plan/", minutes | {"page": number})) for number in ("1", "20"))

    assert "Start 2000 runs" in first
    assert "1–100 of 2000" in first
    assert "1901–2000 of 2000" in last
    assert "Sun 2025-02-02 09:19" in last


def test_a_plan_with_nothing_to_run_has_no_button(page: Client) -> None:
    started(end_at=FEBRUARY.replace(day=3))

    text = text_of(send(page, "/backfills/plan/"))

    assert "Nothing of this range is to be run." in text
    assert "<button" not in text


def test_a_plan_without_pipeline_asks_for_one(page: Client) -> None:
    assert "Choose a pipeline" in text_of(send(page, "/backfills/plan/", pipeline=""))


def test_it_is_started_with_what_was_typed_in_the_zone_that_was_typed(page: Client) -> None:
    schedule = make_schedule()

    answer = send(
        page,
        schedule=str(schedule.pk),
        timezone="Europe/Berlin",
        run_limit="4",
        newest_first="on",
        which="all",
        name="May",
        variables='{"full": true}',
    )

    backfill = Backfill.objects.get()
    assert answer["Location"] == f"/backfills/{backfill.pk}/"
    assert (backfill.schedule, backfill.run_limit, backfill.newest_first) == (schedule, 4, True)
    assert (backfill.which, backfill.name, backfill.variables) == ("all", "May", {"full": True})
    assert (backfill.start_at.isoformat(), backfill.created_by) == ("2025-01-31T23:00:00+00:00", "ada")
    assert Occurrence.objects.filter(backfill=backfill, schedule=schedule).count() == 3


def test_sending_the_same_form_twice_starts_one(page: Client) -> None:
    key = str(uuid.uuid4())

    first, second = send(page, key=key), send(page, key=key)

    assert first["Location"] == second["Location"]
    assert Backfill.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"pipeline": "nothing"}, "pipeline", "There is no pipeline named nothing."),
        ({"pipeline": ""}, "pipeline", "required"),
        ({"schedule": "77"}, "schedule", "no such trigger"),
        ({"start_at": ""}, "start_at", "required"),
        ({"start_at": "yesterday"}, "start_at", "Use a date and a time"),
        ({"start_at": "2025-02-04T00:00"}, "start_at", "Start must be before end."),
        ({"end_at": "2200-01-01T00:00"}, "end_at", "in the future"),
        ({"interval_type": "second"}, "end_at", "172 801 runs; the limit is 10 000"),
        ({"interval_type": "schedule"}, "schedule", "Name a time trigger"),
        ({"interval_type": "dayly"}, "interval_type", "not one of the available choices"),
        ({"interval_units": "0"}, "interval_units", "from 1 to"),
        ({"interval_units": "1.5"}, "interval_units", "whole number"),
        ({"timezone": "Europe/Berln"}, "timezone", "Did you mean Europe/Berlin?"),
        ({"which": "some"}, "which", "not one of the available choices"),
        ({"run_limit": "0"}, "run_limit", "at least 1"),
        ({"run_limit": "9" * 30}, "run_limit", "at most 1000"),
        ({"priority": "many"}, "priority", "whole number"),
        ({"name": "x" * 201}, "name", "at most 200"),
        ({"name": "a\x00b"}, "name", "Null characters"),
        ({"variables": "[1]"}, "variables", "JSON object"),
        ({"variables": '{"a": 1,}'}, "variables", "line 1"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_in_the_plan(
    page: Client, fields: dict[str, str], field: str, words: str
) -> None:
    answer = send(page, **fields)

    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])
    assert not Backfill.objects.exists()
    if fields != {"pipeline": ""}:
        assert "note-error" in text_of(send(page, "/backfills/plan/", **fields))


def test_a_form_without_its_key_is_not_started(page: Client) -> None:
    assert send(page, key="").status_code == 422
    assert not Backfill.objects.exists()


# --- one ------------------------------------------------------------------------------------------------------------


def test_a_backfill_shows_its_slots_in_its_order_with_their_runs(page: Client) -> None:
    backfill = started(newest_first=True, variables={"full": True})
    run = started_run(backfill, RunStatus.FAILED)

    answer = page.get(f"/backfills/{backfill.pk}/")

    assert [each["state"] for each in answer.context["rows"]] == ["waiting"] * 4 + ["failed"]
    text = text_of(answer)
    assert f"#{run.pk}" in text
    assert "Retry failed" in text
    assert "Sat 2025-02-01 00:00 +00:00" in text


@pytest.mark.parametrize(("state", "count"), [("failed", 1), ("waiting", 4), ("completed", 0), ("nonsense", 5)])
def test_slots_are_narrowed_by_their_state(page: Client, state: str, count: int) -> None:
    backfill = started()
    started_run(backfill, RunStatus.FAILED)

    assert len(page.get(f"/backfills/{backfill.pk}/?state={state}").context["rows"]) == count


@pytest.mark.parametrize(
    ("decision", "state"),
    [("cancelled", "cancelled"), ("skipped", "skipped"), ("started", "removed"), ("held", "waiting")],
)
def test_slots_without_a_run_are_found_by_what_became_of_them(page: Client, decision: str, state: str) -> None:
    backfill = started(end_at=FEBRUARY)
    Occurrence.objects.update(decision=decision)

    (row,) = page.get(f"/backfills/{backfill.pk}/?state={state}").context["rows"]

    assert row["state"] == state


def test_a_page_costs_as_many_queries_for_many_slots_as_for_few(page: Client) -> None:
    few, many = started(end_at=FEBRUARY), started(pipeline=make_pipeline("other"), interval_type="hour")
    with CaptureQueriesContext(connection) as cheap:
        page.get(f"/backfills/{few.pk}/")

    with CaptureQueriesContext(connection) as dear:
        text = text_of(page.get(f"/backfills/{many.pk}/"))

    assert len(dear) == len(cheap)
    assert "97 waiting" in text


def test_the_buttons_pause_resume_and_cancel_it(page: Client) -> None:
    backfill = started()
    run = started_run(backfill, RunStatus.RUNNING)

    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert page.post(f"/backfills/{backfill.pk}/{verb}/")["Location"] == f"/backfills/{backfill.pk}/"
        backfill.refresh_from_db()
        assert backfill.state == state

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "the backfill was cancelled by ada")


def test_a_button_that_comes_too_late_says_so(page: Client) -> None:
    backfill = started()
    Backfill.objects.update(completed_at=NOON)

    text = text_of(page.post(f"/backfills/{backfill.pk}/pause/", follow=True))

    assert f"Backfill {backfill.pk} is completed." in text


def test_what_failed_is_retried(page: Client) -> None:
    backfill = started()
    started_run(backfill, RunStatus.FAILED)

    text = text_of(page.post(f"/backfills/{backfill.pk}/retry/", follow=True))

    assert "1 slot waits for another run." in text
    assert Occurrence.objects.filter(decision=Decision.WAITING).count() == 5


def test_its_limit_is_changed(page: Client) -> None:
    backfill = started()

    page.post(f"/backfills/{backfill.pk}/change/", {"run_limit": "9", "priority": "10", "name": "June"})

    backfill.refresh_from_db()
    assert (backfill.run_limit, backfill.priority, backfill.name) == (9, 10, "June")


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [({"run_limit": "0"}, "run_limit", "at least 1"), ({"priority": ""}, "priority", "required")],
)
def test_a_change_that_makes_no_sense_is_said_beside_its_field(
    page: Client, fields: dict[str, str], field: str, words: str
) -> None:
    backfill = started()

    answer = page.post(f"/backfills/{backfill.pk}/change/", {"run_limit": "2", "priority": "50", "name": ""} | fields)

    assert answer.status_code == 422
    assert words in " ".join(answer.context["change"].errors[field])
    assert Backfill.objects.get().run_limit == 1
    assertRedirects(page.get(f"/backfills/{backfill.pk}/change/"), f"/backfills/{backfill.pk}/")


def test_what_is_not_there_is_a_page_that_says_so(page: Client) -> None:
    backfill = started()

    assert page.get("/backfills/99999999999999999999/").status_code == 404
    assert page.get(f"/backfills/{backfill.pk + 1}/").status_code == 404
    assert page.post(f"/backfills/{backfill.pk}/explode/").status_code == 404
    assert page.get(f"/backfills/{backfill.pk}/pause/").status_code == 405


def test_a_run_leads_to_its_backfill(page: Client) -> None:
    run = started_run(started(), RunStatus.COMPLETED)

    assert f'href="/backfills/{run.backfill_id}/"' in text_of(page.get(f"/runs/{run.pk}/"))


def test_pipelines_and_triggers_lead_to_the_planner(page: Client) -> None:
    schedule = make_schedule()

    assert "/backfills/new/?pipeline=etl" in text_of(page.get("/pipelines/etl/"))
    assert f"schedule={schedule.pk}" in text_of(page.get(f"/schedules/{schedule.pk}/"))
