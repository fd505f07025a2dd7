"""The view of runs beside blocks."""

import re

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from orchestrator_site.pipeline_views import grid_page
from orchestrator_site.templatetags.grid import cells
from pipelines.graph import Block, build
from pipelines.models import Pipeline, PipelineVersion
from runs.drawing.grid import Cell, Column, Row, Run
from runs.states import BlockStatus, RunStatus
from tests.factories import make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db


def cell(**fields: object) -> str:
    """A row of one cell, as it is drawn."""
    given = {"run": 5, "block": "load", "status": "completed", **fields}
    drawn = Cell(**given)  # type: ignore[arg-type]
    column = Column(Run(5, "failed", None, 1), 0, 0, None)
    return str(cells(Row(drawn.block, "", [drawn]), [column]))


def test_each_run_is_a_column_and_each_block_a_row_with_links(page: Client) -> None:
    pipeline = make_pipeline()
    make_run(pipeline, status=RunStatus.COMPLETED, blocks={"load": BlockStatus.COMPLETED})
    run = make_run(pipeline, status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})

    answer = page.get("/pipelines/etl/grid/")
    text = text_of(answer)

    assert [row.block for row in answer.context["grid"].rows] == ["load", "clean", "save"]
    assert [column.run.status for column in answer.context["grid"].columns] == ["completed", "failed"]
    assert f'href="/runs/{run.pk}/?block=load" aria-label="failed" title="load in #{run.pk}: failed' in text


def test_another_version_is_marked_and_leads_to_what_changed(page: Client) -> None:
    pipeline = make_pipeline()
    make_run(pipeline)
    old, graph = pipeline.current_version_id, pipeline.current_version.graph if pipeline.current_version else {}
    new = PipelineVersion.objects.create(pipeline=pipeline, content_hash="new", graph=graph)
    pipeline.current_version = new
    make_run(pipeline)

    text = text_of(page.get("/pipelines/etl/grid/"))

    assert f"/pipelines/etl/versions/?from={old}&amp;to={new.pk}" in text
    assert text.count('class="cut"') == 4  # the head and three blocks


def test_only_as_many_runs_as_asked_for_the_newest_of_them(page: Client) -> None:
    pipeline = make_pipeline(blocks=[("only",)])
    runs = [make_run(pipeline) for _ in range(27)]

    columns = page.get("/pipelines/etl/grid/", {"runs": "25"}).context["grid"].columns

    assert [column.run.pk for column in columns] == [run.pk for run in runs[2:]]


@pytest.mark.parametrize("asked", ["7", "all", "-1", "<b>"])
def test_a_number_of_runs_that_is_not_offered_is_told(page: Client, asked: str) -> None:
    make_pipeline()

    answer = page.get("/pipelines/etl/grid/", {"runs": asked})

    assert answer.status_code == 200
    assert "is not known; one of 25, 50, 100 is." in text_of(answer)
    assert "<b>" not in re.findall(r'role="status">.*?</p>', text_of(answer), re.S)[0]


def test_a_cell_tells_what_it_stands_for() -> None:
    drawn = cell(status="failed", seconds=3.1, attempt=2, members=1200, why="2 of 1,200 failed")

    assert 'title="load in #5: failed, 3.10 s, attempt 2, 1,200 members, 2 of 1,200 failed"' in drawn
    assert 'class="g g-failed many again t-bad"' in drawn


def test_a_cell_of_a_hostile_block_stays_text_and_a_link() -> None:
    drawn = cell(block='"><script>&x', why="<b>")

    assert "<script" not in drawn
    assert "<b>" not in drawn
    assert "?block=%22%3E%3Cscript%3E%26x" in drawn


def test_the_more_blocks_the_fewer_runs_are_drawn(
    page: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(grid_page, "MOST_CELLS", 36)
    pipeline = make_pipeline()
    for _ in range(14):
        make_run(pipeline)

    with django_assert_max_num_queries(15):
        answer = page.get("/pipelines/etl/grid/", {"runs": "100"})

    assert len(answer.context["grid"].columns) == 12
    assert "with their last 12 runs" in text_of(answer)


def test_the_name_of_a_block_leads_to_it_unless_it_is_gone(page: Client) -> None:
    pipeline = make_pipeline()
    make_run(pipeline)
    graph = build([Block(uuid="load")]).as_dict()
    pipeline.current_version = PipelineVersion.objects.create(pipeline=pipeline, content_hash="new", graph=graph)
    pipeline.save()

    text = text_of(page.get("/pipelines/etl/grid/"))

    assert '<a href="/pipelines/etl/graph/#block-load" title="load">load</a>' in text
    assert '<span title="clean">clean</span> <span class="chip">gone</span>' in text


# --- many blocks ------------------------------------------------------------------------------------------------------


def rows(page: Client, query: str = "") -> list[str]:
    return [row.block for row in page.get(f"/pipelines/wide/grid/{query}").context["grid"].rows]


@pytest.fixture
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twelve blocks the last failed in both runs, the one before in one; four are shown unasked."""
    monkeypatch.setattr(grid_page, "ROOM", 4)
    pipeline = make_pipeline("wide", [(f"b{number:02}",) for number in range(12)])
    done = {f"b{number:02}": BlockStatus.COMPLETED for number in range(12)}
    make_run(pipeline, status=RunStatus.FAILED, blocks=done | {"b11": BlockStatus.FAILED, "b10": BlockStatus.FAILED})
    make_run(pipeline, status=RunStatus.FAILED, blocks=done | {"b11": BlockStatus.FAILED, "b05": BlockStatus.CANCELLED})


@pytest.mark.usefixtures("_wide")
def test_of_many_blocks_those_that_went_wrong_are_shown_and_what_is_left_out_is_said(page: Client) -> None:
    assert rows(page) == ["b00", "b05", "b10", "b11"]
    assert "4 of 12 blocks" in text_of(page.get("/pipelines/wide/grid/"))


@pytest.mark.usefixtures("_wide")
def test_all_blocks_are_a_link_away_in_parts(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_page, "PART", 5)
    text = text_of(page.get("/pipelines/wide/grid/?runs=50&blocks=all"))

    assert 'href="?runs=50&amp;blocks=all&amp;part=2"' in text
    assert rows(page, "?blocks=all") == ["b00", "b01", "b02", "b03", "b04"]
    assert rows(page, "?blocks=all&part=3") == rows(page, "?blocks=all&part=99") == ["b10", "b11"]
    assert 'href="?runs=100&amp;blocks=all"' in text, "the choice outlives another"


@pytest.mark.usefixtures("_wide")
def test_a_block_that_is_gone_and_failed_is_shown_as_gone(page: Client) -> None:
    pipeline = Pipeline.objects.get(uuid="wide")
    graph = build([Block(uuid=f"b{number:02}") for number in range(11)]).as_dict()
    pipeline.current_version = PipelineVersion.objects.create(pipeline=pipeline, content_hash="new", graph=graph)
    pipeline.save()

    found = page.get("/pipelines/wide/grid/").context["grid"].rows

    assert [(row.block, row.kind) for row in found][-1] == ("b11", "gone")


def test_few_blocks_are_all_shown_without_a_choice(page: Client) -> None:
    make_run(make_pipeline())

    assert "Which blocks" not in text_of(page.get("/pipelines/etl/grid/"))
