"""A streaming pipeline as a run has it: one block run, planned and shown."""

from typing import Any

import pytest
from django.test import Client

from pipelines.refusal import Refusal
from runs import lifecycle, streams
from runs.models import BlockRun, Origin, PipelineRun
from runs.states import BlockStatus
from runs.working import jobs
from tests.factories import NOON, make_client, make_pipeline, make_run, make_user, text_of

pytestmark = pytest.mark.django_db
BLOCKS = [("read",), ("change", "read"), ("write", "change")]


@pytest.fixture
def run() -> PipelineRun:
    pipeline = make_pipeline("feed", blocks=BLOCKS)
    pipeline.type = "streaming"
    pipeline.save()
    version = pipeline.current_version
    assert version is not None
    for entry, kind in zip(version.graph["blocks"], ["data_loader", "transformer", "data_exporter"], strict=True):
        entry["type"] = kind
    version.save()
    return lifecycle.create_run(pipeline, moment=NOON, origin=Origin.MANUAL)


def test_a_run_of_a_stream_is_one_block_run_which_is_that_of_its_source(run: PipelineRun) -> None:
    row = run.block_runs.get()

    assert (row.block_uuid, row.status, row.upstream, row.downstream) == ("read", BlockStatus.QUEUED, [], [])
    assert [entry["uuid"] for entry in row.config["stream"]] == ["read", "change", "write"]


def test_its_job_has_all_blocks_with_their_code_and_time_to_end_its_batch(run: PipelineRun) -> None:
    work = jobs.work_for(run.block_runs.get(), jobs.runs().get(pk=run.pk))

    assert work.entrypoint == "pipelines.runtime:run_stream"
    assert [entry["uuid"] for entry in work.job["stream"]] == ["read", "change", "write"]
    assert all("code" in entry for entry in work.job["stream"])
    assert "stream" not in work.job["block"]
    assert (work.session, work.hand_back_grace) == (None, 4.0)


def test_one_block_of_a_stream_cannot_be_run_alone(run: PipelineRun) -> None:
    with pytest.raises(Refusal, match="runs only as a whole"):
        lifecycle.create_run(run.pipeline, moment=NOON, origin=Origin.MANUAL, only_block="change")


def test_a_stream_without_a_source_gets_a_block_run_that_says_so_when_it_runs() -> None:
    entry: dict[str, Any] = {"uuid": "write", "type": "data_exporter", "upstream": []}

    assert streams.as_one([entry])[0]["stream"] == [entry]
    assert streams.as_one([]) == []


FIGURES = {
    "messages": 1234,
    "bytes": 56_000,
    "batches": 17,
    "blocks": {"read": 0, "change": 1234, "write": 1233},
    "last_batch_at": "2025-03-02T11:59:00+00:00",
    "since": "2025-03-02T11:59:30+00:00",
    "handling": False,
}


@pytest.fixture
def page(client: Client) -> Client:
    client.force_login(make_user())
    return client


def test_the_page_shows_how_far_a_stream_is_and_its_state_at_all_of_its_blocks(run: PipelineRun, page: Client) -> None:
    run.block_runs.update(status=BlockStatus.RUNNING, metrics=FIGURES, heartbeat_at=NOON, started_at=NOON)

    answer = page.get(f"/runs/{run.pk}/")

    said = text_of(answer)
    assert "waits for messages since" in said
    assert "1,234" in said
    assert "<b>write</b> 1,233" in said
    assert set(answer.context["states"]) == {"read", "change", "write"}


def test_the_api_tells_the_heartbeat_and_the_figures(run: PipelineRun) -> None:
    run.block_runs.update(metrics=FIGURES, heartbeat_at=NOON)

    told = make_client().get(f"/api/v1/block_runs/{run.block_runs.get().pk}/").json()

    assert (told["heartbeat_at"], told["metrics"]["batches"]) == ("2025-03-02T12:00:00Z", 17)


@pytest.mark.parametrize("text", [None, "", "soon", "2025-03-02T12:00:00", 5])
def test_a_time_that_is_none_is_not_shown(text: Any) -> None:
    shown = streams.shown(BlockRun(metrics={**FIGURES, "since": text}))

    assert shown is not None
    assert shown["since"] is None


def test_a_block_that_is_no_stream_has_no_such_figures() -> None:
    run = make_run(make_pipeline("plain", blocks=[("only",)]))

    assert streams.shown(run.block_runs.get()) is None
