"""How the rows of a run stand, without their wide columns: a run may have thousands."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from runs.models import PipelineRun, Role
from runs.readiness import Node
from runs.states import BLOCK_FINISHED, BlockStatus


class Row(NamedTuple):
    """A block run without its wide columns."""

    pk: int
    uuid: str
    status: str
    upstream: Sequence[str]
    rule: str
    pending: int
    parent: int | None
    members_total: int | None
    # of a block of the graph
    dimensions: Sequence[str] = ()
    is_dynamic: bool = False
    reduces: bool = False

    @property
    def is_expanded(self) -> bool:
        return self.members_total is not None

    @property
    def is_to_expand(self) -> bool:
        return bool(self.dimensions) and not self.is_expanded


NARROW = ("pk", "block_uuid", "status", "upstream", "trigger_rule", "pending", "parent_id", "members_total")
OF_GRAPH = ("config__dimensions", "config__dynamic", "config__reduce_output")


def rows_of(run: PipelineRun) -> dict[str, Row]:
    """Return the blocks of a run and their members by uuid, in topological order."""
    blocks = run.block_runs.filter(role=Role.BLOCK).order_by("position", "id").values_list(*NARROW, *OF_GRAPH)
    found = {values[1]: row_of(values) for values in blocks}
    if any(row.is_expanded or row.dimensions for row in found.values()):
        members = run.block_runs.filter(role=Role.MEMBER).order_by("position", "id").values_list(*NARROW)
        found |= {values[1]: row_of(values) for values in members}
    return found


def row_of(values: Sequence[Any]) -> Row:
    dimensions, is_dynamic, reduces = values[len(NARROW) :] or ((), False, False)
    row = Row._make((*values[: len(NARROW)], (), False, False))
    return row._replace(dimensions=dimensions or (), is_dynamic=bool(is_dynamic), reduces=bool(reduces))


def nodes_of(rows: Mapping[str, Row]) -> dict[str, Node]:
    """Return the rows as far as their readiness goes."""
    members: dict[int, list[str]] = defaultdict(list)
    for row in rows.values():
        if row.parent is not None:
            members[row.parent].append(row.uuid)
    to_expand = {row.pk: row.uuid for row in rows.values() if row.is_to_expand}
    nodes = {}
    for uuid, row in rows.items():
        if row.parent in to_expand:
            nodes[uuid] = Node(row.status, (to_expand[row.parent],), held=True)
        elif row.is_expanded:
            nodes[uuid] = Node(row.status, row.dimensions, members=members[row.pk])
        elif row.dimensions:
            nodes[uuid] = Node(row.status, row.dimensions)
        else:
            nodes[uuid] = Node(row.status, row.upstream, row.rule)
    return nodes


def open_upstream(rows: Mapping[str, Row], moves: Mapping[str, BlockStatus]) -> dict[str, int]:
    """Return for what stays initial how many it waits for; for what has members, how many of them are open."""
    is_open = {uuid for uuid, row in rows.items() if moves.get(uuid, row.status) not in BLOCK_FINISHED}
    nodes, found = nodes_of(rows), {}
    for uuid, node in nodes.items():
        if node.members is not None and uuid in is_open:
            found[uuid] = sum(name in is_open for name in node.members)
        elif node.status == BlockStatus.INITIAL and uuid not in moves:
            found[uuid] = sum(name in is_open for name in node.upstream)
    return found
