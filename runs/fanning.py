"""What is below a dynamic block runs once for each of its items: over which blocks' items, and as which members. Pure.

The dimensions of a block are the dynamic blocks whose items it runs over, in order. A dynamic block may have
dimensions itself (it is run many times and returns items each time): its items then differ from member to member.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

LONGEST_UUID = 255
Index = tuple[int, ...]


class TooMany(Exception):
    """There are more members than may be; its argument says how many, at least."""


class Item(NamedTuple):
    """One item: the block run that returned it, and its number among what that one returned, from 0."""

    row: str
    number: int


@dataclass(frozen=True)
class Member:
    """One of the many that a block is run as: an index and a name for each dimension, and the item of each."""

    index: Index = ()
    names: tuple[str, ...] = ()
    items: Mapping[str, Item] = field(default_factory=dict)  # by dynamic block


@dataclass(frozen=True)
class Source:
    """A block run that returned items: the dynamic block itself (index ()), or one of its members."""

    row: str
    index: Index
    count: int
    names: Sequence[str] | None = None


@dataclass(frozen=True)
class Dimension:
    """The items of a dynamic block.

    `within`: which of the dimensions before it choose the member whose items they are; none for a block that is run
    once, or that gathers (`reduce_output`) what its members returned.
    """

    block: str
    within: tuple[int, ...]
    sources: Sequence[Source]

    @cached_property
    def by_index(self) -> dict[Index, Source]:
        return {source.index: source for source in self.sources}

    def at(self, index: Index) -> Sequence[Source]:
        """Return those whose items count below a member of the dimensions before."""
        if not self.within:
            return self.sources
        source = self.by_index.get(tuple(index[place] for place in self.within))
        return [source] if source else []


def dimensions_of(entries: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the dimensions of every block of a graph, in topological order; upstreams that are not there count not.

    The same dimension by way of two parents is one: its members are aligned. Different ones multiply.
    """
    found: dict[str, tuple[str, ...]] = {}
    handed_on: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        uuid = entry["uuid"]
        found[uuid] = tuple(dict.fromkeys(each for up in entry["upstream"] for each in handed_on.get(up, ())))
        kept = () if entry.get("reduce_output") else found[uuid]
        handed_on[uuid] = (*kept, uuid) if entry.get("dynamic") else kept
    return found


def within(
    block: str, entries: Mapping[str, Mapping[str, Any]], dimensions: Mapping[str, Sequence[str]], below: Sequence[str]
) -> tuple[int, ...]:
    """Return the places, among the dimensions `below` a dynamic block, of its own."""
    if entries[block].get("reduce_output"):
        return ()
    return tuple(below.index(each) for each in dimensions[block])


def members_of(dimensions: Sequence[Dimension], most: int) -> list[Member]:
    """Return a block's members in the order of their indexes; raise TooMany before there are more than `most`."""
    found = [Member()]
    for dimension in dimensions:
        chosen = [dimension.at(member.index) for member in found]
        if (count := sum(source.count for sources in chosen for source in sources)) > most:
            raise TooMany(count)
        found = [
            Member((*member.index, place), (*member.names, name), {**member.items, dimension.block: item})
            for member, sources in zip(found, chosen, strict=True)
            for place, name, item in items_of(sources)
        ]
    return found


def items_of(sources: Sequence[Source]) -> Iterator[tuple[int, str, Item]]:
    """Yield place, name and item of everything that these returned; several are counted through."""
    place = 0
    for source in sources:
        names = source.names if len(sources) == 1 else None
        for number in range(source.count):
            yield place, names[number] if names else str(place), Item(source.row, number)
            place += 1


def uuid_of(block: str, member: Member) -> str:
    """Return the uuid of a member: the block's and the names, "block:a:b"; one that is too long ends in a digest."""
    uuid = ":".join((block, *member.names))
    if len(uuid) <= LONGEST_UUID:
        return uuid
    digest = hashlib.sha256(uuid.encode()).hexdigest()[:16]
    return f"{uuid[: LONGEST_UUID - 17]}~{digest}"


def projected(index: Index, dimensions: Sequence[str], onto: Sequence[str]) -> Index:
    """Return the part of a member's index that says which member it belongs to of a block with fewer dimensions."""
    return tuple(index[dimensions.index(each)] for each in onto)
