"""The graph's layout: layers, no overlaps, few crossings."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.drawing import LABEL_LENGTH, LAYER_GAP, MARGIN, NODE_GAP, NODE_HEIGHT, NODE_WIDTH, Drawing, Node, draw


def block(uuid: str, *upstream: str, **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "name": uuid, "type": "transformer", "upstream": list(upstream), **more}


def nodes(drawing: Drawing) -> dict[str, Node]:
    return {node.uuid: node for node in drawing.nodes}


def test_nothing_is_an_empty_drawing() -> None:
    assert draw([]) == Drawing(width=0, height=0, nodes=(), edges=())


def test_one_block_fits_its_drawing() -> None:
    drawing = draw([block("only")])

    (node,) = drawing.nodes
    assert (node.x, node.y) == (MARGIN, MARGIN)
    assert (drawing.width, drawing.height) == (NODE_WIDTH + 2 * MARGIN, NODE_HEIGHT + 2 * MARGIN)


def test_a_chain_is_a_straight_line() -> None:
    drawing = draw([block("a"), block("b", "a"), block("c", "b")])

    assert len({node.y for node in drawing.nodes}) == 1
    assert [node.x for node in drawing.nodes] == [MARGIN + i * (NODE_WIDTH + LAYER_GAP) for i in range(3)]


def test_an_edge_joins_the_sides_of_its_boxes() -> None:
    drawing = draw([block("a"), block("b", "a")])

    (edge,) = drawing.edges
    a, b = nodes(drawing)["a"], nodes(drawing)["b"]
    assert (edge.source, edge.target) == ("a", "b")
    assert edge.path.startswith(f"M{a.x + a.width:g} {a.y + a.height / 2:g}")
    assert edge.path.endswith(f"{b.x:g} {b.y + b.height / 2:g}")


def test_a_fan_is_centered_on_its_source() -> None:
    drawing = draw([block("a"), *(block(f"w{i}", "a") for i in range(5)), block("z", *(f"w{i}" for i in range(5)))])

    at = nodes(drawing)
    assert at["a"].y == at["w2"].y == at["z"].y
    assert [at[f"w{i}"].y for i in range(5)] == sorted(at[f"w{i}"].y for i in range(5))


def test_a_block_comes_after_its_last_upstream() -> None:
    at = nodes(draw([block("a"), block("b", "a"), block("c", "a", "b")]))

    assert (at["a"].layer, at["b"].layer, at["c"].layer) == (0, 1, 2)


def test_a_source_stands_right_before_what_needs_it() -> None:
    at = nodes(draw([block("a"), block("b", "a"), block("late"), block("c", "b", "late")]))

    assert at["late"].layer == 1


def test_a_long_edge_passes_beside_the_boxes_between() -> None:
    drawing = draw([block("a"), block("b", "a"), block("c", "a", "b")])

    (long,) = [edge for edge in drawing.edges if (edge.source, edge.target) == ("a", "c")]
    passing_y = float(long.path.split("H")[0].split()[-1])
    b = nodes(drawing)["b"]
    assert not b.y <= passing_y <= b.y + b.height


def test_crossed_pairs_are_uncrossed() -> None:
    drawing = draw([block("a"), block("b"), block("x", "b"), block("y", "a")])

    at = nodes(drawing)
    assert (at["a"].y < at["b"].y) == (at["y"].y < at["x"].y)


def test_what_is_never_run_is_not_drawn() -> None:
    drawing = draw([block("a"), block("chart", "a", executable=False)])

    assert [node.uuid for node in drawing.nodes] == ["a"]
    assert drawing.edges == ()


def test_an_upstream_that_is_not_there_is_left_out() -> None:
    drawing = draw([block("a", "gone", "a")])

    assert drawing.edges == ()


def test_a_long_name_is_cut_to_the_box_and_kept_whole_beside() -> None:
    (node,) = draw([block("a" * 80)]).nodes

    assert len(node.label) == LABEL_LENGTH
    assert node.label.endswith("…")
    assert node.name == "a" * 80


def test_a_hundred_wide_and_a_hundred_deep_are_laid_out() -> None:
    wide = draw([block("a"), *(block(f"w{i}", "a") for i in range(100))])
    deep = draw([block("b0"), *(block(f"b{i}", f"b{i - 1}", "b0") for i in range(1, 100))])

    assert wide.height >= 100 * NODE_HEIGHT
    assert deep.nodes[-1].layer == 99


@given(st.lists(st.sets(st.integers(0, 14), max_size=3), min_size=1, max_size=15))
def test_boxes_never_overlap_and_edges_go_right(upstreams: list[set[int]]) -> None:
    drawing = draw([block(str(i), *(str(up) for up in sorted(ups) if up < i)) for i, ups in enumerate(upstreams)])

    at = nodes(drawing)
    assert len(at) == len(upstreams)
    assert all(at[edge.source].layer < at[edge.target].layer for edge in drawing.edges)
    for layer in {node.layer for node in drawing.nodes}:
        column = sorted(node.y for node in drawing.nodes if node.layer == layer)
        assert all(below - above >= NODE_HEIGHT + NODE_GAP - 0.2 for above, below in pairwise(column))
    assert all(0 <= node.y <= drawing.height - node.height for node in drawing.nodes)
