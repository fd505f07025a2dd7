"""What holds for every graph, tried on random ones."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipelines.graph import EXECUTABLE_TYPES, OTHER_TYPES, Block, Graph, InvalidGraph, build


@st.composite
def acyclic(draw: st.DrawFn) -> list[Block]:
    """Blocks in any order of the file, each with upstream among those before it in a hidden order."""
    count = draw(st.integers(1, 25))
    blocks = []
    for number in range(count):
        upstream = draw(st.lists(st.integers(0, number - 1), unique=True, max_size=5)) if number else []
        kind = draw(st.sampled_from(EXECUTABLE_TYPES if number == 0 else EXECUTABLE_TYPES + OTHER_TYPES))
        blocks.append(Block(uuid=f"b{number}", type=kind, upstream=tuple(f"b{each}" for each in upstream)))
    return draw(st.permutations(blocks))


@given(acyclic())
def test_every_block_comes_after_its_upstream(blocks: list[Block]) -> None:
    place = {block.uuid: index for index, block in enumerate(build(blocks).blocks)}

    assert sorted(place) == sorted(block.uuid for block in blocks)
    assert all(place[uuid] < place[block.uuid] for block in build(blocks).blocks for uuid in block.upstream)


@given(acyclic())
def test_the_order_is_the_earliest_that_the_file_allows(blocks: list[Block]) -> None:
    in_file = {block.uuid: index for index, block in enumerate(blocks)}
    done: set[str] = set()
    left = {block.uuid: block for block in build(blocks).blocks}

    for block in build(blocks).blocks:
        ready = [uuid for uuid, each in left.items() if done.issuperset(each.upstream)]
        assert block.uuid == min(ready, key=in_file.__getitem__)
        done.add(left.pop(block.uuid).uuid)


@given(acyclic())
def test_downstream_is_upstream_read_backwards(blocks: list[Block]) -> None:
    graph = build(blocks)

    down = {(block.uuid, other) for block in graph.blocks for other in graph.downstream(block.uuid)}
    up = {(uuid, block.uuid) for block in graph.blocks for uuid in block.upstream}

    assert down == up


@given(acyclic())
def test_descendants_are_what_downstream_reaches(blocks: list[Block]) -> None:
    graph = build(blocks)

    for block in graph.blocks:
        reached: set[str] = set()
        to_visit = [block.uuid]
        while to_visit:
            for uuid in graph.downstream(to_visit.pop()):
                to_visit.extend({uuid} - reached)
                reached.add(uuid)
        assert set(graph.descendants(block.uuid)) == reached


@given(acyclic())
def test_only_blocks_that_run_are_waited_for(blocks: list[Block]) -> None:
    graph = build(blocks)

    assert all(graph.get(uuid).executable and block.executable for block in graph.blocks for uuid in block.upstream)


@given(acyclic())
def test_a_graph_survives_json(blocks: list[Block]) -> None:
    graph = build(blocks)

    assert Graph.from_dict(json.loads(json.dumps(graph.as_dict()))) == graph
    assert build(graph.blocks) == graph


@given(acyclic(), st.data())
def test_an_arrow_back_is_always_found_and_told_truly(blocks: list[Block], data: st.DataObject) -> None:
    graph = build(blocks)
    starts = [block for block in graph.blocks if graph.descendants(block.uuid)]
    if not starts:
        return
    first = data.draw(st.sampled_from(starts))
    last = data.draw(st.sampled_from(graph.descendants(first.uuid)))
    bent = [
        Block(uuid=block.uuid, type=block.type, upstream=(*block.upstream, *([last] if block == first else [])))
        for block in graph.blocks
    ]

    try:
        build(bent)
    except InvalidGraph as refusal:
        walk = refusal.message.removeprefix("cycle: ").split(" → ")
        upstream = {block.uuid: block.upstream for block in bent}
        assert walk[0] == walk[-1]
        assert all(a in upstream[b] for a, b in zip(walk, walk[1:], strict=False) if "…" not in (a, b))
    else:
        raise AssertionError("a cycle was accepted")
