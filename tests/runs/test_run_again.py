"""Cancelled, failed and started again: whole stories through the API and the pages."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from pipelines.models import Pipeline, PipelineVersion
from runs import lifecycle, recovery
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from tests.factories import JSONClient, make_client, make_pipeline, text_of
from tests.runs.outcomes import COMPLETED, FAILED, NOT_YET, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(ada: object) -> JSONClient:
    return make_client()


def started(moment: datetime, **settings: Any) -> PipelineRun:
    """A run of load → clean → save."""
    pipeline = Pipeline.objects.first() or make_pipeline(**settings)
    return lifecycle.create_run(pipeline, moment=moment, origin=Origin.MANUAL)


def failed_at(block: str, moment: datetime, **settings: Any) -> PipelineRun:
    run = started(moment, **settings)
    drive(run, moment, lambda uuid: FAILED if uuid == block else COMPLETED)
    return run


def ask(api: JSONClient, run: PipelineRun, verb: str, **body: Any) -> Any:
    return api.post(f"/api/v1/pipeline_runs/{run.pk}/{verb}", body)


# --- cancelled and started again --------------------------------------------------------------------------------------


def test_what_was_done_before_a_cancel_is_not_done_again(api: JSONClient, now: datetime) -> None:
    run = started(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), COMPLETED, moment=now)

    assert ask(api, run, "cancel").status_code == 202
    assert statuses(run) == {"load": "completed", "clean": "cancelled", "save": "cancelled"}
    assert ask(api, run, "retry").status_code == 202

    assert drive(run, timezone.now()) == ["clean", "save"]
    assert run.status == RunStatus.COMPLETED


def test_a_block_that_waited_to_try_again_is_not_woken_after_a_cancel(api: JSONClient, now: datetime) -> None:
    run = failed_at("load", now, retry_config={"retries": 3, "delay": 60})
    assert statuses(run)["load"] == "waiting"

    ask(api, run, "cancel")
    recovery.due_timers(now + timedelta(hours=1))

    assert statuses(run)["load"] == "cancelled"


def test_started_again_a_block_has_all_its_retries_and_does_not_wait(api: JSONClient, now: datetime) -> None:
    run = failed_at("load", now, retry_config={"retries": 3, "delay": 60})
    ask(api, run, "cancel")

    ask(api, run, "retry")

    block = run.block_runs.get(block_uuid="load")
    assert (block.status, block.retries, block.next_attempt_at, block.error) == ("queued", 0, None, {})
    assert block.attempt == 3, "one was charged, one is the retry's"


def test_started_again_a_sensor_has_all_its_patience(api: JSONClient, now: datetime) -> None:
    run = started(now)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), NOT_YET, moment=now)
    ask(api, run, "cancel")

    ask(api, run, "retry")

    block = run.block_runs.get(block_uuid="load")
    assert (block.status, block.pokes, block.first_started_at) == ("queued", 0, None)


def test_a_run_that_waits_for_its_turn_can_be_cancelled_and_started_again(api: JSONClient, now: datetime) -> None:
    first = started(now, concurrency_config={"pipeline_run_limit": 1})
    second = started(now)
    assert second.status == RunStatus.INITIAL

    assert ask(api, second, "cancel").json()["status"] == "cancelled"
    refused = ask(api, second, "retry")
    drive(first, now)
    second.refresh_from_db()
    assert second.status == RunStatus.CANCELLED, "what was cancelled is not started when its turn comes"
    accepted = ask(api, second, "retry")

    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert accepted.status_code == 202
    assert drive(second, timezone.now()) == ["load", "clean", "save"]


# --- failed and started again -----------------------------------------------------------------------------------------


def test_only_the_first_of_two_retries_counts(api: JSONClient, now: datetime) -> None:
    run = failed_at("clean", now)

    answers = [ask(api, run, "retry").status_code for _ in range(2)]

    run.refresh_from_db()
    assert answers == [202, 409]
    assert run.attempt == 2
    assert run.block_runs.get(block_uuid="clean").attempt == 2


def test_a_whole_run_can_be_started_again(api: JSONClient, now: datetime) -> None:
    run = failed_at("save", now)

    ask(api, run, "retry", incomplete=False)

    assert drive(run, timezone.now()) == ["load", "clean", "save"]
    assert set(run.block_runs.values_list("attempt", flat=True)) == {2}


def test_a_retry_from_an_early_block_takes_the_failed_one_along(api: JSONClient, now: datetime) -> None:
    run = failed_at("save", now)

    ask(api, run, "retry", from_block="clean")

    assert drive(run, timezone.now()) == ["clean", "save"]
    assert run.block_runs.get(block_uuid="load").attempt == 1


def test_a_run_keeps_its_version_though_the_pipeline_changed(api: JSONClient, now: datetime) -> None:
    run = failed_at("clean", now)
    old = run.version
    pipeline = run.pipeline
    pipeline.current_version = PipelineVersion.objects.create(
        pipeline=pipeline, content_hash="other", graph={"blocks": []}, settings={}
    )
    pipeline.save(update_fields=["current_version"])

    ask(api, run, "retry")
    drive(run, timezone.now())

    run.refresh_from_db()
    assert (run.status, run.version) == (RunStatus.COMPLETED, old)


def test_a_run_of_a_pipeline_that_is_gone_can_still_be_cancelled(api: JSONClient, now: datetime) -> None:
    run = started(now)
    Pipeline.objects.update(is_present=False)

    assert ask(api, run, "cancel").status_code == 202


def test_the_clock_of_a_run_starts_again(api: JSONClient, now: datetime) -> None:
    pipeline = make_pipeline()
    settings = lifecycle.RunSettings(timeout=timedelta(minutes=10))
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL, settings=settings)
    recovery.sweep(now + timedelta(minutes=11))
    run.refresh_from_db()
    assert (run.status, run.deadline_at) == (RunStatus.FAILED, None)

    before = timezone.now()
    ask(api, run, "retry")

    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert run.deadline_at is not None
    assert run.deadline_at >= before + timedelta(minutes=10)


# --- on the pages -----------------------------------------------------------------------------------------------------


def test_the_page_tells_the_whole_story(page: Client, now: datetime) -> None:
    run = failed_at("clean", now)

    page.post(f"/runs/{run.pk}/retry/")
    page.post(f"/runs/{run.pk}/cancel/")
    text = text_of(page.get(f"/runs/{run.pk}/"))

    assert list(run.events.order_by("id").values_list("kind", flat=True))[-2:] == ["retried", "cancelled"]
    assert "cancelled by ada" in text
    assert "by ada" in text


def test_a_retry_that_has_no_room_says_so_on_the_page(page: Client, now: datetime) -> None:
    run = failed_at("load", now, concurrency_config={"pipeline_run_limit": 1})
    started(now)

    answer = page.post(f"/runs/{run.pk}/retry/", follow=True)

    assert "1 run of each trigger at a time" in text_of(answer)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
