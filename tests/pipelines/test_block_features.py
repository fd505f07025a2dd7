"""What metadata.yaml may say about a block's features: dynamic, callbacks, conditions, pool, retries."""

import json
from pathlib import Path

import pytest

from pipelines.graph import Graph
from pipelines.project import read_project
from tests.pipelines.project_on_disk import ProjectOnDisk


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path / "shop")


def test_a_sensor_cannot_be_dynamic(disk: ProjectOnDisk) -> None:
    disk.code("sensors/wait.py", "sensor")
    disk.pipeline("blocks:\n- uuid: wait\n  type: sensor\n  configuration:\n    dynamic: true\n")

    problem = disk.problem()

    assert (problem["line"], problem["reason"]) == (5, "dynamic: a sensor returns no items to fan out over.")
    assert problem["hint"] == "Types that can be dynamic: data_loader, transformer, data_exporter, custom."


def test_retry_config_is_merged_key_by_key_and_what_is_left_empty_says_nothing(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "retry_config: {retries: 2, delay: 7, jitter: 0.1, give_up_on: ValueError}\n")
    text = (disk.root / "pipelines/etl/metadata.yaml").read_text()
    disk.pipeline(text + "retry_config:\n  delay:\n  jitter: '0.5'\n  retry_on: [requests.Timeout, OSError]\n")

    assert disk.read().settings["retry_config"] == {
        "retries": 2,
        "delay": 7.0,
        "jitter": 0.5,
        "give_up_on": ["ValueError"],
        "retry_on": ["requests.Timeout", "OSError"],
    }


def test_a_list_may_be_emptied_nearer(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "retry_config: {give_up_on: [ValueError]}\n")
    text = (disk.root / "pipelines/etl/metadata.yaml").read_text()
    disk.pipeline(text + "retry_config: {give_up_on: []}\n")

    assert disk.read().settings["retry_config"] == {"give_up_on": []}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("jitter: 2", "jitter: '2' is not a number that is allowed."),
        ("retry_on: {a: b}", "retry_on must be a list of names."),
        ("retry_on: [no name]", "retry_on: 'no name' cannot be the name of an exception."),
        ("give_up_on: [ValueError, 7]", "give_up_on: '7' cannot be the name of an exception."),
    ],
)
@pytest.mark.parametrize("level", ["project", "pipeline", "block"])
def test_a_mistake_in_retry_config_is_told_at_its_level(
    disk: ProjectOnDisk, level: str, config: str, reason: str
) -> None:
    disk.chain("a")
    if level == "project":
        disk.write("metadata.yaml", f"retry_config:\n  {config}\n")
    elif level == "pipeline":
        disk.pipeline(f"blocks: [{{uuid: a, type: custom}}]\nretry_config:\n  {config}\n")
    else:
        disk.pipeline(f"blocks:\n- uuid: a\n  type: custom\n  retry_config:\n    {config}\n")

    problem = disk.problem()

    assert problem["reason"] == reason
    assert problem["file"] == ("metadata.yaml" if level == "project" else "pipelines/etl/metadata.yaml")
    assert problem["line"] == {"project": 2, "pipeline": 3, "block": 5}[level]


# --- pools ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("pool: warehouse", ("warehouse", 1)),
        ("pool: warehouse\n  pool_slots: '3'", ("warehouse", 3)),
        ("pool: {name: warehouse, slots: 2}", ("warehouse", 2)),
        ("pool: {name: warehouse}\n  pool_slots: 4", ("warehouse", 4)),
        ("name: a", (None, 1)),
    ],
)
def test_a_block_names_its_pool_and_the_slots_it_takes(disk: ProjectOnDisk, text: str, pool: tuple) -> None:
    disk.code("custom/a.py")
    disk.pipeline(f"blocks:\n- uuid: a\n  type: custom\n  {text}\n")

    block = disk.read().graph.get("a")

    assert (block.pool, block.pool_slots) == pool


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("pool: {slots: 2}", 4, "pool: it has no name."),
        ("pool: {name: w, slot: 2}", 4, "unknown key 'slot'."),
        ("pool: w\n  pool_slots: 0", 5, "pool_slots: '0' is not a number that is allowed."),
        ("pool_slots: 2", 4, "pool_slots without a pool."),
        ("pool: [w]", 4, "pool must be a text."),
    ],
)
def test_a_mistake_in_a_pool_is_told(disk: ProjectOnDisk, text: str, line: int, reason: str) -> None:
    disk.code("custom/a.py")
    disk.pipeline(f"blocks:\n- uuid: a\n  type: custom\n  {text}\n")

    problem = disk.problem()

    assert (problem["line"], problem["reason"]) == (line, reason)


