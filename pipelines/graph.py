"""The graph of a pipeline's blocks: values in, values out. No disk, no database, no Django."""

import difflib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

from pipelines.refusal import Refusal

EXECUTABLE_TYPES = ("data_loader", "transformer", "data_exporter", "custom", "sensor")
# Kinds of block that a run would have to execute, and that nothing here can.
UNSUPPORTED_TYPES = ("dbt", "global_data_product", "hook", "dynamic_child", "group", "pipeline")
# These are drawn or attached to other blocks; a run has no block run for them.
OTHER_TYPES = ("scratchpad", "chart", "markdown", "callback", "conditional", "extension")
TRIGGER_RULES = ("all_success", "all_done", "all_failed", "one_success", "one_failed", "none_failed")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One entry of a pipeline's metadata.yaml. Times are seconds.

    `upstream` are the blocks whose outputs it gets, in that order; `file` is its code, relative to the project;
    `callbacks` and `conditions` name blocks of the same graph; `outcomes` are those that a callback has functions for
    (success, failure, cancelled); `secrets` the secrets its code or configuration asks
    for by literal name; `unsupported` is "" or the reason why it cannot be executed here.
    """

    uuid: str
    name: str = ""
    type: str = "custom"
    language: str = "python"
    upstream: tuple[str, ...] = ()
    file: str | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    executor_type: str | None = None
    executor_config: Mapping[str, Any] = field(default_factory=dict)
    retry_config: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    priority: int = 0
    pool: str | None = None
    pool_slots: int = 1
    resources: Mapping[str, Any] = field(default_factory=dict)
    trigger_rule: str = "all_success"
    sla: float | None = None
    heartbeat_timeout: float | None = None
    poke_interval: float = 60.0
    poke_timeout: float | None = None
    soft_fail: bool = False
    callbacks: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    replicated_block: str | None = None
    dynamic: bool = False
    reduce_output: bool = False
    outcomes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    unsupported: str = ""

    @property
    def executable(self) -> bool:
        """Whether a run gets a block run for it (which fails with `unsupported`, where that says something)."""
        return self.type not in OTHER_TYPES

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read an entry of `Graph.as_dict()`; keys that this version does not know are dropped."""
        known: dict[str, Any] = {key: value for key, value in data.items() if key in FIELDS}
        return cls(**known | {key: tuple(known[key]) for key in TUPLES & known.keys()})


FIELDS = tuple(each.name for each in fields(Block))
TUPLES = frozenset({"upstream", "callbacks", "conditions", "outcomes", "secrets"})


class Fault(NamedTuple):
    """What is wrong with a graph, and the block to blame ("" for the pipeline itself)."""

    block: str
    message: str
    hint: str = ""


