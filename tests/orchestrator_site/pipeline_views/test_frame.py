"""What is around every view of a pipeline, and what every view has to bear."""

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from alerts.models import Incident
from orchestrator_site.pipeline_views.frame import VIEWS
from pipelines.models import Pipeline
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def address(view: str) -> str:
    return "/pipelines/etl/" if view == "detail" else f"/pipelines/etl/{view}/"


@pytest.mark.parametrize("view", [each.name for each in VIEWS])
def test_each_view_is_marked_and_leads_to_the_others(page: Client, view: str) -> None:
    make_run(make_pipeline(), status=RunStatus.COMPLETED)

    text = text_of(page.get(address(view)))

    assert f'<a href="{address(view)}" aria-current="page">' in text
    assert all(f'<a href="{address(each.name)}"' in text for each in VIEWS)


@pytest.mark.parametrize("view", [each.name for each in VIEWS])
def test_a_refresh_brings_the_view_alone(page: Client, view: str) -> None:
    make_pipeline()

    text = text_of(page.get(address(view), headers={"HX-Request": "true", "HX-Target": "live"}))

    assert text.lstrip().startswith('<div id="live" data-live hx-get="' + address(view))
    assert "<html" not in text


@pytest.mark.parametrize("view", [each.name for each in VIEWS])
def test_every_view_stands_without_runs_or_a_version(page: Client, view: str) -> None:
    Pipeline.objects.create(uuid="etl", name="etl", is_valid=False, problems=[PROBLEM])

    answer = page.get(address(view))

    assert answer.status_code == 200
    assert "This pipeline cannot run" in text_of(answer)
    assert "Take one away." in text_of(answer)


@pytest.mark.parametrize("view", [each.name for each in VIEWS])
def test_a_view_asks_as_much_for_many_runs_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries, view: str
) -> None:
    pipeline = make_pipeline()
    for number in range(10):
        make_run(pipeline, status=RunStatus.COMPLETED)
        make_schedule(pipeline, name=f"t{number}")

    with django_assert_max_num_queries(20):
        page.get(address(view))


def test_the_head_says_who_owns_it_and_what_is_next(page: Client) -> None:
    pipeline = make_pipeline()
    Pipeline.objects.update(owner="data team")
    schedule = make_schedule(pipeline, name="nightly", next_due_at=NOON)
    make_schedule(pipeline, name="paused", is_active=False)

    text = text_of(page.get("/pipelines/etl/code/"))

    assert "data team" in text
    assert f'<a class="break" href="/schedules/{schedule.pk}/">nightly</a>' in text


def test_a_tag_in_the_head_leads_to_the_pipelines_that_have_it(page: Client) -> None:
    Pipeline.objects.filter(pk=make_pipeline().pk).update(tags=["a & b/c"])
    Pipeline.objects.filter(pk=make_pipeline("a & b/c or so").pk).update(tags=["other"])

    head = text_of(page.get("/pipelines/etl/"))

    assert 'href="/pipelines/?tag=a%20%26%20b%2Fc" title="a &amp; b/c"' in head
    listed = text_of(page.get("/pipelines/?tag=a%20%26%20b%2Fc"))
    assert 'href="/pipelines/etl/"' in listed
    assert "or so" not in listed


def test_the_head_says_what_is_wrong(page: Client) -> None:
    moments = {"opened_at": NOON, "last_seen_at": NOON}
    Incident.objects.create(pipeline=make_pipeline(), title="etl fails", fingerprint="f", breaches_count=3, **moments)
    Incident.objects.create(pipeline=make_pipeline("other"), title="not here", fingerprint="o", **moments)

    text = text_of(page.get("/pipelines/etl/settings/"))

    assert "etl fails" in text
    assert "seen 3 times" in text
    assert "not here" not in text


def test_an_unknown_pipeline_is_named_with_the_nearest(page: Client) -> None:
    make_pipeline("weather")

    answer = page.get("/pipelines/wether/")

    assert answer.status_code == 404
    assert "wether" in text_of(answer)
    assert "Did you mean weather?" in text_of(answer)


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

    version = pipeline.current_version
    assert version is not None
    version.files = {f"custom/{HOSTILE}.py": {"sha256": "0", "text": f"x = '{HOSTILE}'"}}
    version.save()
    make_run(pipeline, status=RunStatus.FAILED, reason=HOSTILE)

    for where in ("/pipelines/", "/schedules/", *(address(each.name) for each in VIEWS)):
        assert "<script>alert" not in text_of(page.get(where))