def test_a_project_has_pools(disk: ProjectOnDisk) -> None:
    disk.write("metadata.yaml", "pools:\n  warehouse: 4\n  api: {slots: '2', description: Two at a time}\n")

    assert read_project(disk.root).pools == {"warehouse": (4, ""), "api": (2, "Two at a time")}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pools: [a]", "pools must have keys and values."),
        ("pools: {a: many}", "a: 'many' is not a number that is allowed."),
        ("pools: {a: 0}", "a: '0' is not a number that is allowed."),
        ("pools: {a: }", "pools: a has no number of slots."),
        ("pools: {a: {description: x}}", "pools: a has no number of slots."),
        ("pools: {a: {slots: 1, size: 2}}", "unknown key 'size'."),
        ("pools: {' a': 2}", "pools: ' a' cannot be the name of a pool."),
    ],
)
def test_a_mistake_in_the_pools_of_a_project_is_told_with_each_pipeline(
    disk: ProjectOnDisk, text: str, reason: str
) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", text + "\n")

    assert [(problem["file"], problem["reason"]) for problem in disk.problems()] == [("metadata.yaml", reason)]


# --- callbacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcomes"),
    [
        ("@callback('success')\ndef f(): ...\n", ("success",)),
        ("@callback\ndef f(): ...\n@callback()\ndef g(): ...\n", ("success",)),
        ("@on_cancelled\ndef f(): ...\n@callback('failure')\ndef g(): ...\n", ("failure", "cancelled")),
        ("from x import on_failure as oh\n@oh\ndef f(): ...\n", ("failure",)),
        ("import x\n@x.callback('cancelled')\ndef f(): ...\n", ("cancelled",)),
        ("WHEN = 'failure'\n@callback(WHEN)\ndef f(): ...\n", ("success", "failure", "cancelled")),
    ],
)
def test_the_outcomes_that_a_callback_has_functions_for_are_known(
    disk: ProjectOnDisk, code: str, outcomes: tuple
) -> None:
    disk.code("custom/a.py")
    disk.write("callbacks/tell.py", code)
    disk.pipeline("blocks: [{uuid: a, type: custom, callback_blocks: [tell]}]\n")

    graph = disk.read().graph

    assert graph.get("tell").outcomes == outcomes
    assert graph.get("a").outcomes == ()
    assert Graph.from_dict(graph.as_dict()).get("tell").outcomes == outcomes


def test_an_outcome_that_there_is_not_is_told(disk: ProjectOnDisk) -> None:
    disk.code("custom/a.py")
    disk.write("callbacks/tell.py", "# told\n@callback('failed')\ndef f(): ...\n")
    disk.pipeline("blocks: [{uuid: a, type: custom, callback_blocks: [tell]}]\n")

    problem = disk.problem()

    assert (problem["file"], problem["line"]) == ("callbacks/tell.py", 2)
    assert problem["reason"] == "@callback: there is no outcome 'failed'"
    assert problem["hint"] == "Did you mean failure?"


def test_callbacks_of_the_pipeline_are_in_its_settings_and_their_code_is_pinned(disk: ProjectOnDisk) -> None:
    disk.code("custom/a.py")
    disk.write("callbacks/tell.py", "@on_failure\ndef f(): ...\n@on_success\ndef g(): ...\n")
    disk.write("callbacks/page.py", "@on_failure\ndef f(): ...\n")
    disk.pipeline(
        """
        blocks: [{uuid: a, type: custom}]
        callbacks: [{uuid: page, type: callback, configuration: {to: ada}}]
        on_success: tell
        on_failure: [tell, page, tell]
        """
    )

    pipeline = disk.read()

    callbacks = pipeline.settings["callbacks"]
    assert {outcome: [entry["uuid"] for entry in entries] for outcome, entries in callbacks.items()} == {
        "success": ["tell"],
        "failure": ["tell", "page"],
    }
    assert callbacks["failure"][1]["configuration"] == {"to": "ada"}
    assert callbacks["success"][0]["file"] == "callbacks/tell.py"
    assert {"callbacks/tell.py", "callbacks/page.py"} <= pipeline.files.keys()
    assert pipeline.graph.get("a").callbacks == ()
    json.dumps(pipeline.settings)