class InvalidGraph(Refusal):
    """The blocks don't make a graph; `faults` has every reason, the message the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].message, field="blocks", hint=faults[0].hint, code="invalid_pipeline")
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Graph:
    """Blocks in an order in which each comes after its upstream; among equals, in the order of the file."""

    blocks: tuple[Block, ...]

    @cached_property
    def _by_uuid(self) -> dict[str, Block]:
        return {block.uuid: block for block in self.blocks}

    @cached_property
    def _downstream(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {block.uuid: [] for block in self.blocks}
        for block in self.blocks:
            for uuid in block.upstream:
                found[uuid].append(block.uuid)
        return {uuid: tuple(uuids) for uuid, uuids in found.items()}

    @property
    def executable(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.executable)

    def get(self, uuid: str) -> Block:
        """Return the block; refuse an unknown one with the nearest names."""
        if block := self._by_uuid.get(uuid):
            return block
        hint = nearest(uuid, self._by_uuid) or f"Blocks: {', '.join(self._by_uuid)[:200]}."
        raise Refusal(
            f"There is no block {uuid[:80]!r} in this pipeline.", field="block", hint=hint, code="unknown_block"
        )

    def downstream(self, uuid: str) -> tuple[str, ...]:
        return self._downstream[self.get(uuid).uuid]

    def descendants(self, uuid: str) -> tuple[str, ...]:
        """All that depends on the block, directly or not, in topological order."""
        found = set(self.downstream(uuid))
        for block in self.blocks:
            if not found.isdisjoint(block.upstream):
                found.add(block.uuid)
        return tuple(block.uuid for block in self.blocks if block.uuid in found)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON: every field of each block, and what it has downstream, and whether it is executable."""
        return {
            "blocks": [
                {name: jsonable(getattr(block, name)) for name in FIELDS}
                | {"downstream": list(self._downstream[block.uuid]), "executable": block.executable}
                for block in self.blocks
            ]
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote; trusted to be in order and valid, as that was."""
        return cls(tuple(Block.from_dict(entry) for entry in data["blocks"]))


def build(blocks: Iterable[Block]) -> Graph:
    """Order blocks into a graph; raise InvalidGraph for duplicates, unknown upstream, a cycle, or nothing to run.

    Blocks that are not run (scratchpads, charts, callbacks, …) hold nobody up: they lose their upstream and leave
    that of the others.
    """
    entries = list(blocks)
    if faults := [*duplicates(entries), *unknown_upstream(entries)]:
        raise InvalidGraph(faults)
    if not any(block.executable for block in entries):
        raise InvalidGraph(
            [Fault("", "The pipeline has no block to run.", f"Add a block: {', '.join(EXECUTABLE_TYPES)}.")]
        )
    run = {block.uuid for block in entries if block.executable}
    return Graph(tuple(in_order([with_upstream_among(run, block) for block in entries])))


def duplicates(blocks: Sequence[Block]) -> list[Fault]:
    """Return a fault for each uuid that came before, in any case of its letters: some disks tell no difference."""
    hint = "Give one of them another uuid."
    seen: dict[str, str] = {}
    faults = []
    for block in blocks:
        if (key := block.uuid.casefold()) not in seen:
            seen[key] = block.uuid
        elif seen[key] == block.uuid:
            faults.append(Fault(block.uuid, f"There are two blocks {block.uuid!r}.", hint))
        else:
            twins = f"The blocks {seen[key]!r} and {block.uuid!r} differ only in upper and lower case."
            faults.append(Fault(block.uuid, twins, hint))
    return faults


def unknown_upstream(blocks: Sequence[Block]) -> list[Fault]:
    known = {block.uuid for block in blocks}
    return [
        Fault(block.uuid, f"Block {block.uuid!r} has an unknown upstream block {uuid[:80]!r}.", nearest(uuid, known))
        for block in blocks
        if block.executable
        for uuid in block.upstream
        if uuid not in known
    ]


def with_upstream_among(run: set[str], block: Block) -> Block:
    upstream = dict.fromkeys(block.upstream) if block.executable else ()
    return replace(block, upstream=tuple(uuid for uuid in upstream if uuid in run))


def in_order(blocks: Sequence[Block]) -> list[Block]:
    """Sort topologically (Kahn); of the blocks that are ready, the first in the file comes first."""
    place = {block.uuid: index for index, block in enumerate(blocks)}
    waiting_for = [len(block.upstream) for block in blocks]
    downstream: list[list[int]] = [[] for _ in blocks]
    for index, block in enumerate(blocks):
        for uuid in block.upstream:
            downstream[place[uuid]].append(index)
    ready = [index for index, count in enumerate(waiting_for) if not count]
    ordered = []
    while ready:
        index = heapq.heappop(ready)
        ordered.append(blocks[index])
        for later in downstream[index]:
            waiting_for[later] -= 1
            if not waiting_for[later]:
                heapq.heappush(ready, later)
    if len(ordered) < len(blocks):
        raise InvalidGraph([cycle_among([block for block in blocks if waiting_for[place[block.uuid]]])])
    return ordered


def cycle_among(blocks: Sequence[Block]) -> Fault:
    """Describe one cycle: each of these blocks has one of them upstream, so walking up must come around."""
    upstream = {block.uuid: block.upstream for block in blocks}
    walked: list[str] = []
    uuid = blocks[0].uuid
    while uuid not in walked:
        walked.append(uuid)
        uuid = next(each for each in upstream[uuid] if each in upstream)
    around = walked[walked.index(uuid) :][::-1]
    first = next(block.uuid for block in blocks if block.uuid in around)
    start = around.index(first)
    path = [*around[start:], *around[:start], first]
    shown = " → ".join(path if len(path) <= 12 else [*path[:10], "…", first])
    return Fault(first, f"cycle: {shown}", "Remove one of these from upstream_blocks.")


def nearest(name: str, names: Iterable[str]) -> str:
    """Say "Did you mean …?" for names that look alike, or ""."""
    close = difflib.get_close_matches(name[:200], list(names), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else ""


def jsonable(value: Any) -> Any:
    """Turn tuples into lists, all the way down, so that a value equals what comes back from JSON."""
    if isinstance(value, Mapping):
        return {key: jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    return value
