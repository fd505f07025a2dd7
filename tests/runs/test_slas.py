"""Service levels of blocks and runs: one event for each that is late, whoever sees it first."""

from datetime import datetime, timedelta

import pytest

from pipelines.graph import Block
from pipelines.models import Pipeline
from runs import lifecycle, slas
from runs.models import BlockRun, Event, Origin, PipelineRun
from runs.planning import RunSettings
from runs.recovery import due_timers
from tests.factories import NOON, make_client, make_pipeline
from tests.runs.outcomes import COMPLETED, drive, make_owner

pytestmark = pytest.mark.django_db


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def pipeline(**first: object) -> Pipeline:
    load = Block(uuid="load", name="load", sla=60)
    return make_pipeline("etl", [load, Block(uuid="save", name="save", upstream=("load",))], **first)


def start(sla: int | None = None, **fields: object) -> PipelineRun:
    settings = RunSettings(sla=timedelta(seconds=sla) if sla else None)
    given = {"moment": NOON, "origin": Origin.MANUAL, "settings": settings, **fields}
    return lifecycle.create_run(pipeline(), **given)  # type: ignore[arg-type]


def said() -> list[str]:
    return list(Event.objects.filter(kind="sla_passed").order_by("id").values_list("message", flat=True))


def test_a_block_that_is_not_finished_in_time_is_told_of_once() -> None:
    start()
    assert due_timers(after(59)) == after(60)
    assert said() == []
    due_timers(after(60))
    due_timers(after(70))
    assert said() == ["block load is not finished; it should have been by 2025-03-02 12:01:00 UTC"]
    assert BlockRun.objects.get(block_uuid="load").passed_sla


def test_a_block_that_completes_in_time_is_not() -> None:
    drive(start(), after(60))
    due_timers(after(100))
    assert said() == []


def test_a_block_that_ends_late_before_anybody_looks_is_told_of_as_it_ends() -> None:
    run, worker = start(), make_owner(NOON)
    block_run = lifecycle.claim_next(worker, NOON, run=run)
    assert block_run is not None
    lifecycle.finish_block(block_run, COMPLETED, moment=after(61))
    due_timers(after(62))
    assert said() == ["block load has completed late; it should have been by 2025-03-02 12:01:00 UTC"]


def test_a_run_is_late_by_the_moment_that_it_stands_for() -> None:
    run = start(sla=600, origin=Origin.SCHEDULE, execution_date=after(-590))
    assert run.sla_at == after(10)
    due_timers(after(10))
    assert said() == ["the run is not finished; it should have been by 2025-03-02 12:00:10 UTC"]
    run.refresh_from_db()
    assert run.passed_sla


def test_what_is_started_for_an_older_moment_has_its_time_from_its_start() -> None:
    assert start(sla=600, execution_date=after(-86400)).sla_at == after(600)


def test_a_run_that_is_cancelled_or_completed_late_is_told_of_as_it_ends() -> None:
    run = start(sla=30)
    lifecycle.cancel(run, moment=after(31), reason="enough")
    assert said() == ["the run has cancelled late; it should have been by 2025-03-02 12:00:30 UTC"]


def test_a_run_that_has_to_wait_counts_its_blocks_time_from_its_start() -> None:
    first = lifecycle.create_run(
        pipeline(concurrency_config={"pipeline_run_limit": 1}), moment=NOON, origin=Origin.MANUAL
    )
    waiting = lifecycle.create_run(first.pipeline, moment=NOON, origin=Origin.MANUAL)
    load = waiting.block_runs.get(block_uuid="load")
    assert load.sla_at is None
    drive(first, after(10))
    lifecycle.start_held(first.pipeline_id, after(10))
    load.refresh_from_db()
    assert load.sla_at == after(70)


def test_what_passes_next_is_known() -> None:
    start(sla=30)
    assert slas.note_passed(NOON) == after(30)
    assert slas.note_passed(after(45)) == after(60)
    assert slas.note_passed(after(61)) is None


def test_the_api_tells_what_is_late_and_finds_it() -> None:
    run = start(sla=600)
    due_timers(after(60))
    api = make_client()

    late = api.get("/api/v1/block_runs?passed_sla=true").json()["results"]

    assert [(row["block_uuid"], row["sla_at"]) for row in late] == [("load", "2025-03-02T12:01:00Z")]
    told = api.get(f"/api/v1/pipeline_runs/{run.pk}").json()
    assert (told["sla_at"], told["passed_sla"]) == ("2025-03-02T12:10:00Z", False)
    assert api.get("/api/v1/pipeline_runs?passed_sla=true").json()["results"] == []
