"""What the views of a pipeline say where there is nothing to show, and what they say of a break."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from pipelines.models import Pipeline, PipelineVersion
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_backfill, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db
BROKEN = {"load": BlockStatus.FAILED, "clean": BlockStatus.UPSTREAM_FAILED, "save": BlockStatus.UPSTREAM_FAILED}


def seen(page: Client, view: str = "", **query: Any) -> str:
    answer = page.get(f"/pipelines/etl/{view}{'/' if view else ''}", query)
    return " ".join(text_of(answer).split())


def another_version(pipeline: Pipeline, **fields: Any) -> PipelineVersion:
    was = pipeline.current_version
    assert was is not None
    defaults = {"graph": was.graph, "settings": was.settings, "content_hash": f"another of {was.pk}"}
    pipeline.current_version = PipelineVersion.objects.create(pipeline=pipeline, **defaults | fields)
    pipeline.save(update_fields=["current_version"])
    return pipeline.current_version


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("", "It has not run yet."),
        ("", "No trigger: it runs only by hand or through the API."),
        ("triggers", '<a href="/schedules/new/?pipeline=etl">Give it one</a>'),
        ("triggers", "None yet. A backfill runs the pipeline for moments of the past"),
        ("landing", '<a href="/schedules/new/?pipeline=etl">Give it one</a>; with an SLA it shows here'),
        ("settings", "None. Variables are written under"),
        ("settings", "Everything is kept for ever: nothing says otherwise."),
        ("settings", "all as they are by default"),
    ],
)
def test_a_new_pipeline_says_what_it_lacks_and_how_it_gets_it(page: Client, view: str, words: str) -> None:
    make_pipeline()

    assert words in seen(page, view)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("versions", "No version yet: one comes as soon as the pipeline has been read without a mistake."),
        ("settings", "There are no settings yet: no version of the pipeline could be read."),
    ],
)
def test_a_pipeline_that_was_never_read_says_so(page: Client, view: str, words: str) -> None:
    Pipeline.objects.create(uuid="etl", name="etl", is_valid=False)

    assert words in seen(page, view)


def test_a_trigger_whose_runs_have_not_ended_has_no_landings(page: Client) -> None:
    make_schedule(sla=timedelta(hours=1))

    assert "No run of this trigger has ended yet." in seen(page, "landing")


# --- triggers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"problem": "Unknown time zone."}, '<div class="reason">Unknown time zone.</div>'),
        ({"is_active": False}, "paused"),
        ({"schedule_type": "api", "schedule_interval": "", "next_due_at": None}, "by call"),
        ({"sla": timedelta(hours=2)}, "2 h 00 min"),
    ],
)
def test_each_trigger_says_its_state(page: Client, fields: dict[str, Any], words: str) -> None:
    make_schedule(**fields)

    assert words in seen(page, "triggers")


def test_backfills_say_who_asked_for_them(page: Client) -> None:
    make_backfill(created_at=NOON, name="january", created_by="bob").save()

    text = seen(page, "triggers")

    assert "january</a>" in text
    assert '<td class="not-small break">bob</td>' in text


# --- what changed before it broke -------------------------------------------------------------------------------------


def failed(pipeline: Pipeline, **fields: Any) -> None:
    run = make_run(pipeline, status=RunStatus.FAILED, blocks=BROKEN, **fields)
    run.block_runs.filter(block_uuid="load").update(error={"type": "ValueError", "message": "no <rows>"})


def test_a_break_says_which_block_failed_first_and_with_what(page: Client) -> None:
    pipeline = make_pipeline()
    good = make_run(pipeline, status=RunStatus.COMPLETED)
    failed(pipeline)
    failed(pipeline)

    text = seen(page, "versions")

    assert "<b>load</b> failed first" in text
    assert "ValueError: no &lt;rows&gt;" in text
    assert ", and 1 since" in text
    assert f'The last run that completed is <a href="/runs/{good.pk}/">#{good.pk}</a>' in text
    assert "Both are of the same version: look at the data, the surroundings, and what the log says." in text
    assert "Their variables are the same." in text


def test_a_break_after_a_change_leads_to_what_changed(page: Client) -> None:
    pipeline = make_pipeline()
    good = make_run(pipeline, status=RunStatus.COMPLETED, variables={"day": 1})
    was, now = good.version, another_version(pipeline)
    failed(pipeline, variables={"day": 2})

    text = seen(page, "versions")

    assert f'<a href="?from={was.pk}&amp;to={now.pk}#differs">from the version of #{good.pk} to that of #' in text
    assert '<td class="mono break">day</td><td class="mono break">1</td><td class="mono break">2</td>' in text


def test_a_break_that_was_always_there_says_so(page: Client) -> None:
    failed(make_pipeline())

    assert "None of the last runs completed." in seen(page, "versions")


def test_versions_that_differ_in_settings_say_in_which(page: Client) -> None:
    pipeline = make_pipeline()
    another_version(pipeline, settings={"concurrency": 2})

    text = seen(page, "versions")

    assert "<h3>Variables and settings</h3>" in text
    assert '<td class="mono break">concurrency</td><td class="mono break">–</td><td class="mono break">2</td>' in text


def test_versions_in_which_nothing_differs_say_so(page: Client) -> None:
    another_version(make_pipeline())

    assert "Nothing that is kept of them differs." in seen(page, "versions")


# --- code -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"sha256": "1", "text": ""}, "The file is empty."),
        ({"sha256": "1"}, "Its text is not kept in this version."),
        ({"sha256": "1", "text": "x = 1"}, "read-only, as of <time"),
    ],
)
def test_a_file_without_lines_says_why(page: Client, file: dict[str, str], words: str) -> None:
    pipeline = make_pipeline()
    PipelineVersion.objects.filter(pipeline=pipeline).update(files={"a.py": file})

    assert words in seen(page, "code")


def test_an_older_version_of_a_file_leads_to_what_it_is_now(page: Client) -> None:
    pipeline = make_pipeline()
    was = pipeline.current_version
    assert was is not None
    PipelineVersion.objects.filter(pk=was.pk).update(files={"a.py": {"sha256": "1", "text": "x = 1"}})
    another_version(pipeline, files={"a.py": {"sha256": "2", "text": "x = 2"}})

    assert '<a href="?file=a.py">as it is now</a>' in seen(page, "code", version=was.pk)
    assert "as it is now" not in seen(page, "code")
