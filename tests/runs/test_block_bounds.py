"""The list of block runs in the API: what no index answers is looked for among the newest, which the answer says."""

from typing import Any

import pytest

from runs import block_bounds
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus
from tests.factories import make_client, make_pipeline, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[PipelineRun]:
    """Three runs of `etl` with three blocks each, then one of `rare`: few of them are looked at."""
    monkeypatch.setattr(block_bounds, "NEWEST_BLOCK_RUNS", 4)
    monkeypatch.setattr(block_bounds, "NEWEST_RUNS", 2)
    blocks = {"load": BlockStatus.COMPLETED, "clean": BlockStatus.FAILED}
    found = [make_run(blocks=blocks) for _ in range(3)]
    return [*found, make_run(make_pipeline("rare"), blocks=blocks)]


def ask(query: str) -> Any:
    return make_client().get(f"/api/v1/block_runs?{query}").json()


def names(answer: Any) -> list[tuple[int, str]]:
    return [(row["pipeline_run_id"], row["block_uuid"]) for row in answer["results"]]


def test_blocks_of_a_name_are_looked_for_among_the_newest_and_then_below(runs: list[PipelineRun]) -> None:
    newest = ask("block_uuid=load")
    since = BlockRun.objects.latest("id").pk - 3

    assert names(newest) == [(runs[3].pk, "load")]
    assert newest["among"] == {"newest": 4, "of": "block_runs", "since": since}
    assert names(ask(f"block_uuid=load&id__lt={since}")) == [(runs[2].pk, "load")]


def test_of_a_pipeline_its_newest_runs_are_looked_at_however_long_ago_they_were(runs: list[PipelineRun]) -> None:
    newest = ask("pipeline_uuid=etl&block_uuid=load")

    assert names(newest) == [(runs[2].pk, "load"), (runs[1].pk, "load")]
    assert newest["among"] == {"newest": 2, "of": "pipeline_runs", "since": runs[1].pk}
    older = ask(f"pipeline_uuid=etl&block_uuid=load&pipeline_run_id__lt={runs[1].pk}")
    assert names(older) == [(runs[0].pk, "load")]
    assert "among" not in older


@pytest.mark.parametrize(
    "query", ["status=initial", "started_at__gte=2020-01-01T00:00:00Z", "role=member", "passed_sla=true", "q=load"]
)
def test_what_no_index_answers_is_bounded(runs: list[PipelineRun], query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(query)["among"]["newest"] == 4


def test_what_an_index_answers_and_what_is_few_is_looked_for_everywhere(runs: list[PipelineRun]) -> None:
    assert len(names(ask("status=failed"))) == 4
    assert names(ask(f"pipeline_run_id={runs[0].pk}&block_uuid=load")) == [(runs[0].pk, "load")]
    assert len(names(ask("pipeline_uuid=etl"))) == 9


@pytest.mark.parametrize("query", ["block_uuid=load&id__lt=x", "pipeline_uuid=etl&q=a&pipeline_run_id__lt=-1"])
def test_nonsense_is_refused_by_name(runs: list[PipelineRun], query: str) -> None:
    assert ask(query)["code"] == "invalid_number"
