"""Callbacks where people and programs see them: on the page of their run, in the API, to who waits in a terminal."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from pipelines.graph import Block
from runs import lifecycle
from runs.following import Follower
from runs.lifecycle import create_run
from runs.management.commands.run import as_dict
from runs.models import BlockRun, Origin, PipelineRun
from runs.overview import progress
from runs.states import RunStatus
from tests.factories import make_client, make_pipeline, text_of
from tests.runs.outcomes import COMPLETED, claim, make_owner
from tests.runs.test_following import Hands, Recorder

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(now: datetime) -> PipelineRun:
    """A run that is completed; its callback is queued."""
    load = Block(uuid="load", name="load", callbacks=("tell",))
    tell = Block(uuid="tell", name="tell", type="callback", file="callbacks/tell.py")
    made = create_run(make_pipeline("called", [load, tell]), moment=now, origin=Origin.MANUAL)
    lifecycle.finish_block(claim(made, "load", make_owner(now), now), COMPLETED, moment=now)
    made.refresh_from_db()
    assert made.status == RunStatus.COMPLETED
    return made


def row_of(run: PipelineRun) -> BlockRun:
    return run.block_runs.get(block_uuid="tell@load")


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_of_a_run_lists_its_callbacks_apart_from_its_blocks(page: Client, run: PipelineRun) -> None:
    shown = page.get(f"/runs/{run.pk}/")

    assert [row.block_uuid for row in shown.context["shown"].rows] == ["load"]
    assert [row.block_uuid for row in shown.context["callbacks"]] == ["tell@load"]
    assert shown.context["tally"] == {"completed": 1}
    assert "success</td>" in text_of(shown)


def test_a_finished_run_stays_live_while_its_callbacks_go_on(page: Client, run: PipelineRun) -> None:
    shown = text_of(page.get(f"/runs/{run.pk}/"))

    assert "data-live" in shown
    assert f'data-socket="/ws/pages/?run={run.pk}"' in shown


def test_the_log_of_a_callback_is_on_the_page(page: Client, run: PipelineRun) -> None:
    shown = text_of(page.get(f"/runs/{run.pk}/?block=tell%40load"))

    assert f'data-log="{row_of(run).pk}"' in shown
    assert "Retry from here" not in shown


def test_a_run_without_callbacks_has_no_such_section(page: Client, now: datetime) -> None:
    plain = create_run(make_pipeline(), moment=now, origin=Origin.MANUAL)

    assert "Callbacks" not in text_of(page.get(f"/runs/{plain.pk}/"))


def test_a_callback_is_stopped_with_its_button_once(page: Client, run: PipelineRun) -> None:
    path = f"/runs/{run.pk}/callbacks/{row_of(run).pk}/stop/"
    assert path in text_of(page.get(f"/runs/{run.pk}/"))

    assert "tell is stopped." in text_of(page.post(path, follow=True))
    assert row_of(run).status == "cancelled"

    assert "is cancelled already" in text_of(page.post(path, follow=True))


def test_a_block_is_not_stopped_as_a_callback(page: Client, run: PipelineRun) -> None:
    block = run.block_runs.get(block_uuid="load")

    assert "is no callback" in text_of(page.post(f"/runs/{run.pk}/callbacks/{block.pk}/stop/", follow=True))
    assert page.post(f"/runs/{run.pk}/callbacks/{2**40}/stop/").status_code == 404


def test_the_progress_of_a_run_is_that_of_its_blocks(run: PipelineRun) -> None:
    assert progress([run]) == {run.pk: {"completed": 1}}


# --- the API --------------------------------------------------------------------------------------------------------


def test_block_runs_are_filtered_by_role(run: PipelineRun) -> None:
    client = make_client()

    def uuids(role: str) -> list[str]:
        rows = client.get(f"/api/v1/block_runs?pipeline_run_id={run.pk}&role={role}").json()["results"]
        return [row["block_uuid"] for row in rows]

    assert (uuids("block"), uuids("callback")) == (["load"], ["tell@load"])
    assert client.get("/api/v1/block_runs?role=nonsense").status_code == 400


def test_the_detail_of_a_run_has_its_callbacks_apart(run: PipelineRun) -> None:
    told = make_client().get(f"/api/v1/pipeline_runs/{run.pk}").json()

    assert [row["block_uuid"] for row in told["block_runs"]] == ["load"]
    (row,) = told["callbacks"]
    assert (row["block_uuid"], row["role"], row["parent_id"]) == ("tell@load", "callback", told["block_runs"][0]["id"])


def test_a_callback_is_stopped_over_http_and_a_block_is_not(run: PipelineRun) -> None:
    client, callback, block = make_client(), row_of(run), run.block_runs.get(block_uuid="load")

    answer = client.post(f"/api/v1/block_runs/{callback.pk}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert client.post(f"/api/v1/block_runs/{callback.pk}/cancel").status_code == 409

    refused = client.post(f"/api/v1/block_runs/{block.pk}/cancel")
    assert refused.status_code == 409
    assert f"Cancel its run, {run.pk}, instead." in refused.json()["hint"]


# --- who waits ------------------------------------------------------------------------------------------------------


def follower_of(run: PipelineRun, now: datetime) -> Follower:
    crew: Any = Hands()
    return Follower(run, Recorder(), crew, clock=lambda: now, stops=lambda: 0, user="ada")


def test_who_follows_a_run_waits_for_its_callbacks_too(run: PipelineRun, now: datetime) -> None:
    assert not follower_of(run, now).turn()

    lifecycle.finish_block(claim(run, "tell@load", make_owner(now), now), COMPLETED, moment=now)

    assert follower_of(run, now).turn()


def test_who_follows_a_run_waits_for_a_callback_no_longer_than_it_may_take(run: PipelineRun, now: datetime) -> None:
    run.block_runs.filter(block_uuid="tell@load").update(timeout=timedelta(seconds=30))

    assert not follower_of(run, now + timedelta(seconds=29)).turn()
    assert follower_of(run, now + timedelta(seconds=30)).turn()


def test_programs_find_callbacks_beside_the_blocks(run: PipelineRun, now: datetime) -> None:
    told = as_dict(run, follower_of(run, now).rows())

    assert [row["block"] for row in told["blocks"]] == ["load"]
    assert [(row["block"], row["status"]) for row in told["callbacks"]] == [("tell@load", "queued")]
