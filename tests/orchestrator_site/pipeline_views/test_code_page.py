"""The view of a pipeline's code."""

from typing import Any

import pytest
from django.test import Client

from pipelines.graph import Block
from pipelines.models import Pipeline, PipelineVersion
from tests.factories import make_pipeline, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


CODE = "@data_loader\ndef load(*args):\n    return '<b>' # \u202e\n"


@pytest.fixture
def coded(db: None) -> Pipeline:
    block = Block(uuid="load", name="load", type="data_loader", file="data_loaders/load.py")
    pipeline = make_pipeline(blocks=[block])
    version = pipeline.current_version
    assert version is not None
    kept = {"data_loaders/load.py": CODE, "pipelines/etl/metadata.yaml": "name: etl\n"}
    version.files = {path: {"sha256": "0", "text": text} for path, text in kept.items()}
    version.save()
    return pipeline


def show(page: Client, **query: str) -> Any:
    return page.get("/pipelines/etl/code/", query)


def test_the_code_of_the_first_block_comes_first(page: Client, coded: Pipeline) -> None:
    answer = show(page)

    assert [(each.path, list(each.blocks)) for each in answer.context["files"]] == [
        ("data_loaders/load.py", ["load"]),
        ("pipelines/etl/metadata.yaml", []),
    ]
    assert answer.context["chosen"].path == "data_loaders/load.py"


def test_every_line_can_be_linked_to(page: Client, coded: Pipeline) -> None:
    text = text_of(show(page))

    assert '<tr id="L2"><td class="no"><a href="#L2" aria-label="Line 2">2</a>' in text
    assert "L4" not in text


def test_code_is_colored_by_classes_and_stays_text(page: Client, coded: Pipeline) -> None:
    text = text_of(show(page))

    assert '<span class="tok-k">return</span>' in text
    assert "&lt;b&gt;" in text
    assert " style=" not in text


@pytest.mark.parametrize("query", [{"file": "pipelines/etl/metadata.yaml"}, {"block": "load"}])
def test_a_file_is_chosen_by_its_path_or_by_a_block(page: Client, coded: Pipeline, query: dict[str, str]) -> None:
    answer = show(page, **query)

    assert answer.context["chosen"].path == query.get("file", "data_loaders/load.py")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"file": "../../etc/passwd"}, "does not have the file"),
        ({"block": "nope"}, "does not have a file of a block"),
        ({"version": "99"}, "has no version"),
        ({"version": "²"}, "has no version"),
        ({"version": "9" * 30}, "has no version"),
    ],
)
def test_what_is_not_there_is_named(page: Client, coded: Pipeline, query: dict[str, str], words: str) -> None:
    answer = show(page, **query)

    assert answer.status_code == 404
    assert words in text_of(answer)


def test_an_older_version_shows_the_code_it_had(page: Client, coded: Pipeline) -> None:
    files = {"data_loaders/load.py": {"sha256": "1", "text": "old = 1\n"}}
    graph = coded.current_version.graph if coded.current_version else {}
    older = PipelineVersion.objects.create(pipeline=coded, content_hash="older", graph=graph, files=files)

    text = text_of(show(page, version=str(older.pk)))

    assert "not the current one" in text
    assert '<span class="tok-n">old</span>' in text


def test_a_version_of_another_pipeline_is_not_shown(page: Client, coded: Pipeline) -> None:
    other = make_pipeline("other").current_version_id

    assert show(page, version=str(other)).status_code == 404


def test_a_text_that_is_not_kept_is_said_to_be_so(page: Client, coded: Pipeline) -> None:
    PipelineVersion.objects.update(files={"data_loaders/load.py": {"sha256": "0", "text": None}})

    assert "Its text is not kept" in text_of(show(page))
