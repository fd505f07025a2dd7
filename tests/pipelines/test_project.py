"""Mage projects, unedited, become definitions: what each key means, and what is inherited."""

import json
from pathlib import Path

import pytest

from pipelines.project import BrokenPipeline, read_project
from pipelines.refusal import Refusal
from tests.pipelines.project_on_disk import ProjectOnDisk


@pytest.fixture
def disk(tmp_path: Path) -> ProjectOnDisk:
    return ProjectOnDisk(tmp_path / "shop")


# What Mage's own pages write for a pipeline with a callback, a condition, charts and keys we don't use.
AS_MAGE_WRITES_IT = """
blocks:
- all_upstream_blocks_executed: true
  color: null
  configuration: {}
  downstream_blocks:
  - wash
  executor_config: null
  executor_type: local_python
  has_callback: false
  language: python
  name: Get orders
  retry_config: null
  status: executed
  timeout: null
  type: data_loader
  upstream_blocks: []
  uuid: get_orders
- all_upstream_blocks_executed: false
  color: teal
  configuration:
    file_source:
      path: transformers/sales/wash.py
  downstream_blocks: []
  executor_config: null
  executor_type: local_python
  has_callback: false
  language: python
  name: sales/Wash
  retry_config: null
  status: updated
  timeout: null
  type: transformer
  upstream_blocks:
  - get_orders
  uuid: sales/wash
cache_block_output_in_memory: false
callbacks:
- all_upstream_blocks_executed: false
  configuration: {}
  language: python
  name: tell
  type: callback
  upstream_blocks:
  - sales/wash
  uuid: tell
concurrency_config: {}
conditionals:
- configuration: {}
  language: python
  name: on_workdays
  type: conditional
  upstream_blocks:
  - get_orders
  - sales/wash
  uuid: on_workdays
created_at: '2023-12-05 23:59:31.330744+00:00'
data_integration: null
description: null
executor_config: {}
executor_count: 1
executor_type: null
extensions: {}
name: Orders
notification_config: {}
remote_variables_dir: null
retry_config: {}
run_pipeline_in_one_process: false
settings:
  triggers: null
spark_config: {}
tags:
- advanced_concepts
type: python
updated_at: 2023-12-14 21:48:19
uuid: orders
variables:
  weather: sunny
variables_dir: /home/src/mage_data/shop
widgets:
- uuid: bars
  type: chart
  upstream_blocks: [get_orders]
"""


def test_a_pipeline_as_mage_writes_it_is_read_unedited(disk: ProjectOnDisk) -> None:
    disk.pipeline(AS_MAGE_WRITES_IT, "orders")
    disk.code("data_loaders/get_orders.py", "data_loader")
    disk.code("transformers/sales/wash.py", "transformer")
    disk.code("conditionals/on_workdays.py", "condition")
    disk.write("callbacks/tell.py", "@callback('success')\ndef a(*a): ...\n\n@callback('failure')\ndef b(*a): ...\n")

    pipeline = disk.read("orders")

    assert (pipeline.name, pipeline.type, pipeline.tags) == ("Orders", "python", ("advanced_concepts",))
    assert pipeline.settings["variables"] == {"weather": "sunny"}
    wash = pipeline.graph.get("sales/wash")
    assert (wash.name, wash.file, wash.upstream) == ("sales/Wash", "transformers/sales/wash.py", ("get_orders",))
    assert (wash.callbacks, wash.conditions) == (("tell",), ("on_workdays",))
    assert pipeline.graph.get("get_orders").conditions == ("on_workdays",)
    assert [block.uuid for block in pipeline.graph.executable] == ["get_orders", "sales/wash"]
    assert sorted(pipeline.files) == [
        "callbacks/tell.py",
        "conditionals/on_workdays.py",
        "data_loaders/get_orders.py",
        "pipelines/orders/metadata.yaml",
        "transformers/sales/wash.py",
    ]


