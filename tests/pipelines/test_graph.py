"""The order of blocks, what is refused, and the way through JSON."""

import json

import pytest

from pipelines.graph import Block, Graph, InvalidGraph, build
from pipelines.refusal import Refusal


def block(uuid: str, *upstream: str, type: str = "transformer") -> Block:
    return Block(uuid=uuid, type=type, upstream=upstream)


def uuids(graph: Graph) -> list[str]:
    return [each.uuid for each in graph.blocks]


def refused(*blocks: Block) -> InvalidGraph:
    with pytest.raises(InvalidGraph) as caught:
        build(blocks)
    return caught.value


def test_blocks_come_after_their_upstream_and_else_in_the_order_of_the_file() -> None:
    graph = build([block("d", "b", "c"), block("b", "a"), block("x"), block("c", "a"), block("a")])

    assert uuids(graph) == ["x", "a", "b", "c", "d"]


def test_upstream_keeps_its_declared_order_because_arguments_follow_it() -> None:
    graph = build([block("a"), block("b"), block("c", "b", "a")])

    assert graph.get("c").upstream == ("b", "a")


def test_downstream_and_descendants_follow_the_arrows() -> None:
    graph = build([block("a"), block("b", "a"), block("c", "b"), block("d", "a"), block("e")])

    assert graph.downstream("a") == ("b", "d")
    assert graph.descendants("a") == ("b", "c", "d")
    assert graph.descendants("e") == ()


def test_a_cycle_is_printed_as_a_walk_that_comes_back() -> None:
    refusal = refused(block("start"), block("a", "start", "c"), block("b", "a"), block("c", "b"), block("after", "c"))

    assert refusal.message == "cycle: a → b → c → a"
    assert refusal.faults[0].block == "a"
    assert refusal.code == "invalid_pipeline"


def test_a_block_upstream_of_itself_is_a_cycle() -> None:
    assert refused(block("a", "a")).message == "cycle: a → a"


def test_a_long_cycle_is_shortened() -> None:
    names = [f"block_{number}" for number in range(100)]

    message = refused(*(block(name, names[index - 1]) for index, name in enumerate(names))).message

    assert message.startswith("cycle: block_0 → block_1 → block_2 →")
    assert message.endswith("… → block_0")
    assert len(message) < 200


def test_an_unknown_upstream_names_the_nearest_block() -> None:
    refusal = refused(block("load_titanic"), block("clean", "load_titanik"))

    assert refusal.message == "Block 'clean' has an unknown upstream block 'load_titanik'."
    assert refusal.hint == "Did you mean load_titanic?"


def test_two_blocks_of_one_uuid_are_refused() -> None:
    assert refused(block("load"), block("load")).message == "There are two blocks 'load'."


def test_blocks_that_differ_only_in_case_are_refused() -> None:
    assert "'load' and 'Load' differ only" in refused(block("load"), block("Load")).message


def test_every_fault_is_told_at_once() -> None:
    refusal = refused(block("a"), block("a"), block("b", "zzz"))

    assert [fault.block for fault in refusal.faults] == ["a", "b"]


@pytest.mark.parametrize("blocks", [[], [block("note", type="scratchpad"), block("plot", "note", type="chart")]])
def test_a_pipeline_without_a_block_to_run_is_refused(blocks: list[Block]) -> None:
    assert refused(*blocks).message == "The pipeline has no block to run."


@pytest.mark.parametrize("type", ["scratchpad", "chart", "markdown", "callback", "conditional", "extension"])
def test_a_block_that_is_not_run_holds_nobody_up(type: str) -> None:
    graph = build([block("note", "clean", type=type), block("load"), block("clean", "note", "load")])

    assert graph.get("clean").upstream == ("load",)
    assert graph.get("note").upstream == ()
    assert [each.uuid for each in graph.executable] == ["load", "clean"]


def test_a_block_that_is_unsupported_is_still_run_so_that_its_failure_shows() -> None:
    assert Block(uuid="model", type="dbt", unsupported="dbt blocks are not executable here yet").executable


def test_an_upstream_that_is_named_twice_counts_once() -> None:
    assert build([block("a"), block("b", "a", "a")]).get("b").upstream == ("a",)


def test_an_unknown_block_is_refused_with_the_nearest_names() -> None:
    graph = build([block("load_titanic"), block("clean")])

    with pytest.raises(Refusal) as caught:
        graph.get("load_titanik")

    assert caught.value.code == "unknown_block"
    assert caught.value.hint == "Did you mean load_titanic?"


def test_the_dictionary_tells_pages_what_they_draw() -> None:
    graph = build([block("a"), block("b", "a"), block("note", type="scratchpad")])

    entries = {entry["uuid"]: entry for entry in graph.as_dict()["blocks"]}

    assert entries["a"]["downstream"] == ["b"]
    assert entries["b"]["upstream"] == ["a"]
    assert [entries[uuid]["executable"] for uuid in ("a", "b", "note")] == [True, True, False]


def test_a_graph_written_by_another_version_is_still_read() -> None:
    data = {"blocks": [{"uuid": "a", "type": "custom", "color": "of a later version", "downstream": []}]}

    graph = Graph.from_dict(data)

    assert graph.get("a") == Block(uuid="a", type="custom")


def test_every_field_survives_json() -> None:
    rich = Block(
        uuid="a/b",
        name="A of B",
        type="sensor",
        file="sensors/a/b.py",
        configuration={"file_source": {"path": "sensors/a/b.py"}, "list": [1, {"x": None}]},
        retry_config={"retries": 3},
        timeout=1.5,
        callbacks=("tell",),
        conditions=("if_sunny",),
        secrets=("key",),
        dynamic=True,
    )

    graph = build([rich, Block(uuid="tell", type="callback"), Block(uuid="if_sunny", type="conditional")])

    assert Graph.from_dict(json.loads(json.dumps(graph.as_dict()))) == graph
