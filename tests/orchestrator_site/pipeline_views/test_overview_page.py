"""The first view of a pipeline, and run now."""

import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django.asserts import assertRedirects

from pipelines.models import Pipeline
from runs.models import Origin, PipelineRun
from tests.factories import make_pipeline, make_run, make_schedule, make_user, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def start(page: Client, variables: str = "", key: object = None, uuid_: str = "etl", **typed: str) -> Any:
    fields = {"variables": variables, "key": str(key or uuid.uuid4())}
    return page.post(f"/pipelines/{uuid_}/run/", fields | {f"variable:{name}": text for name, text in typed.items()})


def test_run_now_starts_a_run_with_its_variables(page: Client) -> None:
    make_pipeline(variables={"country": "DE", "year": 2024})

    answer = start(page, '{"year": 2025}')

    run = PipelineRun.objects.get()
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert run.variables == {"country": "DE", "year": 2025}
    assert (run.origin, run.started_by) == (Origin.MANUAL, "ada")


def test_a_double_click_starts_one_run(page: Client) -> None:
    make_pipeline()
    key = uuid.uuid4()

    first, second = start(page, key=key), start(page, key=key)

    assert first["Location"] == second["Location"]
    assert PipelineRun.objects.count() == 1


def test_the_key_of_one_user_is_not_the_key_of_another(page: Client) -> None:
    make_pipeline()
    key = uuid.uuid4()
    start(page, key=key)
    other = Client()
    other.force_login(make_user("grace"))

    start(other, key=key)

    assert PipelineRun.objects.count() == 2


def test_variables_that_are_not_json_start_nothing_and_stay_in_the_form(page: Client) -> None:
    make_pipeline()

    answer = start(page, '{"year": 2025,}')
    text = text_of(answer)

    assert answer.status_code == 422
    assert PipelineRun.objects.count() == 0
    assert "Variables must be a JSON object (line 1, column" in text
    assert "{&quot;year&quot;: 2025,}" in text
    assert "data-open" in text  # the dialog is open again


def test_a_broken_pipeline_is_refused_with_the_reason(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_valid=False, problems=[PROBLEM])

    answer = start(page)

    assert answer.status_code == 422
    assert "pipelines/etl/metadata.yaml line 7: cycle: a → b → a" in text_of(answer)
    assert PipelineRun.objects.count() == 0


def test_starting_an_unknown_pipeline_is_not_found(page: Client) -> None:
    assert start(page, uuid_="nope").status_code == 404


def test_a_link_never_starts_a_run_and_a_form_that_was_wrong_leads_back_to_its_page(page: Client) -> None:
    make_pipeline()
    start(page, "{,}")

    answer = page.get("/pipelines/etl/run/", headers={"HX-Request": "true", "HX-Target": "live"})

    assertRedirects(answer, "/pipelines/etl/")
    assert not PipelineRun.objects.exists()


def test_the_first_view_shows_runs_triggers_and_what_the_pipeline_is_for(page: Client) -> None:
    pipeline = make_pipeline()
    Pipeline.objects.update(description="Loads and saves.")
    run, schedule = make_run(pipeline), make_schedule(pipeline, name="nightly")

    text = text_of(page.get("/pipelines/etl/"))

    assert "Loads and saves." in text
    assert f'href="/runs/{run.pk}/"' in text
    assert f'href="/schedules/{schedule.pk}/"' in text


def test_a_typed_field_gives_a_variable_of_its_kind(page: Client) -> None:
    make_pipeline(variables={"year": 2024, "dry": False})

    start(page, year="2025", dry="no")

    run = PipelineRun.objects.get()
    assert run.variables == {"year": 2025, "dry": False}
    assert run.variable_origins == {"year": "run", "dry": "pipeline"}


def test_a_wrong_field_starts_nothing_and_says_what_would_be_right(page: Client) -> None:
    make_pipeline(variables={"year": 2024})

    answer = start(page, year="last")

    assert answer.status_code == 422
    assert "last is not a whole number, for example 7" in text_of(answer)
    assert PipelineRun.objects.count() == 0