def test_a_definition_is_json_all_through(disk: ProjectOnDisk) -> None:
    disk.chain("a", "b")
    with (disk.root / "pipelines/etl/metadata.yaml").open("a") as file:
        file.write("variables: {since: 2024-02-29, at: 2024-02-29 12:00:00, half: 0.5, none: null, 1: one}\n")

    pipeline = disk.read()

    again = json.loads(json.dumps([pipeline.graph.as_dict(), pipeline.settings, pipeline.files], allow_nan=False))
    assert again == [pipeline.graph.as_dict(), pipeline.settings, pipeline.files]
    assert pipeline.settings["variables"] == {
        "since": "2024-02-29",
        "at": "2024-02-29T12:00:00",
        "half": 0.5,
        "none": None,
        "1": "one",
    }


def test_a_block_without_a_name_is_called_by_its_uuid(disk: ProjectOnDisk) -> None:
    disk.chain("a")

    assert disk.read().graph.get("a").name == "a"


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("data_loader", "data_loaders"),
        ("transformer", "transformers"),
        ("data_exporter", "data_exporters"),
        ("sensor", "sensors"),
        ("custom", "custom"),
    ],
)
def test_code_is_found_in_the_folder_of_the_type_and_in_folders_of_it(
    disk: ProjectOnDisk, kind: str, folder: str
) -> None:
    disk.pipeline(f"blocks:\n- {{uuid: one, type: {kind}}}\n- {{uuid: deep/two, type: {kind}}}\n")
    disk.code(f"{folder}/one.py", kind)
    disk.code(f"{folder}/deep/two.py", kind)

    graph = disk.read().graph

    assert [block.file for block in graph.blocks] == [f"{folder}/one.py", f"{folder}/deep/two.py"]


def test_the_path_in_the_configuration_wins(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{uuid: a, type: custom, configuration: {file_source: {path: elsewhere/b.py}}}]\n")
    disk.code("custom/a.py")
    disk.code("elsewhere/b.py")

    assert disk.read().graph.get("a").file == "elsewhere/b.py"


@pytest.mark.parametrize("written", ["shop/custom/x.py", "former_name/custom/x.py", "{root}/custom/x.py"])
def test_a_path_written_from_around_the_project_is_found(disk: ProjectOnDisk, written: str) -> None:
    path = written.format(root=disk.root)
    disk.pipeline(f"blocks: [{{uuid: a, type: custom, configuration: {{file_source: {{path: {path}}}}}}}]\n")
    disk.code("custom/x.py")

    assert disk.read().graph.get("a").file == "custom/x.py"


def test_a_replica_has_the_code_of_its_original(disk: ProjectOnDisk) -> None:
    disk.pipeline(
        """
        blocks:
        - {uuid: seed, type: custom, configuration: {file_source: {path: custom/deep/seed.py}}}
        - {uuid: seed_again, type: custom, replicated_block: seed, upstream_blocks: [seed]}
        - {uuid: of_another_pipeline, type: custom, replicated_block: other}
        """
    )
    disk.code("custom/deep/seed.py")
    disk.code("custom/other.py")

    graph = disk.read().graph

    assert graph.get("seed_again").file == "custom/deep/seed.py"
    assert graph.get("of_another_pipeline").file == "custom/other.py"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("type: data_loader, language: sql", "SQL blocks are not executable here yet"),
        ("type: transformer, language: r", "R blocks are not executable here yet"),
        ("type: data_exporter, language: yaml", "YAML blocks are not executable here yet"),
        ("type: dbt, language: sql", "dbt blocks are not executable here yet"),
        ("type: global_data_product", "global_data_product blocks are not executable here yet"),
        ("type: custom, configuration: {file_source: {path: x/y.sql}}", "SQL blocks are not executable here yet"),
    ],
)
def test_a_block_we_cannot_execute_is_recognised_and_says_so(disk: ProjectOnDisk, entry: str, reason: str) -> None:
    disk.pipeline(f"blocks: [{{uuid: a, {entry}}}]\n")

    block = disk.read().graph.get("a")

    assert block.unsupported == reason
    assert block.executable


