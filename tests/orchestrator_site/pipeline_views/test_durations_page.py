"""The view of how long a pipeline takes."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from orchestrator_site.pipeline_views import durations_page
from orchestrator_site.templatetags.history import trend
from pipelines.models import Pipeline
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db


def ran(pipeline: Pipeline, *seconds: float, status: RunStatus = RunStatus.COMPLETED) -> list[PipelineRun]:
    return [
        make_run(pipeline, status=status, completed_at=NOON + timedelta(seconds=each), blocks={"load": DONE})
        for each in seconds
    ]


DONE = BlockStatus.COMPLETED


def show(client: Client, **query: str) -> Any:
    return client.get("/pipelines/etl/durations/", query)


def test_each_run_is_a_dot_that_leads_to_it_and_a_row_of_the_table(page: Client) -> None:
    pipeline = make_pipeline()
    (good,) = ran(pipeline, 60)
    (bad,) = ran(pipeline, 90, status=RunStatus.FAILED)

    text = text_of(show(page))

    assert f'<a href="/runs/{good.pk}/" class="t-good"><title>run #{good.pk}: completed, 1 min 00 s' in text
    assert f'<a href="/runs/{bad.pk}/" class="t-bad"><title>run #{bad.pk}: failed, 1 min 30 s' in text
    assert 'data-n="60.000"' in text
    assert f'data-n="{NOON.timestamp():.0f}"' in text


def test_the_chart_that_zooms_reads_the_table_by_its_name(page: Client) -> None:
    ran(make_pipeline(), 60)

    text = text_of(show(page))

    assert 'data-chart="timed"' in text
    assert '<table class="rows" id="timed">' in text
    assert "js/chart.js" in text
    assert "uPlot" not in text_of(page.get("/pipelines/etl/"))


def test_a_number_of_runs_that_is_not_offered_is_told(page: Client) -> None:
    make_pipeline()

    assert "runs=5 is not known; one of 100, 300, 1000 is." in text_of(show(page, runs="5"))


def test_blocks_are_shown_page_by_page(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations_page, "BLOCKS", 2)
    ran(make_pipeline(), 60)

    first, second = show(page), show(page, page="2")

    assert [each.block_uuid for each in first.context["history"]] == ["load", "clean"]
    assert [each.block_uuid for each in second.context["history"]] == ["save"]
    assert "?runs=100&amp;page=2#history" in text_of(first)
    assert "further blocks" not in text_of(second)


@pytest.mark.parametrize("page_number", ["0", "x", "99", "9" * 30])
def test_a_page_that_is_not_there_is_the_nearest(page: Client, page_number: str) -> None:
    ran(make_pipeline(), 60)

    assert show(page, page=page_number).context["page"] == 1


def test_a_block_that_takes_longer_than_it_did_says_so(page: Client) -> None:
    pipeline = make_pipeline()
    for run, seconds in zip(ran(pipeline, *range(100, 120)), [10] * 10 + [20] * 10, strict=True):
        until = NOON + timedelta(seconds=seconds)
        BlockRun.objects.filter(pipeline_run=run, block_uuid="load").update(started_at=NOON, completed_at=until)

    assert "▲ 100% longer" in text_of(show(page))


def test_a_trend_is_told_by_arrow_and_word() -> None:
    assert "▼ 20% shorter" in trend(-0.2)
    assert trend(None) == ""


def test_a_pipeline_that_never_ran_says_what_will_be_here(page: Client) -> None:
    make_pipeline()

    assert "No run of it has ended yet." in text_of(show(page))
