"""Which blocks of a run may start, and which never will. Pure: statuses in, moves out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from runs.states import BLOCK_FINISHED, BlockStatus

# Ready as soon as all upstream blocks are finished and none of them stood in the way before.
PLAIN_RULES = frozenset({"all_success", "none_failed", "all_done"})
FAILED = frozenset({BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED, BlockStatus.CANCELLED})


@dataclass(frozen=True)
class Node:
    """A block run as far as its readiness goes.

    A block that was expanded has `members` and ends as they do. A member `held` has its block as upstream: that is to
    be expanded again (a retry), and until then nobody knows whether there will be such a member.
    """

    status: str
    upstream: Sequence[str]
    rule: str = "all_success"
    members: Sequence[str] | None = None
    held: bool = False


def verdict(node: Node, upstream: Sequence[str]) -> BlockStatus | None:
    """Say where an initial block goes, given its upstream blocks' statuses; None while that is open."""
    if not upstream:  # nothing to ask a rule about
        return BlockStatus.QUEUED
    failed = sum(status in FAILED for status in upstream)
    refused = sum(status == BlockStatus.CONDITION_FAILED for status in upstream)
    succeeded = sum(status == BlockStatus.COMPLETED for status in upstream)
    all_done = all(status in BLOCK_FINISHED for status in upstream)
    if node.rule == "all_done":
        return BlockStatus.QUEUED if all_done else None
    if node.rule == "one_success":
        return BlockStatus.QUEUED if succeeded else BlockStatus.UPSTREAM_FAILED if all_done else None
    if node.rule == "one_failed":
        return BlockStatus.QUEUED if failed else BlockStatus.CONDITION_FAILED if all_done else None
    if node.rule == "all_failed":
        if len(upstream) > failed and all_done:
            return BlockStatus.CONDITION_FAILED
        return BlockStatus.QUEUED if all_done else None
    if failed:
        return BlockStatus.UPSTREAM_FAILED
    if refused and node.rule != "none_failed":
        return BlockStatus.CONDITION_FAILED
    return BlockStatus.QUEUED if all_done else None


def settle(nodes: Mapping[str, Node]) -> dict[str, BlockStatus]:
    """Return the move of every block whose fate is known, failures carried through to the last descendant.

    An upstream block that is not among `nodes` (it was left out of the run) does not hold anything up. Blocks with
    members are WAITING until those have ended.
    """
    statuses = {uuid: node.status for uuid, node in nodes.items()}
    moves: dict[str, BlockStatus] = {}
    for uuid in in_order(nodes):
        move = move_of(nodes[uuid], statuses)
        if move is not None and move != statuses[uuid]:
            moves[uuid] = move
            if move in BLOCK_FINISHED:
                statuses[uuid] = move
    return moves


def in_order(nodes: Mapping[str, Node]) -> Iterable[str]:
    """Sort so that each comes after what it depends on, in time that grows with what there is to sort."""
    graph: dict[str, Collection[str]] = {
        uuid: (*node.upstream, *node.members) if node.members else node.upstream for uuid, node in nodes.items()
    }
    return (uuid for uuid in TopologicalSorter(graph).static_order() if uuid in nodes)


def move_of(node: Node, statuses: Mapping[str, str]) -> BlockStatus | None:
    """Say where a block run goes, given the statuses of the others; None where it stays."""
    if node.members is not None:
        if node.status not in (BlockStatus.INITIAL, BlockStatus.WAITING):
            return None
        return end_of([statuses[name] for name in node.members if name in statuses]) or BlockStatus.WAITING
    if node.status != BlockStatus.INITIAL:
        return None
    move = verdict(node, [statuses[name] for name in node.upstream if name in statuses])
    return BlockStatus.CONDITION_FAILED if node.held and move == BlockStatus.QUEUED else move


def end_of(members: Collection[str]) -> BlockStatus | None:
    """Say how a block ends whose members stand like this; None while one of them is open."""
    found = set(members)
    if not found <= BLOCK_FINISHED:
        return None
    if found & {BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED}:
        return BlockStatus.FAILED
    if BlockStatus.CANCELLED in found:
        return BlockStatus.CANCELLED
    return BlockStatus.CONDITION_FAILED if found == {BlockStatus.CONDITION_FAILED} else BlockStatus.COMPLETED
