"""A run from its creation to its end, on the real database."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from executors.base import Failure, Outcome, Verdict
from pipelines.graph import Block
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import lifecycle
from runs.lifecycle import create_run
from runs.models import BlockRun, Origin, PipelineRun
from runs.planning import RunSettings
from runs.readiness import Node, settle
from runs.retrying import repeating
from runs.states import BLOCK_FINISHED, RunStatus
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, NOT_YET, REFUSED, claim, drive, make_owner, statuses

pytestmark = pytest.mark.django_db

DIAMOND = (("top",), ("left", "top"), ("right", "top"), ("bottom", "left", "right"))


def start(pipeline: Pipeline, moment: datetime, **fields: Any) -> PipelineRun:
    return create_run(pipeline, moment=moment, origin=Origin.MANUAL, **fields)


def block(uuid: str, *upstream: str, **fields: Any) -> Block:
    return Block(uuid=uuid, name=uuid, type="transformer", upstream=upstream, **fields)


# --- creating ---------------------------------------------------------------------------------------------------------


def test_a_new_run_runs_and_its_roots_are_queued(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND), now)

    assert (run.status, run.started_at, run.execution_date) == (RunStatus.RUNNING, now, now)
    assert statuses(run) == {"top": "queued", "left": "initial", "right": "initial", "bottom": "initial"}
    assert dict(run.block_runs.values_list("block_uuid", "pending")) == {"top": 0, "left": 1, "right": 1, "bottom": 2}


def test_variables_are_merged_and_know_where_they_came_from(now: datetime) -> None:
    pipeline = make_pipeline(variables={"a": 1, "b": 1, "c": 1})
    settings = RunSettings(variables={"b": 2, "c": 2})

    run = start(pipeline, now, settings=settings, variables={"c": 3}, event={"a": 9, "e": 9})

    assert run.variables == {"a": 1, "b": 2, "c": 3, "e": 9}
    assert run.variable_origins == {"a": "pipeline", "b": "trigger", "c": "run", "e": "event"}


def test_a_run_carries_the_settings_of_its_trigger(now: datetime) -> None:
    settings = RunSettings(
        trigger_id=7, trigger_name="daily", timeout=timedelta(minutes=5), timeout_status="cancelled", priority=3
    )

    run = start(make_pipeline(), now, settings=settings)
    run.refresh_from_db()

    assert (run.trigger_id, run.trigger_name, run.timeout_status, run.priority) == (7, "daily", "cancelled", 3)
    assert run.deadline_at == now + timedelta(minutes=5)
    assert set(run.block_runs.values_list("priority", flat=True)) == {3}


def test_a_broken_pipeline_starts_nothing_and_says_where_it_is_broken(now: datetime) -> None:
    pipeline = make_pipeline()
    pipeline.is_valid = False
    pipeline.problems = [{"file": "pipelines/etl/metadata.yaml", "line": 3, "reason": "no block", "hint": ""}]
    pipeline.save()

    with pytest.raises(Refusal, match=r"metadata.yaml.*3.*no block"):
        start(pipeline, now)
    assert PipelineRun.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"only_block": "nowhere"}, "block"),
        ({"settings": RunSettings(executor="abacus")}, "executor"),
        ({"variables": [1]}, "variables"),
    ],
)
def test_bad_input_names_its_field_and_starts_nothing(now: datetime, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as caught:
        start(make_pipeline(), now, **fields)

    assert caught.value.field == field
    assert (PipelineRun.objects.count(), BlockRun.objects.count()) == (0, 0)


def test_an_idempotency_key_is_taken_once(now: datetime) -> None:
    pipeline = make_pipeline()
    start(pipeline, now, idempotency_key="a")

    with pytest.raises(IntegrityError):
        start(pipeline, now, idempotency_key="a")


def test_one_block_alone_waits_for_nothing(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND), now, only_block="bottom")

    assert statuses(run) == {"bottom": "queued"}


# --- advancing --------------------------------------------------------------------------------------------------------


def test_blocks_run_in_the_order_of_the_graph_until_the_run_is_completed(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND), now)

    done = drive(run, now + timedelta(seconds=5))

    assert done == ["top", "left", "right", "bottom"]
    assert (run.status, run.completed_at) == (RunStatus.COMPLETED, now + timedelta(seconds=5))
    assert list(run.events.order_by("pk").values_list("kind", flat=True)) == ["created", "completed"]


def test_finishing_gives_the_worker_the_next_block_of_the_run(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND), now)
    worker = make_owner(now)

    following = lifecycle.finish_block(claim(run, "top", worker, now), COMPLETED, moment=now, next_for=worker)

    assert following is not None
    assert (following.block_uuid, following.status, following.worker_id) == ("left", "running", worker.pk)
    assert statuses(run)["right"] == "queued"


def test_an_outcome_is_recorded_once(now: datetime) -> None:
    run = start(make_pipeline(), now)
    first = claim(run, "load", make_owner(now), now)
    again = BlockRun.objects.get(pk=first.pk)
    lifecycle.finish_block(first, COMPLETED, moment=now)

    assert lifecycle.finish_block(again, FAILED, moment=now) is None
    assert statuses(run) == {"load": "completed", "clean": "queued", "save": "initial"}


def test_a_block_is_claimed_once(now: datetime) -> None:
    run = start(make_pipeline(), now)
    row = run.block_runs.get(block_uuid="load")

    claims = [lifecycle.claim(row.pk, row.attempt, make_owner(now), now) for _ in range(3)]

    assert [bool(found) for found in claims] == [True, False, False]


def test_a_failed_block_fails_the_run_and_cancels_the_rest(now: datetime) -> None:
    run = start(make_pipeline(blocks=(*DIAMOND, ("apart",))), now)

    drive(run, now, lambda uuid: FAILED if uuid == "top" else COMPLETED)

    assert (run.status, run.reason) == (RunStatus.FAILED, "failed: top")
    assert statuses(run) == {
        "top": "failed",
        "left": "upstream_failed",
        "right": "upstream_failed",
        "bottom": "upstream_failed",
        "apart": "cancelled",
    }
    assert run.block_runs.get(block_uuid="top").error["message"] == "no such day"


def test_where_blocks_may_fail_independent_branches_go_on(now: datetime) -> None:
    settings = RunSettings(allow_blocks_to_fail=True)
    run = start(make_pipeline(blocks=(*DIAMOND, ("apart",), ("after", "apart"))), now, settings=settings)

    drive(run, now, lambda uuid: FAILED if uuid == "left" else COMPLETED)

    found = statuses(run)
    assert run.status == RunStatus.FAILED
    assert (found["right"], found["after"], found["bottom"]) == ("completed", "completed", "upstream_failed")


def test_a_block_may_ask_to_run_after_a_failure(now: datetime) -> None:
    blocks = [block("work"), block("clean_up", "work", trigger_rule="one_failed"), block("report", "work")]
    run = start(make_pipeline(blocks=blocks), now)

    done = drive(run, now, lambda uuid: FAILED if uuid == "work" else COMPLETED)

    assert done == ["work", "clean_up"]
    assert run.status == RunStatus.FAILED
    assert statuses(run)["report"] == "upstream_failed"


def test_a_refused_condition_is_carried_down_and_the_run_completes(now: datetime) -> None:
    run = start(make_pipeline(), now)

    drive(run, now, lambda uuid: REFUSED if uuid == "load" else COMPLETED)

    assert run.status == RunStatus.COMPLETED
    assert set(statuses(run).values()) == {"condition_failed"}


def test_a_limit_on_blocks_holds(now: datetime) -> None:
    blocks = [(f"b{number}",) for number in range(5)]
    run = start(make_pipeline(blocks=blocks, concurrency_config={"block_run_limit": 2}), now)
    worker = make_owner(now)
    queued = [list(statuses(run).values()).count("queued")]

    while block_run := lifecycle.claim_next(worker, now, run=run):
        lifecycle.finish_block(block_run, COMPLETED, moment=now)
        queued.append(list(statuses(run).values()).count("queued"))

    assert max(queued) == 2
    assert set(statuses(run).values()) == {"completed"}


def test_a_waiting_block_keeps_its_slot(now: datetime) -> None:
    blocks = [block("sensor", priority=-1), block("a"), block("b"), block("c")]
    run = start(make_pipeline(blocks=blocks, concurrency_config={"block_run_limit": 2}), now)
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "sensor", worker, now), NOT_YET, moment=now)

    lifecycle.finish_block(claim(run, "a", worker, now), COMPLETED, moment=now)

    assert statuses(run) == {"sensor": "waiting", "a": "completed", "b": "queued", "c": "initial"}


def test_in_one_process_one_block_is_queued_at_a_time(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND, run_pipeline_in_one_process=True), now)
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "top", worker, now), COMPLETED, moment=now)

    assert statuses(run) == {"top": "completed", "left": "queued", "right": "initial", "bottom": "initial"}
    assert drive(run, now) == ["left", "right", "bottom"]


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_counting_upstream_blocks_agrees_with_looking_at_the_whole_graph(now: datetime, data: st.DataObject) -> None:
    Pipeline.objects.all().delete() if not PipelineRun.objects.exists() else None
    size = data.draw(st.integers(2, 8))
    rules = st.sampled_from(["all_success", "all_success", "all_done", "one_success", "none_failed", "one_failed"])
    blocks = [
        block(
            f"b{n}",
            *(f"b{m}" for m in range(n) if data.draw(st.booleans())),
            trigger_rule=data.draw(rules),
        )
        for n in range(size)
    ]
    pipeline = make_pipeline(f"p{Pipeline.objects.count()}-{data.draw(st.integers(0, 10**9))}", blocks)
    allow = RunSettings(allow_blocks_to_fail=data.draw(st.booleans()))
    run = start(pipeline, now, settings=allow)
    worker = make_owner(now)

    while block_run := lifecycle.claim_next(worker, now, run=run):
        lifecycle.finish_block(block_run, data.draw(st.sampled_from([COMPLETED, FAILED, REFUSED])), moment=now)
        rows = {row.block_uuid: row for row in run.block_runs.all()}
        left = settle({uuid: Node(row.status, row.upstream, row.trigger_rule) for uuid, row in rows.items()})
        assert left == {}

    run.refresh_from_db()
    assert run.is_finished
    assert set(statuses(run).values()) <= {str(status) for status in BLOCK_FINISHED}


# --- limits, stopping, again ------------------------------------------------------------------------------------------


def test_a_run_over_the_pipelines_limit_waits_with_its_reason_and_starts_when_a_slot_is_free(
    now: datetime, django_capture_on_commit_callbacks: Any
) -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit": 1})
    first, second = start(pipeline, now), start(pipeline, now)
    assert (second.status, second.reason) == (
        RunStatus.INITIAL,
        "waits: The limit was reached: 1 run of each trigger at a time.",
    )

    with django_capture_on_commit_callbacks(execute=True):
        drive(first, now)

    second.refresh_from_db()
    assert (second.status, second.reason) == (RunStatus.RUNNING, "")
    assert statuses(second)["load"] == "queued"


def test_cancelling_ends_every_block_and_fences_the_one_that_runs(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND), now)
    held = claim(run, "top", make_owner(now), now)

    assert lifecycle.cancel(run, moment=now, reason="not needed", by="ada")

    run.refresh_from_db()
    assert (run.status, run.reason, run.completed_at) == (RunStatus.CANCELLED, "not needed", now)
    assert set(statuses(run).values()) == {"cancelled"}
    lifecycle.finish_block(held, COMPLETED, moment=now)
    assert set(statuses(run).values()) == {"cancelled"}
    assert not lifecycle.cancel(run, moment=now, reason="again")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_past_its_deadline_ends_as_its_trigger_asked(now: datetime, status: str) -> None:
    settings = RunSettings(timeout=timedelta(seconds=30), timeout_status=status)
    run = start(make_pipeline(), now, settings=settings)

    lifecycle.time_out(run, moment=now + timedelta(seconds=31))

    run.refresh_from_db()
    assert (run.status, run.reason) == (status, "did not finish within 0:00:30")


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({"give_up_on": ["LookupError"]}, "failed"),
        ({"give_up_on": ["OSError"]}, "waiting"),
        ({"retry_on": ["LookupError", "OSError"]}, "waiting"),
        ({"retry_on": ["OSError"]}, "failed"),
    ],
)
def test_what_a_failure_is_called_decides_whether_it_is_tried_again(
    config: dict[str, Any], status: str, now: datetime
) -> None:
    run = start(make_pipeline(blocks=[block("a", retry_config=config)], retry_config={"retries": 2}), now)
    failure = Failure(type="KeyError", message="'id'", bases=["builtins.KeyError", "builtins.LookupError"])

    row = claim(run, "a", make_owner(now), now)
    lifecycle.finish_block(row, Outcome(verdict=Verdict.FAILED, failure=failure), moment=now)

    row.refresh_from_db()
    assert (row.status, "not tried again: " in row.reason) == (status, status == "failed")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"rows_in": 3, "bytes_in": 90}, {"rows_in": 3, "bytes_in": 90}),
        ({"rows_in": "many", "peak_memory_bytes": 1}, {}),
        (5, {}),
        (None, {}),
    ],
)
def test_what_a_block_received_is_in_its_metrics(said: Any, kept: dict[str, int], now: datetime) -> None:
    run = start(make_pipeline(blocks=[block("a")]), now)
    outcome = Outcome(verdict=Verdict.COMPLETED, result={"outputs": [], "received": said})

    lifecycle.finish_block(claim(run, "a", make_owner(now), now), outcome, moment=now)

    assert run.block_runs.get().metrics == kept


def test_why_a_condition_kept_a_block_from_running_is_kept(now: datetime) -> None:
    run = start(make_pipeline(blocks=[block("a")]), now)
    outcome = Outcome(verdict=Verdict.CONDITION_FAILED, result={"reason": "condition sunny is false"})

    lifecycle.finish_block(claim(run, "a", make_owner(now), now), outcome, moment=now)

    row = run.block_runs.get()
    assert (row.status, row.reason) == ("condition_failed", "condition sunny is false")


def test_a_retry_repeats_what_is_incomplete_with_timers_set_anew(now: datetime) -> None:
    settings = RunSettings(timeout=timedelta(hours=1))
    run = start(make_pipeline(), now, settings=settings)
    drive(run, now, lambda uuid: FAILED if uuid == "clean" else COMPLETED)
    later = now + timedelta(days=1)

    assert repeating.retry(run, moment=later, by="ada")

    run.refresh_from_db()
    assert (run.status, run.attempt, run.started_at, run.completed_at) == (RunStatus.RUNNING, 2, later, None)
    assert run.deadline_at == later + timedelta(hours=1)
    assert statuses(run) == {"load": "completed", "clean": "queued", "save": "initial"}
    assert drive(run, later) == ["clean", "save"]
    assert run.status == RunStatus.COMPLETED


def test_a_retry_is_refused_while_the_pipelines_limit_leaves_no_room(now: datetime) -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit": 1})
    first = start(pipeline, now)
    drive(first, now, lambda _: FAILED)
    second = start(pipeline, now)

    with pytest.raises(Refusal, match="1 run of each trigger at a time"):
        repeating.retry(first, moment=now)

    drive(second, now)
    assert repeating.retry(first, moment=now)


def test_a_retry_from_a_block_repeats_its_descendants(now: datetime) -> None:
    run = start(make_pipeline(blocks=DIAMOND), now)
    drive(run, now, lambda uuid: FAILED if uuid == "bottom" else COMPLETED)

    repeating.retry(run, moment=now, from_block="left")

    assert drive(run, now) == ["left", "bottom"]


def test_a_completed_or_running_run_is_not_retried(now: datetime) -> None:
    run = start(make_pipeline(), now)

    assert not repeating.retry(run, moment=now)
    drive(run, now)
    with pytest.raises(Refusal, match="nothing of it is incomplete"):
        repeating.retry(run, moment=now)


def test_a_result_of_an_old_attempt_is_refused_after_a_retry(now: datetime) -> None:
    run = start(make_pipeline(), now)
    stale = claim(run, "load", make_owner(now), now)
    lifecycle.cancel(run, moment=now, reason="")
    repeating.retry(run, moment=now)
    claim(run, "load", make_owner(now), now)

    lifecycle.finish_block(stale, COMPLETED, moment=now)

    assert statuses(run)["load"] == "running"


def test_usage_and_exit_are_kept_with_the_outcome(now: datetime) -> None:
    run = start(make_pipeline(blocks=[("only",)]), now)
    outcome = Outcome(verdict=Verdict.FAILED, usage={"cpu_seconds": 1.5}, exit=-9)

    lifecycle.finish_block(claim(run, "only", make_owner(now), now), outcome, moment=now)

    assert run.block_runs.get().metrics == {"cpu_seconds": 1.5, "exit": -9}


def test_advancing_a_chain_takes_the_same_queries_however_long_it_is(
    now: datetime, django_assert_max_num_queries: Any
) -> None:
    chain = [("b0",), *((f"b{n}", f"b{n - 1}") for n in range(1, 60))]
    run = start(make_pipeline(blocks=chain), now)
    worker = make_owner(now)
    first = claim(run, "b0", worker, now)

    with django_assert_max_num_queries(14):
        assert lifecycle.finish_block(first, COMPLETED, moment=now, next_for=worker)
