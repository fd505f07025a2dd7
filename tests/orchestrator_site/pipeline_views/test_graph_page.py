"""The view of a pipeline's graph."""

import pytest
from django.test import Client

from runs.states import BlockStatus, RunStatus
from tests.factories import make_pipeline, make_run, text_of

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def test_the_graph_shows_how_each_block_did_in_the_last_run(page: Client) -> None:
    pipeline = make_pipeline()
    make_run(pipeline, status=RunStatus.COMPLETED, blocks={"load": BlockStatus.COMPLETED})
    run = make_run(pipeline, status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})

    answer = page.get("/pipelines/etl/graph/")
    text = text_of(answer)

    assert [node.uuid for node in answer.context["drawing"].nodes] == ["load", "clean", "save"]
    assert answer.context["states"]["load"] == "failed"
    assert f'href="/runs/{run.pk}/?block=load"' in text
    assert 'id="block-clean"' in text


def test_the_graph_of_a_pipeline_that_never_ran_has_no_states(page: Client) -> None:
    make_pipeline()

    answer = page.get("/pipelines/etl/graph/")

    assert answer.context["states"] == {}
    assert "states of the last run" not in text_of(answer)
