"""Which blocks of a run may start, and which never will. Pure: statuses in, moves out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runs.states import BLOCK_FINISHED, BlockStatus

# Ready as soon as all upstream blocks are finished and none of them stood in the way before.
PLAIN_RULES = frozenset({"all_success", "none_failed", "all_done"})
FAILED = frozenset({BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED, BlockStatus.CANCELLED})


@dataclass(frozen=True)
class Node:
    """A block run as far as its readiness goes."""

    status: str
    upstream: Sequence[str]
    rule: str = "all_success"


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
    """Return the move of every initial block whose fate is known, failures carried through to the last descendant.

    An upstream block that is not among `nodes` (it was left out of the run) does not hold anything up.
    """
    statuses = {uuid: node.status for uuid, node in nodes.items()}
    moves: dict[str, BlockStatus] = {}
    changed = True
    while changed:
        changed = False
        for uuid, node in nodes.items():
            if statuses[uuid] != BlockStatus.INITIAL or uuid in moves:
                continue
            move = verdict(node, [statuses[name] for name in node.upstream if name in statuses])
            if move is not None:
                moves[uuid] = move
                changed = True
                if move in BLOCK_FINISHED:
                    statuses[uuid] = move
    return moves
