"""The view of a pipeline's versions."""

from typing import Any

import pytest
from django.test import Client

from orchestrator_site.pipeline_views import versions_page
from pipelines.graph import Block, build
from pipelines.models import Pipeline, PipelineVersion
from runs.states import RunStatus
from tests.factories import make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db

PATH = "data_loaders/load.py"
HOSTILE = "<script>alert(1)</script>"


def change(pipeline: Pipeline, code: str, variables: dict[str, Any] | None = None, *more: str) -> PipelineVersion:
    """Give the pipeline a version with this code, and further blocks."""
    blocks = [Block(uuid="load", type="data_loader", file=PATH), *(Block(uuid=name) for name in more)]
    files = {PATH: {"sha256": code, "text": code}, "pipelines/etl/metadata.yaml": {"sha256": code, "text": code}}
    pipeline.current_version = PipelineVersion.objects.create(
        pipeline=pipeline,
        content_hash=f"{abs(hash((code, str(variables), more)))}",
        graph=build(blocks).as_dict(),
        settings={"variables": variables or {}, "retry_config": {"retries": len(code)}},
        files=files,
    )
    pipeline.save()
    return pipeline.current_version


@pytest.fixture
def changed(db: None) -> Pipeline:
    """A pipeline with two versions: of the second, one block is new and the code of another differs."""
    pipeline = Pipeline.objects.create(uuid="etl", name="etl")
    change(pipeline, "x = 1\ny = 2\n", {"day": 1})
    make_run(pipeline, status=RunStatus.COMPLETED)
    change(pipeline, "x = 1\ny = 33\n", {"day": 2}, "check")
    make_run(pipeline, status=RunStatus.FAILED)
    make_run(pipeline, status=RunStatus.FAILED)
    return pipeline


def show(page: Client, **query: Any) -> Any:
    return page.get("/pipelines/etl/versions/", query)


def test_versions_are_listed_with_how_many_runs_they_had(page: Client, changed: Pipeline) -> None:
    rows = show(page).context["rows"]

    assert [row.runs_count for row in rows] == [2, 1]
    assert rows[0].pk == changed.current_version_id


def test_many_runs_are_not_counted_to_the_end(page: Client, changed: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_page, "MOST_COUNTED", 1)

    assert "over 1<" in text_of(show(page))


def test_the_newest_two_are_compared_at_first(page: Client, changed: Pipeline) -> None:
    answer = show(page)
    text = text_of(answer)

    assert answer.context["new"].pk == changed.current_version_id
    assert [each["of"].block for each in answer.context["blocks"]] == ["load", "check"]
    assert ("variables.day", 1, 2) in [tuple(each) for each in answer.context["settings"]]
    assert '<span class="plus">+y = 33' in text
    assert "pipelines/etl/metadata.yaml" in text


def test_any_two_can_be_compared_also_backwards(page: Client, changed: Pipeline) -> None:
    older, newer = sorted(PipelineVersion.objects.values_list("pk", flat=True))

    blocks = show(page, **{"from": newer, "to": older}).context["blocks"]

    assert [(each["of"].block, each["of"].kind) for each in blocks] == [("load", "changed"), ("check", "removed")]


def test_side_by_side_shows_both_texts_with_their_lines(page: Client, changed: Pipeline) -> None:
    text = text_of(show(page, **{"as": "side"}))

    assert '<td class="no">2</td><td class="was"><code>y = 2</code>' in text
    assert '<td class="no">2</td><td class="now"><code>y = 33</code>' in text


def test_what_changed_before_it_broke_is_said(page: Client, changed: Pipeline) -> None:
    text = text_of(show(page))

    assert "What changed before it broke" in text
    assert "The pipeline changed in between" in text
    assert "and 1 since" in text


def test_a_break_without_a_change_says_so(page: Client, changed: Pipeline) -> None:
    make_run(changed, status=RunStatus.COMPLETED)
    make_run(changed, status=RunStatus.FAILED)

    assert "Both are of the same version" in text_of(show(page))


def test_a_version_compared_with_itself_differs_in_nothing(page: Client, changed: Pipeline) -> None:
    number = changed.current_version_id

    assert "one and the same version" in text_of(show(page, **{"from": number, "to": number}))


@pytest.mark.parametrize("query", [{"from": "99", "to": "1"}, {"from": "x"}, {"to": "9" * 40}])
def test_a_version_that_is_not_there_is_named(page: Client, changed: Pipeline, query: dict[str, str]) -> None:
    answer = show(page, **query)

    assert answer.status_code == 404
    assert "has no version" in text_of(answer)


def test_an_unknown_layout_is_told(page: Client, changed: Pipeline) -> None:
    assert "as=upside is not known; one of unified, side is." in text_of(show(page, **{"as": "upside"}))


def test_older_versions_are_on_further_pages(page: Client, changed: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_page, "PAGE", 1)

    first = show(page).context
    second = show(page, before=first["older"]).context

    assert len(first["rows"]) == len(second["rows"]) == 1
    assert first["rows"][0].pk > second["rows"][0].pk
    assert second["older"] is None


@pytest.mark.parametrize("layout", ["unified", "side"])
def test_hostile_code_and_settings_stay_text(page: Client, changed: Pipeline, layout: str) -> None:
    change(changed, f"x = '{HOSTILE}'", {HOSTILE: HOSTILE})

    assert "<script>alert" not in text_of(show(page, **{"as": layout}))


def test_a_pipeline_of_one_version_has_nothing_to_compare(page: Client) -> None:
    make_pipeline()

    assert show(page).context["old"] is None
