"""What a new run consists of, before anything is stored."""

from datetime import timedelta
from typing import Any

import pytest

from pipelines.graph import Block
from pipelines.models import PipelineVersion
from pipelines.refusal import Refusal
from runs.models import BlockRun, PipelineRun
from runs.planning import RunSettings, copied_settings, merged_variables, plan_blocks
from tests.factories import make_pipeline


def version(*blocks: Block | tuple[str, ...], **settings: Any) -> PipelineVersion:
    found = make_pipeline(blocks=blocks or (("load",), ("clean", "load"), ("save", "clean")), **settings)
    assert found.current_version is not None
    return found.current_version


def planned(made: PipelineVersion, *, only: str | None = None, skip: bool = False, **run: Any) -> dict[str, BlockRun]:
    rows = plan_blocks(PipelineRun(pipeline=made.pipeline, **run), made, only_block=only, skip_sensors=skip)
    return {row.block_uuid: row for row in rows}


def block(uuid: str, **fields: Any) -> Block:
    return Block(**({"uuid": uuid, "name": uuid, "type": "custom", "upstream": ()} | fields))


pytestmark = pytest.mark.django_db


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_sla_of_the_pipeline_holds_where_the_trigger_has_none() -> None:
    hour, made = timedelta(hours=1), version(sla=60)

    assert copied_settings(made, RunSettings())["sla"] == timedelta(seconds=60)
    assert copied_settings(made, RunSettings(sla=hour))["sla"] == hour
    assert copied_settings(version(uuid="other"), RunSettings())["sla"] is None


def test_a_trigger_goes_before_the_pipeline_key_by_key() -> None:
    made = version(retry_config={"retries": 1, "delay": 5})

    copied = copied_settings(made, RunSettings(retry_config={"retries": 3}, timeout=timedelta(hours=1)))

    assert copied["retry_config"] == {"retries": 3, "delay": 5}
    assert (copied["timeout"], copied["timeout_status"]) == (timedelta(hours=1), "failed")


def test_without_settings_nothing_is_limited() -> None:
    copied = copied_settings(version(), RunSettings())

    assert [copied[name] for name in ("block_run_limit", "timeout", "sla", "trigger_id")] == [None] * 4
    assert (copied["executor"], copied["in_one_process"], copied["retry_config"]) == ("local_python", False, {})


@pytest.mark.parametrize("where", ["pipeline", "run"])
def test_an_executor_that_does_not_exist_is_refused(where: str) -> None:
    made = version(executor_type="abacus" if where == "pipeline" else None)

    with pytest.raises(Refusal, match="abacus") as refused:
        copied_settings(made, RunSettings(executor="abacus" if where == "run" else None))

    assert (refused.value.field, refused.value.code) == ("executor", "unknown_executor")


# --- variables --------------------------------------------------------------------------------------------------------


def test_the_nearest_layer_gives_the_value_and_is_named() -> None:
    made = version(variables={"pipeline": 1, "trigger": 1, "run": 1})
    settings = RunSettings(variables={"trigger": 2, "run": 2})

    merged = merged_variables(made, settings, {"run": 3}, {"event": 0, "pipeline": 0})

    assert merged["variables"] == {"event": 0, "pipeline": 1, "trigger": 2, "run": 3}
    assert merged["variable_origins"] == {name: name for name in ("event", "pipeline", "trigger", "run")}


def test_a_value_that_means_nothing_is_still_given() -> None:
    made = version(variables={"day": "2025-03-02", "limit": 10})

    merged = merged_variables(made, RunSettings(), {"day": None, "limit": 0}, None)

    assert merged["variables"] == {"day": None, "limit": 0}


@pytest.mark.parametrize("variables", [[], "day", 7, [("day", 1)]])
def test_variables_that_are_no_object_are_refused(variables: Any) -> None:
    with pytest.raises(Refusal, match="must be a JSON object"):
        merged_variables(version(), RunSettings(), variables, None)


# --- block runs -------------------------------------------------------------------------------------------------------


def test_each_block_knows_how_many_it_waits_for() -> None:
    rows = planned(version(("a",), ("b",), ("join", "a", "b"), ("end", "join", "a")))

    assert {uuid: row.pending for uuid, row in rows.items()} == {"a": 0, "b": 0, "join": 2, "end": 2}
    assert sorted(rows["a"].downstream) == ["end", "join"]
    assert [rows[uuid].position for uuid in ("a", "b", "join", "end")] == sorted(row.position for row in rows.values())


def test_what_is_only_to_be_read_is_not_run() -> None:
    rows = planned(version(("load",), block("notes", type="markdown"), block("scratch", type="scratchpad")))

    assert list(rows) == ["load"]


def test_one_block_alone_waits_for_nothing_and_leads_to_nothing() -> None:
    rows = planned(version(), only="clean")

    assert list(rows) == ["clean"]
    assert (rows["clean"].pending, rows["clean"].downstream, rows["clean"].upstream) == (0, [], ["load"])


@pytest.mark.parametrize("uuid", ["cleam", "", "notes"])
def test_a_block_that_cannot_run_alone_is_refused_with_those_that_can(uuid: str) -> None:
    made = version(("load",), ("clean", "load"), block("notes", type="markdown"))

    with pytest.raises(Refusal) as refused:
        planned(made, only=uuid)

    assert (refused.value.field, refused.value.hint) == ("block", "Its blocks are: load, clean.")


def test_a_block_that_runs_once_for_each_item_is_not_run_alone_on_all_of_them() -> None:
    made = version(
        block("items", dynamic=True),
        block("child", upstream=("items",), reduce_output=True),
        block("total", upstream=("child",)),
    )

    with pytest.raises(Refusal, match="runs once for each item of items: it cannot run alone"):
        planned(made, only="child")
    assert list(planned(made, only="items")) == ["items"]
    assert list(planned(made, only="total")) == ["total"]


def test_a_blocks_own_executor_time_and_urgency_hold() -> None:
    own = block("own", executor_type="local_python", timeout=90.0, priority=5)

    rows = planned(version(own, block("plain")), priority=10, executor="local_python")

    assert (rows["own"].timeout, rows["own"].priority) == (timedelta(seconds=90), 15)
    assert (rows["plain"].timeout, rows["plain"].priority, rows["plain"].executor) == (None, 10, "local_python")


def test_a_block_with_an_unknown_executor_is_refused() -> None:
    with pytest.raises(Refusal, match="abacus"):
        planned(version(block("own", executor_type="abacus")))


def test_skipped_sensors_are_marked_on_every_block() -> None:
    made = version()

    assert all(row.config["skip_sensor"] for row in planned(made, skip=True).values())
    assert not any(row.config["skip_sensor"] for row in planned(made).values())


@pytest.mark.parametrize(("rule", "is_plain"), [("all_success", True), ("none_failed", True), ("one_failed", False)])
def test_counting_is_enough_where_rules_below_are_plain(rule: str, is_plain: bool) -> None:
    rows = planned(version(("a",), block("b", upstream=("a",), trigger_rule=rule)))

    assert rows["a"].config["plain_below"] is is_plain