def test_a_pipeline_without_callbacks_of_its_own_says_nothing_of_them(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    assert "callbacks" not in disk.read().settings


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("on_failure: tel", "on_failure: there is no callback 'tel'."),
        ("on_success: a", "on_success: block 'a' is no callback."),
        ("on_cancelled: tell", "on_cancelled: 'tell' has no function marked @on_cancelled."),
        ("on_failure: {a: b}", "on_failure must be a list of names."),
    ],
)
def test_a_callback_of_the_pipeline_that_cannot_be_called_is_told(disk: ProjectOnDisk, text: str, reason: str) -> None:
    disk.code("custom/a.py")
    disk.write("callbacks/tell.py", "@on_failure\ndef f(): ...\n")
    disk.pipeline(f"blocks: [{{uuid: a, type: custom, callback_blocks: [tell]}}]\n{text}\n")

    problem = disk.problem()

    assert (problem["line"], problem["reason"]) == (2, reason)


# --- replicas ---------------------------------------------------------------------------------------------------------


def test_a_replica_of_a_replica_and_of_a_block_in_a_sub_folder_have_the_code_of_the_original(
    disk: ProjectOnDisk,
) -> None:
    disk.pipeline(
        """
        blocks:
        - {uuid: deep/seed, type: custom}
        - {uuid: again, type: custom, replicated_block: deep/seed}
        - {uuid: once_more, type: custom, replicated_block: again}
        - {uuid: elsewhere, type: custom, replicated_block: deep/other}
        """
    )
    disk.code("custom/deep/seed.py")
    disk.code("custom/deep/other.py")

    graph = disk.read().graph

    assert [graph.get(uuid).file for uuid in ("again", "once_more")] == ["custom/deep/seed.py"] * 2
    assert graph.get("elsewhere").file == "custom/deep/other.py"


def test_a_replica_may_say_where_the_code_of_its_original_is(disk: ProjectOnDisk) -> None:
    disk.pipeline(
        "blocks:\n- {uuid: b, type: custom, replicated_block: x, configuration: {file_source: {path: custom/y.py}}}\n"
    )
    disk.code("custom/y.py")

    assert disk.read().graph.get("b").file == "custom/y.py"


def test_a_replica_of_itself_is_told(disk: ProjectOnDisk) -> None:
    disk.code("custom/b.py")
    disk.pipeline("blocks:\n- {uuid: b, type: custom, replicated_block: b}\n")

    (problem,) = disk.problems()

    assert (problem["line"], problem["reason"]) == (2, "replicated_block: it leads back to itself.")


@pytest.mark.parametrize(
    ("original", "hint"),
    [
        ("see", "Did you mean seed?"),
        ("deep/oter", "Did you mean deep/other?"),
        ("../x", "Its code would be custom/../x.py."),
    ],
)
def test_a_replica_of_nothing_is_told_with_the_nearest_names(disk: ProjectOnDisk, original: str, hint: str) -> None:
    disk.code("custom/seed.py")
    disk.code("custom/deep/other.py")
    disk.pipeline(
        f"blocks:\n- {{uuid: seed, type: custom}}\n- uuid: b\n  type: custom\n  replicated_block: {original}\n"
    )

    (problem,) = disk.problems()

    assert (problem["line"], problem["reason"]) == (5, f"replicated_block: there is no block {original!r}.")
    assert problem["hint"] == hint


@pytest.mark.parametrize(
    ("written", "line", "reason", "hint"),
    [
        ("  triger_rule: all_done", 4, "A block has no key 'triger_rule'.", "Did you mean trigger_rule?"),
        ("  pools: warehouse", 4, "A block has no key 'pools'.", "Did you mean pool?"),
        ("  retry_config: {retrys: 3}", 4, "retry_config has no key 'retrys'.", "Did you mean retries?"),
        ("retry_config:\n  max_delays: 3", 5, "retry_config has no key 'max_delays'.", "Did you mean max_delay?"),
    ],
)
def test_a_key_that_is_nearly_right_is_told(
    disk: ProjectOnDisk, written: str, line: int, reason: str, hint: str
) -> None:
    disk.code("custom/a.py")
    disk.pipeline(f"blocks:\n- uuid: a\n  type: custom\n{written}\n")

    problem = disk.problem()

    assert (problem["line"], problem["reason"], problem["hint"]) == (line, reason, hint)


def test_keys_of_others_are_left_alone(disk: ProjectOnDisk) -> None:
    disk.code("custom/a.py")
    extras = "  status: updated\n  downstream_blocks: []\n  owner: ada\n  all_upstream_blocks_executed: true\n"
    disk.pipeline(f"blocks:\n- uuid: a\n  type: custom\n{extras}  retry_config: {{service: x}}\n")

    assert disk.read().graph.get("a").retry_config == {"service": "x"}
