"""Which blocks may start: against a reference that asks each block's ancestors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.readiness import Node, settle, verdict
from runs.states import BLOCK_FINISHED, BlockStatus

DONE, FAILED, REFUSED, OPEN = "completed", "failed", "condition_failed", "running"
QUEUED = BlockStatus.QUEUED


@pytest.mark.parametrize(
    ("rule", "upstream", "expected"),
    [
        ("all_success", [], QUEUED),
        *((rule, [], QUEUED) for rule in ("none_failed", "all_done", "one_success", "one_failed", "all_failed")),
        ("all_success", [DONE, DONE], QUEUED),
        ("all_success", [DONE, OPEN], None),
        ("all_success", [FAILED, OPEN], BlockStatus.UPSTREAM_FAILED),
        ("all_success", [REFUSED, DONE], BlockStatus.CONDITION_FAILED),
        ("all_success", ["cancelled"], BlockStatus.UPSTREAM_FAILED),
        ("none_failed", [REFUSED, DONE], QUEUED),
        ("none_failed", [FAILED, DONE], BlockStatus.UPSTREAM_FAILED),
        ("all_done", [FAILED, OPEN], None),
        ("all_done", [FAILED, REFUSED], QUEUED),
        ("one_success", [OPEN, DONE], QUEUED),
        ("one_success", [OPEN, FAILED], None),
        ("one_success", [FAILED, REFUSED], BlockStatus.UPSTREAM_FAILED),
        ("one_failed", [OPEN, FAILED], QUEUED),
        ("one_failed", [DONE, DONE], BlockStatus.CONDITION_FAILED),
        ("all_failed", [FAILED, OPEN], None),
        ("all_failed", [FAILED, "upstream_failed"], QUEUED),
        ("all_failed", [FAILED, DONE], BlockStatus.CONDITION_FAILED),
    ],
)
def test_a_rule_decides_from_the_upstream_statuses(
    rule: str, upstream: list[str], expected: BlockStatus | None
) -> None:
    assert verdict(Node("initial", [], rule), upstream) == expected


def test_a_failure_is_carried_to_the_last_descendant() -> None:
    nodes = {"a": Node("failed", []), "b": Node("initial", ["a"]), "c": Node("initial", ["b"])}

    assert settle(nodes) == {"b": BlockStatus.UPSTREAM_FAILED, "c": BlockStatus.UPSTREAM_FAILED}


def test_an_upstream_block_left_out_of_the_run_holds_nothing_up() -> None:
    assert settle({"b": Node("initial", ["not_here"])}) == {"b": QUEUED}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Node]:
    size = draw(st.integers(1, 12))
    nodes = {}
    for number in range(size):
        upstream = [f"b{i}" for i in range(number) if draw(st.booleans())]
        statuses = ["initial", "running", "completed", "failed", "condition_failed", "cancelled"]
        status = draw(st.sampled_from(statuses if not upstream else ["initial", "initial", *statuses]))
        nodes[f"b{number}"] = Node(status, upstream)
    return nodes


@given(graphs())
def test_random_graphs_settle_as_their_ancestors_say(nodes: dict[str, Node]) -> None:
    moves = settle(nodes)

    for uuid, node in nodes.items():
        if node.status != "initial":
            assert uuid not in moves
            continue
        states = [moves.get(name, nodes[name].status) for name in node.upstream]
        if any(state in ("failed", "upstream_failed", "cancelled") for state in states):
            assert moves[uuid] == BlockStatus.UPSTREAM_FAILED
        elif "condition_failed" in states:
            assert moves[uuid] == BlockStatus.CONDITION_FAILED
        elif all(state in BLOCK_FINISHED for state in states):
            assert moves[uuid] == QUEUED
        else:
            assert uuid not in moves
