"""The pages on which people let a run go on."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs import lifecycle
from runs.models import BlockRun, Origin, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import make_pipeline, make_run, text_of
from tests.runs.outcomes import COMPLETED, FAILED, drive, statuses
from tests.runs.versions import coded, give_version

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
BLOCKS = [coded("load"), coded("clean", "load")]


@pytest.fixture
def run(page: Client, now: datetime) -> PipelineRun:
    """A run that failed at its second block, of a pipeline whose first has changed since."""
    pipeline = make_pipeline()
    give_version(pipeline, BLOCKS, load="x = 1", clean="y = 1")
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)
    drive(run, now, lambda uuid: FAILED if uuid == "clean" else COMPLETED)
    give_version(pipeline, BLOCKS, load=f"x = '{HOSTILE}'", clean="y = 1")
    return run


def plan(page: Client, run: PipelineRun, query: str = "") -> str:
    return text_of(page.get(f"/runs/{run.pk}/retry/{query}", headers={"HX-Target": "retry-plan"}))


# --- retry --------------------------------------------------------------------------------------------------------


def test_the_dialog_offers_every_block_to_begin_from(page: Client, run: PipelineRun) -> None:
    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert 'data-opens="retry"' in text
    assert "<option>load</option>" in text


def test_the_plan_says_what_runs_again_and_what_stays(page: Client, run: PipelineRun) -> None:
    text = plan(page, run)

    assert "1 block runs again, 1 stays as it is" in text
    assert "it failed" in text
    assert "<html" not in text


def test_the_plan_shows_what_differs_line_by_line_and_as_text(page: Client, run: PipelineRun) -> None:
    text = plan(page, run, "?version=current")

    assert '<span class="minus">-x = 1' in text
    assert '<span class="plus">+x = ' in text
    assert HOSTILE not in text
    assert "it has changed" in text


def test_the_page_is_there_without_scripts_too(page: Client, run: PipelineRun) -> None:
    text = text_of(page.get(f"/runs/{run.pk}/retry/?from_block=load"))

    assert "it was asked for" in text
    assert "<option selected>load</option>" in text


@pytest.mark.parametrize("query", ["?what=nonsense&version=none", "?from_block=%00", "?what=from"])
def test_what_is_not_understood_is_what_is_usual_or_refused(page: Client, run: PipelineRun, query: str) -> None:
    assert page.get(f"/runs/{run.pk}/retry/{query}").status_code == 200


def test_a_run_that_goes_on_has_no_plan(page: Client) -> None:
    assert "only a finished run is retried" in plan(page, make_run())


def test_a_plan_without_room_says_so(page: Client, now: datetime) -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit": 1})
    failed = make_run(pipeline, status=RunStatus.FAILED, blocks={"load": BlockStatus.FAILED})
    make_run(pipeline)

    assert "It cannot start now: The limit was reached" in plan(page, failed)


def test_outputs_that_were_removed_are_warned_of(page: Client, run: PipelineRun) -> None:
    PipelineRun.objects.update(outputs_removed_at=timezone.now())

    assert "outputs of this run were removed" in plan(page, run)
    assert "outputs of this run were removed" not in plan(page, run, "?what=whole")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"what": "incomplete", "from_block": "load"}, {"load": "completed", "clean": "queued"}),
        ({"what": "whole", "from_block": "load"}, {"load": "queued", "clean": "initial"}),
        ({"what": "from", "from_block": "load"}, {"load": "queued", "clean": "initial"}),
        ({"what": "incomplete", "version": "current"}, {"load": "queued", "clean": "initial"}),
    ],
)
def test_a_retry_does_what_was_chosen(
    page: Client, run: PipelineRun, sent: dict[str, str], expected: dict[str, str]
) -> None:
    page.post(f"/runs/{run.pk}/retry/", sent)

    assert statuses(run) == expected


# --- mark ---------------------------------------------------------------------------------------------------------


def block(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def mark(page: Client, row: BlockRun, **sent: Any) -> Any:
    return page.post(f"/runs/{row.pipeline_run_id}/blocks/{row.pk}/mark/", sent)


def test_a_block_is_marked_with_a_reason(page: Client, run: PipelineRun) -> None:
    answer = mark(page, block(run, "clean"), status="completed", reason="done by hand")

    text = text_of(page.get(f"/runs/{run.pk}/"))
    assert answer.status_code == 302
    assert "marked completed by ada: done by hand" in text


def test_a_mark_without_a_reason_is_asked_for_again(page: Client, run: PipelineRun) -> None:
    answer = mark(page, block(run, "clean"), status="completed", reason=" ")

    assert answer.status_code == 422
    assert "A mark needs a reason" in text_of(answer)
    assert statuses(run)["clean"] == "failed"


def test_the_form_offers_only_what_changes_something(page: Client, run: PipelineRun) -> None:
    text = text_of(page.get(f"/runs/{run.pk}/blocks/{block(run, 'clean').pk}/mark/"))

    assert 'value="completed"' in text
    assert 'value="failed"' not in text
    assert "it is opened again" in text


def test_a_block_of_another_run_is_not_found(page: Client, run: PipelineRun) -> None:
    assert page.get(f"/runs/{run.pk + 1}/blocks/{block(run, 'clean').pk}/mark/").status_code == 404
    other = make_run()
    assert page.get(f"/runs/{other.pk}/blocks/{block(run, 'clean').pk}/mark/").status_code == 404


def test_a_block_that_was_marked_shows_the_log_of_the_attempt_that_wrote_one(
    page: Client, run: PipelineRun, settings: Any, tmp_path: Any
) -> None:
    from runs import logs

    settings.LOGS_URL = str(tmp_path)
    row = block(run, "clean")
    path = logs.path(run.pk, row.pk, 1)
    path.parent.mkdir(parents=True)
    path.write_text("")
    mark(page, row, status="completed", reason="so")

    assert page.get(f"/runs/{run.pk}/?block=clean").context["log"]["attempt"] == 1


# --- keep ---------------------------------------------------------------------------------------------------------


def test_a_run_is_kept_and_left(page: Client, run: PipelineRun) -> None:
    page.post(f"/runs/{run.pk}/keep/", {"keep": "yes"})
    run.refresh_from_db()
    assert run.is_kept
    assert ">Kept</button>" in text_of(page.get(f"/runs/{run.pk}/"))

    page.post(f"/runs/{run.pk}/keep/", {"keep": "no"})
    run.refresh_from_db()
    assert not run.is_kept


def test_the_page_says_that_a_variable_is_from_the_schedule(page: Client) -> None:
    run = make_run(variables={"city": "Köln"}, variable_origins={"city": "trigger"})

    assert '<span class="chip">schedule</span>' in text_of(page.get(f"/runs/{run.pk}/"))
