"""A unified diff for people: line by line, or with the old text beside the new. Text in, lines out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

PLACE = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Side(NamedTuple):
    """A line of one of the two texts by its number; None: the text has no line here."""

    number: int | None = None
    text: str = ""


class Pair(NamedTuple):
    """Two lines that stand beside each other. `tone` is "changed", "place" for a gap between hunks, or ""."""

    old: Side
    new: Side
    tone: str = ""


@dataclass
class Hunk:
    """Reads on where in both texts it is, and keeps what was taken away until what was put there is known."""

    old: int = 1
    new: int = 1
    taken: list[str] = field(default_factory=list)
    put: list[str] = field(default_factory=list)

    def changed(self) -> Iterator[Pair]:
        for place in range(max(len(self.taken), len(self.put))):
            yield Pair(self.next_old(place), self.next_new(place), "changed")
        self.taken, self.put = [], []

    def next_old(self, place: int) -> Side:
        if place >= len(self.taken):
            return Side()
        self.old += 1
        return Side(self.old - 1, self.taken[place])

    def next_new(self, place: int) -> Side:
        if place >= len(self.put):
            return Side()
        self.new += 1
        return Side(self.new - 1, self.put[place])

    def same(self, text: str) -> Pair:
        self.old, self.new = self.old + 1, self.new + 1
        return Pair(Side(self.old - 1, text), Side(self.new - 1, text))


def side_by_side(diff: str) -> Iterator[Pair]:
    """Yield what a unified diff (without time stamps) says, two lines at a time; nothing for what is no diff."""
    hunk, is_inside = Hunk(), False
    for line in diff.split("\n"):
        if place := PLACE.match(line):
            yield from hunk.changed()
            if is_inside:
                yield Pair(Side(text="…"), Side(text="…"), "place")
            hunk, is_inside = Hunk(int(place[1]), int(place[2])), True
        elif not is_inside:
            continue
        elif line.startswith("-"):
            hunk.taken.append(line[1:])
        elif line.startswith("+"):
            hunk.put.append(line[1:])
        else:
            yield from hunk.changed()
            if line.startswith(" "):
                yield hunk.same(line[1:])
            elif line:
                yield Pair(Side(text=line), Side(text=line), "place")
    yield from hunk.changed()
