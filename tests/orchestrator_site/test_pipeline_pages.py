"""The pages of pipelines, and starting a run from them."""

import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import Pipeline
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_schedule, make_user, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def start(page: Client, variables: str = "", key: object = None, uuid_: str = "etl") -> Any:
    return page.post(f"/pipelines/{uuid_}/run/", {"variables": variables, "key": str(key or uuid.uuid4())})


# --- the list ---------------------------------------------------------------------------------------------------------


def test_an_empty_project_says_where_pipelines_come_from(page: Client) -> None:
    assert "There is no pipeline in the project yet." in text_of(page.get("/pipelines/"))


def test_each_pipeline_shows_its_last_runs_and_next_moment(page: Client) -> None:
    pipeline = make_pipeline()
    runs = [make_run(pipeline, status=RunStatus.FAILED), make_run(pipeline, status=RunStatus.COMPLETED)]
    schedule = make_schedule(pipeline, next_due_at=NOON)

    (row,) = page.get("/pipelines/").context["rows"]

    assert (row["strip"], row["last"], row["schedules"]) == (runs, runs[1], [schedule])


def test_the_trigger_due_next_is_shown_before_paused_ones(page: Client) -> None:
    make_schedule(name="paused", is_active=False)
    make_schedule(name="by call", schedule_type="api", schedule_interval="")
    due = make_schedule(name="due", next_due_at=NOON)

    (row,) = page.get("/pipelines/").context["rows"]

    assert row["schedules"][0] == due
    assert row["schedules"][-1].name == "paused"


@pytest.mark.parametrize(
    ("text", "found"), [("wea", ["weather"]), ("NIGHTLY", ["weather"]), ("x", []), ("", ["etl", "weather"])]
)
def test_search_looks_at_names_and_tags(page: Client, text: str, found: list[str]) -> None:
    make_pipeline()
    Pipeline.objects.filter(pk=make_pipeline("weather").pk).update(tags=["nightly"])

    rows = page.get("/pipelines/", {"q": text}).context["rows"]

    assert [row["pipeline"].uuid for row in rows] == found


def test_a_pipeline_that_is_gone_is_not_listed(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_present=False)

    assert page.get("/pipelines/").context["rows"] == []


def test_a_broken_pipeline_says_where_and_why_and_offers_no_run(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(is_valid=False, problems=[PROBLEM])

    text = text_of(page.get("/pipelines/"))

    assert "broken" in text
    assert "pipelines/etl/metadata.yaml:7 cycle: a → b → a" in text
    assert "/pipelines/etl/run/" not in text


def test_the_list_asks_as_much_for_many_pipelines_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        pipeline = make_pipeline(f"p{number}")
        make_run(pipeline)
        make_schedule(pipeline)

    with django_assert_max_num_queries(10):
        page.get("/pipelines/")


# --- one pipeline -----------------------------------------------------------------------------------------------------


def test_a_pipeline_shows_its_graph_blocks_triggers_and_runs(page: Client) -> None:
    pipeline = make_pipeline(variables={"country": "DE"}, run_pipeline_in_one_process=True)
    run, schedule = make_run(pipeline), make_schedule(pipeline, name="nightly")

    answer = page.get("/pipelines/etl/")
    text = text_of(answer)

    assert [node.uuid for node in answer.context["drawing"].nodes] == ["load", "clean", "save"]
    assert 'id="block-clean"' in text
    assert f'href="/runs/{run.pk}/"' in text
    assert f'href="/schedules/{schedule.pk}/"' in text
    assert answer.context["variables"] == [("country", "DE")]
    assert answer.context["settings"] == {"run_pipeline_in_one_process": True}


def test_an_unknown_pipeline_is_named_with_the_nearest(page: Client) -> None:
    make_pipeline("weather")

    answer = page.get("/pipelines/wether/")

    assert answer.status_code == 404
    assert "wether" in text_of(answer)
    assert "Did you mean weather?" in text_of(answer)


def test_a_pipeline_without_a_version_still_has_its_page(page: Client) -> None:
    Pipeline.objects.create(uuid="etl", name="etl", is_valid=False, problems=[PROBLEM])

    text = text_of(page.get("/pipelines/etl/"))

    assert "This pipeline cannot run" in text
    assert "Take one away." in text


def test_a_pipeline_that_is_gone_keeps_its_page_and_runs(page: Client) -> None:
    run = make_run()
    Pipeline.objects.update(is_present=False)

    text = text_of(page.get("/pipelines/etl/"))

    assert "Its folder is gone from the project" in text
    assert f'href="/runs/{run.pk}/"' in text


def test_hostile_names_are_shown_as_text(page: Client) -> None:
    pipeline = make_pipeline(blocks=[(HOSTILE,)], variables={HOSTILE: HOSTILE})
    problem = {"file": HOSTILE, "line": 1, "reason": HOSTILE, "hint": HOSTILE}
    Pipeline.objects.filter(pk=pipeline.pk).update(
        name=HOSTILE, description=HOSTILE, tags=[HOSTILE], problems=[problem], is_valid=False
    )
    make_schedule(pipeline, name=HOSTILE, description=HOSTILE)

    for address in ("/pipelines/", "/pipelines/etl/", "/schedules/"):
        assert "<script>alert" not in text_of(page.get(address))


def test_the_page_asks_as_much_for_many_runs_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    pipeline = make_pipeline()
    for number in range(10):
        make_run(pipeline)
        make_schedule(pipeline, name=f"t{number}")

    with django_assert_max_num_queries(12):
        page.get("/pipelines/etl/")


# --- run now ----------------------------------------------------------------------------------------------------------


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


def test_a_link_never_starts_a_run(page: Client) -> None:
    make_pipeline()

    assert page.get("/pipelines/etl/run/").status_code == 405


def test_the_settings_name_callbacks_and_do_not_spell_them_out(page: Client) -> None:
    pipeline = make_pipeline()
    version = pipeline.current_version
    assert version is not None
    entries = [{"uuid": "page_ada", "retry_config": {}}, {"uuid": "page_bob", "timeout": None}]
    version.settings = {"callbacks": {"failure": entries, "success": []}}
    version.save(update_fields=["settings"])

    settings = page.get("/pipelines/etl/").context["settings"]

    assert settings == {"callbacks": {"failure": "page_ada, page_bob"}}
