"""What a block may ask of the runs that it starts, and what is said of them on pages, in the API and when asked why."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from pipelines.models import Pipeline
from runs import asking, kinship, lifecycle, recovery
from runs.models import BlockRun, Origin, PipelineRun
from runs.reasons.why import why
from runs.retrying import marking, repeating
from runs.states import BlockStatus, RunStatus
from schedules.models import ScheduleType
from tests.factories import NOON, make_pipeline, make_run, make_schedule, make_worker
from tests.runs.outcomes import FAILED

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def parent() -> BlockRun:
    """A block at work that may start runs of `child`."""
    make_pipeline("child", [("only",)])
    return at_work(make_run())


def at_work(run: PipelineRun, uuid: str = "load") -> BlockRun:
    worker = make_worker(seen_at=NOON, lease_until=NOON + timedelta(hours=1))
    run.block_runs.filter(block_uuid=uuid).update(status=BlockStatus.RUNNING, worker=worker, started_at=NOON)
    return run.block_runs.get(block_uuid=uuid)


def ask(block_run: BlockRun, verb: str = "trigger_pipeline", **details: Any) -> Any:
    given: Mapping[str, Any] = {"pipeline_uuid": "child", "call": ":1", "waits": True}
    details = {**given, **details} if verb == "trigger_pipeline" else details
    return asking.reply_to(block_run, {"verb": verb, **details}, NOON)


def started(block_run: BlockRun, **details: Any) -> PipelineRun:
    return PipelineRun.objects.get(pk=ask(block_run, **details)["value"]["id"])


def message(reply: Any) -> str:
    return str(reply["error"]["message"])


# --- starting ---------------------------------------------------------------------------------------------------------


def test_a_run_knows_the_block_that_started_it_and_whose_variables_it_has(parent: BlockRun) -> None:
    run = started(parent, variables={"day": "2025-03-02"})

    assert (run.origin, run.parent_block_run, run.is_awaited) == (Origin.PIPELINE, parent, True)
    assert (run.variables, run.variable_origins) == ({"day": "2025-03-02"}, {"day": "run"})
    assert run.status == RunStatus.RUNNING


def test_the_same_call_of_a_block_that_is_begun_again_gives_the_same_run(parent: BlockRun) -> None:
    first = ask(parent)["value"]
    parent.attempt += 1
    BlockRun.objects.filter(pk=parent.pk).update(attempt=parent.attempt, losses=1)

    again = ask(parent)["value"]

    assert (first["is_new"], again["is_new"], again["id"]) == (True, False, first["id"])


@pytest.mark.parametrize("change", [{"call": ":2"}, {"retries": 1}, {"pokes": 1}, {"run_attempt": 2}])
def test_another_call_or_try_starts_another_run(parent: BlockRun, change: dict[str, Any]) -> None:
    first = started(parent)
    call = change.pop("call", ":1")
    if attempt := change.pop("run_attempt", None):
        PipelineRun.objects.filter(pk=parent.pipeline_run_id).update(attempt=attempt)
    parent.__dict__.update(change)

    assert started(parent, call=call).pk != first.pk


def test_a_block_that_was_stopped_meanwhile_starts_nothing(parent: BlockRun) -> None:
    lifecycle.cancel(parent.pipeline_run, moment=NOON, reason="enough")

    assert "stopped meanwhile" in message(ask(parent))
    assert PipelineRun.objects.count() == 1


def test_a_limit_that_says_skip_is_told_to_the_block(parent: BlockRun) -> None:
    limits = {"pipeline_run_limit_all_triggers": 1, "on_pipeline_run_limit_reached": "skip"}
    full = make_pipeline("full", [("only",)], concurrency_config=limits)
    make_run(full)

    assert "The limit was reached: 1 run of the pipeline at a time." in message(ask(parent, pipeline_uuid="full"))


@pytest.mark.parametrize("uuid", ["chld", "", None, "a" * 300, "\x00"])
def test_names_that_are_none_are_refused(parent: BlockRun, uuid: Any) -> None:
    assert "error" in ask(parent, pipeline_uuid=uuid)


def test_what_nobody_knows_is_refused_with_what_there_is(parent: BlockRun) -> None:
    assert "check_status, leave_run, trigger_pipeline, wait_for_run" in message(ask(parent, "make_coffee"))


def test_a_database_that_is_away_has_the_block_ask_again(parent: BlockRun) -> None:
    def refuse(*_: Any) -> Any:
        raise OperationalError("no route")

    closed: list[int] = []
    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(refuse):
        patch.setattr(asking.connections, "close_all", lambda: closed.append(1))

        assert ask(parent) == {"again": 1.0}
    assert closed == [1]


# --- chains ---------------------------------------------------------------------------------------------------------


def chain_of(uuid: str, length: int) -> BlockRun:
    """Runs of a pipeline that wait for each other; return the block of the last."""
    block_run: BlockRun | None = None
    for _ in range(length):
        awaited = block_run is not None
        run = make_run(make_or_find(uuid), parent_block_run=block_run, is_awaited=awaited)
        block_run = at_work(run, "only")
    assert block_run is not None
    return block_run


def make_or_find(uuid: str) -> Any:
    found = PipelineRun.objects.filter(pipeline__uuid=uuid).select_related("pipeline").first()
    return found.pipeline if found else make_pipeline(uuid, [("only",)])


def test_a_pipeline_may_wait_for_itself_where_nothing_keeps_it_from_starting() -> None:
    assert started(chain_of("child", 3)).status == RunStatus.RUNNING


def test_a_run_that_could_never_start_while_it_is_waited_for_is_refused() -> None:
    alone = make_pipeline("alone", [("only",)], concurrency_config={"pipeline_run_limit_all_triggers": 1})

    said = message(ask(at_work(make_run(alone), "only"), pipeline_uuid="alone"))

    assert said.startswith("alone → alone: a run of alone waits for this one already, which could never start.")
    assert PipelineRun.objects.count() == 1


def test_runs_do_not_wait_for_each_other_without_an_end() -> None:
    last = chain_of("child", kinship.DEEPEST)

    assert "20 runs would wait for each other in a row" in message(ask(last))
    assert "value" in ask(last, waits=False)


def test_the_family_of_a_run_is_all_that_its_blocks_started() -> None:
    last = chain_of("child", 3)
    first = PipelineRun.objects.order_by("pk")[0]

    assert kinship.family(first.pk) == [first.pk, first.pk + 1, last.pipeline_run_id]
    assert [run.pk for run in kinship.waiting_above(last)] == [first.pk + 2, first.pk + 1, first.pk]


# --- waiting and its end ----------------------------------------------------------------------------------------------


def test_to_wait_is_answered_when_the_run_is_finished(parent: BlockRun) -> None:
    run = started(parent)

    assert ask(parent, "wait_for_run", run_id=run.pk, seconds=5) == asking.Wait(run.pk, 5)
    assert ask(parent, "wait_for_run", run_id=run.pk, seconds=0)["value"]["status"] == "running"
    lifecycle.cancel(run, moment=NOON, reason="enough")
    assert ask(parent, "wait_for_run", run_id=run.pk, seconds=5)["value"]["reason"] == "enough"


@pytest.mark.parametrize("run_id", [0, -1, "1", None, 2**70])
def test_only_a_run_of_its_own_can_be_waited_for(parent: BlockRun, run_id: Any) -> None:
    assert "error" in ask(parent, "wait_for_run", run_id=run_id)
    assert "error" in ask(parent, "wait_for_run", run_id=parent.pipeline_run_id)


def test_a_block_that_fails_ends_what_it_waited_for_and_leaves_the_rest(parent: BlockRun) -> None:
    awaited, left = started(parent), started(parent, call=":2")
    ask(parent, "leave_run", run_id=left.pk)

    lifecycle.finish_block(parent, FAILED, moment=LATER)

    assert PipelineRun.objects.get(pk=awaited.pk).status == RunStatus.CANCELLED
    assert PipelineRun.objects.get(pk=left.pk).status == RunStatus.RUNNING


def test_a_block_that_loses_its_last_worker_ends_what_it_waited_for(parent: BlockRun) -> None:
    PipelineRun.objects.filter(pk=parent.pipeline_run_id).update(allow_blocks_to_fail=True)
    BlockRun.objects.filter(pk=parent.pk).update(losses=2, worker=None)
    child = started(parent)

    recovery.take_back_lost(LATER)

    child.refresh_from_db()
    assert (child.status, child.reason) == (RunStatus.CANCELLED, "the block that waited for it has ended")


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_a_block_that_is_marked_ends_what_it_waited_for(parent: BlockRun, outcome: str) -> None:
    PipelineRun.objects.filter(pk=parent.pipeline_run_id).update(allow_blocks_to_fail=True)
    awaited, other = started(parent), started(parent, call=":2", waits=False)

    marking.mark(parent, outcome, moment=LATER, by="Ada", reason="enough")

    awaited.refresh_from_db()
    other.refresh_from_db()
    assert (awaited.status, other.status) == (RunStatus.CANCELLED, RunStatus.RUNNING)


def test_the_end_of_a_run_reaches_all_that_wait_below_it() -> None:
    last = chain_of("child", 4)
    first = PipelineRun.objects.order_by("pk")[0]

    lifecycle.cancel(first, moment=LATER, reason="enough")

    assert set(PipelineRun.objects.values_list("status", flat=True)) == {RunStatus.CANCELLED}
    assert BlockRun.objects.get(pk=last.pk).status == BlockStatus.CANCELLED


def test_a_retried_parent_starts_anew(parent: BlockRun) -> None:
    first = started(parent)
    lifecycle.cancel(parent.pipeline_run, moment=LATER, reason="enough")
    repeating.retry(PipelineRun.objects.get(pk=parent.pipeline_run_id), moment=LATER)

    assert started(at_work(parent.pipeline_run)).pk != first.pk


# --- by a trigger -----------------------------------------------------------------------------------------------------


def test_a_run_takes_the_settings_of_the_trigger_that_is_named(parent: BlockRun) -> None:
    pipeline = Pipeline.objects.get(uuid="child")
    schedule = make_schedule(
        pipeline, name="nightly", schedule_type=ScheduleType.API, schedule_interval="", variables={"a": 1, "b": 1}
    )

    run = started(parent, schedule_name="nightly", variables={"b": 2})

    assert (run.trigger_id, run.variables) == (schedule.pk, {"a": 1, "b": 2})


def test_a_trigger_that_is_named_and_missing_is_made_once(parent: BlockRun, settings: Any, tmp_path: Any) -> None:
    settings.PROJECT_DIR = tmp_path
    (tmp_path / "metadata.yaml").touch()

    first, second = started(parent, schedule_name="new"), started(parent, schedule_name="new", call=":2")

    assert first.trigger_id == second.trigger_id
    assert (first.trigger_name, first.origin) == ("new", Origin.PIPELINE)


def test_a_trigger_that_cannot_be_made_is_told_by_its_name(parent: BlockRun, settings: Any, tmp_path: Any) -> None:
    settings.PROJECT_DIR = tmp_path
    (tmp_path / "metadata.yaml").touch()

    told = message(ask(parent, schedule_name="from code!"))

    assert told.startswith("No trigger 'from code!' can be made for child: Name: 1–100 letters")


def test_an_inactive_trigger_starts_nothing(parent: BlockRun) -> None:
    pipeline = Pipeline.objects.get(uuid="child")
    make_schedule(pipeline, name="off", schedule_type=ScheduleType.API, schedule_interval="", is_active=False)

    assert "'off' is inactive" in message(ask(parent, schedule_name="off"))


# --- told -------------------------------------------------------------------------------------------------------------


def test_why_a_parent_is_still_at_work_names_the_run_it_waits_for(parent: BlockRun) -> None:
    run = started(parent)

    (told,) = (check for check in why(parent.pipeline_run, NOON).checks if check.name == "block load")

    assert told.detail.endswith(f"It waits for run {run.pk} of child (running).")
    assert [link.label for link in told.blockers] == [f"run {run.pk}"]


def test_pages_link_parent_and_child_both_ways(page: Client, parent: BlockRun) -> None:
    run = started(parent)

    above = page.get(f"/runs/{parent.pipeline_run_id}/?block=load").content.decode()
    below = page.get(f"/runs/{run.pk}/").content.decode()

    assert f'<a href="/runs/{run.pk}/">#{run.pk}</a>' in above
    assert "waited for" in above
    assert f'<a href="/runs/{parent.pipeline_run_id}/?block=load">load of run {parent.pipeline_run_id}</a>' in below


def test_the_api_links_parent_and_child_both_ways(page: Client, parent: BlockRun) -> None:
    run = started(parent)

    below = page.get(f"/api/v1/pipeline_runs/{run.pk}/").json()
    above = page.get(f"/api/v1/block_runs/{parent.pk}/").json()

    assert (below["parent_block_run_id"], below["parent_pipeline_run_id"]) == (parent.pk, parent.pipeline_run_id)
    assert [child["id"] for child in above["children"]] == [run.pk]
