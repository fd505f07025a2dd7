"""Lays a pipeline's graph out in layers, from left to right, for an SVG. Pure: blocks in, coordinates out.

The usual four steps (Sugiyama): give each block a layer, put stand-ins where an edge crosses layers, order each layer
so that few edges cross, then place them so that edges run straight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

NODE_WIDTH, NODE_HEIGHT = 184, 38
LAYER_GAP, NODE_GAP, LANE_GAP = 42, 10, 16  # between layers; between blocks; around an edge that passes a layer
MARGIN = 8
SWEEPS = 12
LABEL_LENGTH = 19


@dataclass(frozen=True, kw_only=True)
class Node:
    """A block as a box; `x`, `y` are its top left corner."""

    uuid: str
    name: str
    label: str  # the name, cut to fit the box
    type: str
    layer: int
    x: float
    y: float
    width: int = NODE_WIDTH
    height: int = NODE_HEIGHT


@dataclass(frozen=True, kw_only=True)
class Edge:
    source: str
    target: str
    path: str  # the `d` of an SVG path


@dataclass(frozen=True, kw_only=True)
class Drawing:
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class Box(NamedTuple):
    """What of a block is drawn."""

    uuid: str
    name: str
    type: str
    upstream: tuple[str, ...]


@dataclass(eq=False)
class Spot:
    """Something that takes a place in a layer: a block, or a stand-in for an edge on its way."""

    layer: int
    block: Box | None = None
    before: "list[Spot]" = field(default_factory=list)
    after: "list[Spot]" = field(default_factory=list)
    order: float = 0
    y: float = 0  # of its middle

    @property
    def room(self) -> float:
        """Half the height it needs for itself and its distance from others."""
        return (NODE_HEIGHT + NODE_GAP) / 2 if self.block else LANE_GAP / 2


def draw(blocks: Iterable[Mapping[str, Any]]) -> Drawing:
    """Lay out the executable blocks of `Graph.as_dict()["blocks"]`; upstreams that are not there are left out."""
    shown = {block["uuid"]: block for block in blocks if block.get("executable", True)}
    return lay_out(tuple(box(block, shown) for block in shown.values()))


def box(block: Mapping[str, Any], shown: Mapping[str, Any]) -> Box:
    upstream = tuple(up for up in dict.fromkeys(block.get("upstream", ())) if up in shown and up != block["uuid"])
    return Box(block["uuid"], block.get("name") or block["uuid"], block.get("type", ""), upstream)


@lru_cache(maxsize=512)
def lay_out(boxes: tuple[Box, ...]) -> Drawing:
    shown = {box.uuid: box for box in boxes}
    layers = layer_of_each(shown)
    spots = {uuid: Spot(layer=layers[uuid], block=box) for uuid, box in shown.items()}
    lanes = [lane(spots[up], spots[uuid]) for uuid, box in shown.items() for up in box.upstream]
    rows = rows_of(spots.values(), lanes)
    untangle(rows)
    straighten(rows)
    return finished(rows, lanes)


def layer_of_each(shown: Mapping[str, Box]) -> dict[str, int]:
    """Put every block after its last upstream, and a block without upstream right before its first downstream."""
    layers: dict[str, int] = {}
    downstream: dict[str, list[str]] = {uuid: [] for uuid in shown}
    for box in shown.values():
        for up in box.upstream:
            downstream[up].append(box.uuid)
    waiting = {uuid: len(box.upstream) for uuid, box in shown.items()}
    ready = [uuid for uuid, count in waiting.items() if not count]
    for uuid in ready:
        layers[uuid] = 1 + max((layers[up] for up in shown[uuid].upstream), default=-1)
        for down in downstream[uuid]:
            waiting[down] -= 1
            if not waiting[down]:
                ready.append(down)
    for uuid, box in shown.items():
        layers.setdefault(uuid, 0)  # part of a cycle: never in a valid graph
        if downstream[uuid] and not box.upstream:
            layers[uuid] = max(0, min(layers.get(down, 1) for down in downstream[uuid]) - 1)
    return layers


def lane(source: Spot, target: Spot) -> list[Spot]:
    """Join two blocks, with a stand-in in every layer between them; return all spots on the way."""
    stand_ins = [Spot(layer=layer) for layer in range(source.layer + 1, target.layer)]
    way = [source, *stand_ins, target]
    for left, right in zip(way, way[1:], strict=False):
        left.after.append(right)
        right.before.append(left)
    return way


def rows_of(spots: Iterable[Spot], lanes: Sequence[Sequence[Spot]]) -> list[list[Spot]]:
    everything = [*spots, *(spot for way in lanes for spot in way[1:-1])]
    rows: list[list[Spot]] = [[] for _ in range(max((spot.layer for spot in everything), default=-1) + 1)]
    for spot in everything:
        rows[spot.layer].append(spot)
    for row in rows:
        number(row)
    return rows


def number(row: list[Spot]) -> None:
    for index, spot in enumerate(row):
        spot.order = index


def untangle(rows: list[list[Spot]]) -> None:
    """Order each layer by where its neighbors are, forth and back; keep the order with the fewest crossings."""
    best, fewest = [list(row) for row in rows], crossings(rows)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        forth = sweep % 2 == 0
        for row in rows if forth else reversed(rows):
            row.sort(key=lambda spot: mean_order(spot.before if forth else spot.after, spot.order))
            number(row)
        if (count := crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows], count
    rows[:] = best
    for row in rows:
        number(row)


def mean_order(neighbors: Sequence[Spot], own: float) -> float:
    return sum(spot.order for spot in neighbors) / len(neighbors) if neighbors else own


def crossings(rows: Sequence[Sequence[Spot]]) -> int:
    """Count how many pairs of edges cross, as the inversions of their ends (a Fenwick tree: n log n)."""
    total = 0
    for row, following in zip(rows, rows[1:], strict=False):
        ends = [int(right.order) for left in row for right in sorted(left.after, key=lambda spot: spot.order)]
        tree = [0] * (len(following) + 1)
        for seen, end in enumerate(ends):
            total += seen - prefix(tree, end + 1)
            add(tree, end + 1)
    return total


def prefix(tree: Sequence[int], position: int) -> int:
    total = 0
    while position:
        total += tree[position]
        position &= position - 1
    return total


def add(tree: list[int], position: int) -> None:
    while position < len(tree):
        tree[position] += 1
        position += position & -position


def straighten(rows: Sequence[Sequence[Spot]]) -> None:
    """Move every spot as near to its neighbors' middle as its row allows."""
    for row in rows:
        place(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for row in rows if forth else reversed(rows):
            place(row, [wish(spot, forth=forth, last=sweep >= SWEEPS - 2) for spot in row])


def wish(spot: Spot, *, forth: bool, last: bool) -> float:
    neighbors = [*spot.before, *spot.after] if last else (spot.before if forth else spot.after)
    return sum(other.y for other in neighbors) / len(neighbors) if neighbors else spot.y


def place(row: Sequence[Spot], wishes: Sequence[float]) -> None:
    """Set `y` in the row's order, at least their rooms apart, with the least squared distance from the wishes.

    With each spot's own offset taken off this is isotonic regression: neighbors that would overlap form a group
    that sits at the mean of its wishes.
    """
    offsets: list[float] = []
    for spot in row:
        offsets.append(offsets[-1] + row[len(offsets) - 1].room + spot.room if offsets else 0.0)
    groups: list[tuple[float, int]] = []  # (sum of wishes, how many)
    for wanted, offset in zip(wishes, offsets, strict=True):
        total, count = wanted - offset, 1
        while groups and groups[-1][0] / groups[-1][1] > total / count:
            before = groups.pop()
            total, count = total + before[0], count + before[1]
        groups.append((total, count))
    means = [total / count for total, count in groups for _ in range(count)]
    for spot, mean, offset in zip(row, means, offsets, strict=True):
        spot.y = mean + offset


def finished(rows: Sequence[Sequence[Spot]], lanes: Sequence[Sequence[Spot]]) -> Drawing:
    everything = [spot for row in rows for spot in row]
    top = min((spot.y for spot in everything), default=0.0) - NODE_HEIGHT / 2 - MARGIN
    for spot in everything:
        spot.y = round(spot.y - top, 1)
    bottom = max((spot.y for spot in everything), default=0.0) + NODE_HEIGHT / 2 + MARGIN
    width = len(rows) * (NODE_WIDTH + LAYER_GAP) - LAYER_GAP + 2 * MARGIN if rows else 0
    return Drawing(
        width=width,
        height=round(bottom, 1) if rows else 0,
        nodes=tuple(node(spot) for spot in everything if spot.block),
        edges=tuple(edge(way) for way in lanes),
    )


def left(spot: Spot) -> float:
    return MARGIN + spot.layer * (NODE_WIDTH + LAYER_GAP)


def node(spot: Spot) -> Node:
    block = spot.block
    assert block
    return Node(
        uuid=block.uuid,
        name=block.name,
        label=block.name if len(block.name) <= LABEL_LENGTH else block.name[: LABEL_LENGTH - 1] + "…",
        type=block.type.replace("_", " "),
        layer=spot.layer,
        x=left(spot),
        y=round(spot.y - NODE_HEIGHT / 2, 1),
    )


def edge(way: Sequence[Spot]) -> Edge:
    """Draw a curve that leaves and enters boxes level and runs straight through the layers between."""
    source, target = way[0], way[-1]
    assert source.block
    assert target.block
    x, y = left(source) + NODE_WIDTH, source.y
    parts = [f"M{x:g} {y:g}"]
    for spot in way[1:]:
        to_x = left(spot)
        half = (to_x - x) / 2
        parts.append(f"C{x + half:g} {y:g} {to_x - half:g} {spot.y:g} {to_x:g} {spot.y:g}")
        x, y = to_x, spot.y
        if not spot.block:
            x += NODE_WIDTH
            parts.append(f"H{x:g}")
    return Edge(source=source.block.uuid, target=target.block.uuid, path="".join(parts))