def test_sql_code_is_kept_with_the_pipeline(disk: ProjectOnDisk) -> None:
    disk.pipeline("blocks: [{uuid: pick, type: data_loader, language: sql}]\n")
    disk.write("data_loaders/pick.sql", "select 1\n")

    pipeline = disk.read()

    assert pipeline.files["data_loaders/pick.sql"]["text"] == "select 1\n"
    assert pipeline.graph.get("pick").file == "data_loaders/pick.sql"


@pytest.mark.parametrize("kind", ["integration"])
def test_blocks_of_other_kinds_of_pipeline_say_so(disk: ProjectOnDisk, kind: str) -> None:
    disk.pipeline(f"type: {kind}\nblocks: [{{uuid: a, type: data_loader, language: yaml}}]\n")

    assert disk.read().graph.get("a").unsupported == f"{kind} pipelines are not executable here yet"


def test_what_is_not_run_needs_no_code_and_holds_nobody_up(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.pipeline(
        """
        blocks:
        - {uuid: notes, type: markdown, language: markdown}
        - {uuid: tryout, type: scratchpad}
        - {uuid: a, type: custom, upstream_blocks: [tryout, notes, bars, expect]}
        widgets: [{uuid: bars, type: chart}]
        extensions: {great_expectations: {blocks: [{uuid: expect, type: extension}]}}
        """
    )

    graph = disk.read().graph

    assert graph.get("a").upstream == ()
    assert graph.get("tryout").file is None


def test_downstream_blocks_that_contradict_upstream_blocks_are_overruled(disk: ProjectOnDisk) -> None:
    disk.chain("a", "b")
    disk.pipeline(
        """
        blocks:
        - {uuid: a, type: custom, downstream_blocks: [nobody]}
        - {uuid: b, type: custom, upstream_blocks: [a], downstream_blocks: [a]}
        """
    )

    graph = disk.read().graph

    assert graph.downstream("a") == ("b",)
    assert graph.downstream("b") == ()


def test_callbacks_and_conditions_may_be_named_at_the_block(disk: ProjectOnDisk) -> None:
    disk.pipeline(
        """
        blocks: [{uuid: a, type: custom, callback_blocks: [tell], conditional_blocks: [sunny]}]
        conditionals: [{uuid: sunny}]
        """
    )
    disk.code("custom/a.py")
    disk.code("conditionals/sunny.py", "condition")
    disk.code("callbacks/tell.py", "callback")

    graph = disk.read().graph

    assert (graph.get("a").callbacks, graph.get("a").conditions) == (("tell",), ("sunny",))
    assert (graph.get("tell").type, graph.get("tell").file) == ("callback", "callbacks/tell.py")


def test_what_a_block_may_say_is_read(disk: ProjectOnDisk) -> None:
    disk.pipeline(
        """
        blocks:
        - uuid: wait
          type: sensor
          timeout: '90'
          priority: 3
          pool: warehouse
          resources: {memory_bytes: 1000}
          trigger_rule: all_done
          sla: 60
          poke_interval: 0.5
          poke_timeout: 30
          soft_fail: true
          executor_type: k8s
          executor_config: {namespace: mine}
          retry_config: {retries: '3', delay: 1.5, exponential_backoff: false}
          configuration: {dynamic: false, reduce_output: 'true'}
        """
    )
    disk.write("metadata.yaml", "k8s_executor_config: {namespace: theirs, job_name_prefix: shop}\n")
    disk.code("sensors/wait.py", "sensor")

    block = disk.read().graph.get("wait")

    assert (block.timeout, block.priority, block.pool, block.sla) == (90.0, 3, "warehouse", 60.0)
    assert (block.trigger_rule, block.resources) == ("all_done", {"memory_bytes": 1000})
    assert (block.poke_interval, block.poke_timeout, block.soft_fail) == (0.5, 30.0, True)
    assert block.executor_config == {"namespace": "mine", "job_name_prefix": "shop"}
    assert block.retry_config == {"retries": 3, "delay": 1.5, "exponential_backoff": False}
    assert (block.dynamic, block.reduce_output) == (False, True)


def test_pipelines_inherit_from_the_project_and_say_otherwise(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write(
        "metadata.yaml",
        """
        variables: {region: eu, size: 1}
        retry_config: {retries: 5, delay: 1}
        concurrency_config: {pipeline_run_limit: 9, on_pipeline_run_limit_reached: skip}
        notification_config: {alert_on: [trigger_failure], slack_config: {webhook_url: "https://hooks.example.org/x"}}
        """,
    )
    with (disk.root / "pipelines/etl/metadata.yaml").open("a") as file:
        file.write(
            "variables: {size: 2}\nretry_config: {retries: 1}\nconcurrency_config: {pipeline_run_limit: 3}\n"
            "run_pipeline_in_one_process: true\nsla: 1800\nnotification_config: {alert_on: []}\n"
        )

    settings = disk.read().settings

    assert settings["variables"] == {"region": "eu", "size": 2}
    assert settings["retry_config"] == {"retries": 1, "delay": 1.0}
    assert settings["concurrency_config"] == {"pipeline_run_limit": 3, "on_pipeline_run_limit_reached": "skip"}
    assert settings["notification_config"] == {"alert_on": [], "services": {"slack_config": 1}}
    assert settings["run_pipeline_in_one_process"] is True
    assert settings["sla"] == 1800
    assert settings["cache_block_output_in_memory"] is False


def test_the_content_hash_follows_code_and_definition_and_nothing_else(disk: ProjectOnDisk) -> None:
    disk.chain("a", "b")
    first = disk.read().content_hash

    disk.write("custom/unused.py", "1\n")
    same = disk.read().content_hash
    with (disk.root / "custom/b.py").open("a") as file:
        file.write("# changed\n")
    changed_code = disk.read().content_hash
    disk.write("metadata.yaml", "variables: {x: 1}\n")
    changed_settings = disk.read().content_hash

    assert first == same
    assert len({first, changed_code, changed_settings}) == 3


def test_secrets_that_code_and_configuration_ask_for_are_named(disk: ProjectOnDisk) -> None:
    disk.pipeline(
        """
        variables: {token: "{{ mage_secret_var('shared') }}"}
        blocks:
        - {uuid: a, type: custom, configuration: {password: "{{ secret_var('in yaml') }}"}, secrets: [declared]}
        - {uuid: b, type: custom}
        """
    )
    disk.write(
        "custom/a.py",
        """
        from mage_ai.data_preparation.shared import secrets
        from mage_ai.data_preparation.shared.secrets import get_secret_value

        @custom
        def run(name, **kwargs):
            unknowable = get_secret_value(name)
            return get_secret_value('in code'), secrets.get_secret_value(secret_name="by keyword")
        """,
    )
    disk.code("custom/b.py")

    graph = disk.read().graph

    assert graph.get("a").secrets == ("by keyword", "declared", "in code", "in yaml", "shared")
    assert graph.get("b").secrets == ("shared",)


def test_pipelines_are_the_folders_with_a_metadata_file(disk: ProjectOnDisk) -> None:
    disk.chain("a", uuid="one")
    disk.chain("a", uuid="two")
    disk.write("pipelines/.hidden/metadata.yaml", "")
    disk.write("pipelines/__pycache__/metadata.yaml", "")
    disk.write("pipelines/empty/notes.txt", "")
    disk.write("pipelines/__init__.py", "")

    assert read_project(disk.root).pipelines == ("one", "two")


def test_a_project_without_its_own_metadata_has_defaults(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    (disk.root / "metadata.yaml").unlink()

    assert disk.read().settings["variables"] == {}


def test_a_project_whose_metadata_is_all_comments_has_defaults(disk: ProjectOnDisk) -> None:
    disk.chain("a")
    disk.write("metadata.yaml", "# nothing yet\n")

    assert disk.read().settings["variables"] == {}


def test_the_libraries_to_preload_are_the_heavy_ones_that_are_required(disk: ProjectOnDisk) -> None:
    disk.write(
        "requirements.txt", "# comment\nrequests==2\nPandas[parquet]>=2.2 ; python_version > '3'\n-r x.txt\nnumpy\n"
    )

    assert read_project(disk.root).preload == ("pandas", "numpy")


def test_the_parts_of_pyarrow_that_store_tables_are_preloaded_with_it(disk: ProjectOnDisk) -> None:
    disk.write("requirements.txt", "pyarrow==17.0\n")

    assert read_project(disk.root).preload == ("pyarrow", "pyarrow.parquet", "pyarrow.dataset")


def test_a_list_to_preload_is_taken_as_it_is(disk: ProjectOnDisk) -> None:
    disk.write("requirements.txt", "pandas\n")
    disk.write("metadata.yaml", "preload: [json, shop.models]\n")

    assert read_project(disk.root).preload == ("json", "shop.models")


def test_an_empty_list_preloads_nothing(disk: ProjectOnDisk) -> None:
    disk.write("requirements.txt", "pandas\n")
    disk.write("metadata.yaml", "preload: []\n")

    assert read_project(disk.root).preload == ()


@pytest.mark.parametrize("name", ["missing", "file", "empty"])
def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()

    with pytest.raises(Refusal) as caught:
        read_project(tmp_path / name)

    assert str(tmp_path / name) in caught.value.message
    assert "create_project" in caught.value.hint


# --- streams ----------------------------------------------------------------------------------------------------------

STREAM = """
    type: streaming
    blocks:
    - {uuid: read, type: data_loader}
    - {uuid: change, type: transformer, upstream_blocks: [read]}
    - {uuid: write, type: data_exporter, upstream_blocks: [change], heartbeat_timeout: 90}
    """


def write_stream(disk: ProjectOnDisk) -> None:
    disk.pipeline(STREAM)
    disk.write("data_loaders/read.py", "@streaming_source\nclass Source:\n    pass\n")
    disk.write("transformers/change.py", "@transformer\ndef change(messages):\n    return messages\n")
    disk.write("data_exporters/write.py", "@streaming_sink\nclass Sink:\n    pass\n")


def test_the_blocks_of_a_stream_are_classes_and_functions(disk: ProjectOnDisk) -> None:
    write_stream(disk)

    graph = disk.read().graph

    assert [block.unsupported for block in graph.blocks] == ["", "", ""]
    assert graph.get("write").heartbeat_timeout == 90


def test_a_source_that_is_not_marked_is_told(disk: ProjectOnDisk) -> None:
    write_stream(disk)
    disk.write("data_loaders/read.py", "class Source:\n    pass\n")

    with pytest.raises(BrokenPipeline, match="block read has no class marked @streaming_source") as caught:
        disk.read()

    assert caught.value.problems[0]["hint"] == "Put @streaming_source above the class."


def test_a_connector_of_a_stream_is_named_and_the_pipeline_is_valid(disk: ProjectOnDisk) -> None:
    disk.pipeline("type: streaming\nblocks: [{uuid: read, type: data_loader, language: yaml}]\n")
    disk.write("data_loaders/read.yaml", "connector_type: kafka\nbootstrap_server: 'localhost:9092'\n")

    assert disk.read().graph.get("read").unsupported == (
        "the connector kafka is not built in here; write the block in Python, as a class marked @streaming_source that "
        "uses the client library (confluent-kafka)"
    )


def test_a_sensor_has_no_place_in_a_stream(disk: ProjectOnDisk) -> None:
    disk.pipeline("type: streaming\nblocks: [{uuid: look, type: sensor}]\n")

    assert "has no place in a streaming pipeline" in disk.read().graph.get("look").unsupported
