"""A closed log as one compressed file that is still read by offset.

It is gzip, and `zcat` reads it: members of some hundred KB each, and at the end an empty member whose header holds
where each of them begins, in the log and in the file. What was left out of a long log is a gap between two members.
"""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol

MEMBER = 256 * 1024  # bytes of the log in one member, at least
MOST_MEMBERS = 3000
ENTRY = struct.Struct("<QQI")  # offset in the log, place in the file, bytes of the log
HEAD = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff"  # gzip with an extra field, no time
NAME = b"OL"
TAIL = b"\x03\0" + b"\0" * 8  # nothing, its checksum and its length
LONGEST_INDEX = 2 + 65535 + len(HEAD) + len(TAIL)
GZIP = 31  # to zlib: with gzip's header and checksum
LEVEL = 4


class Source(Protocol):
    """A file somewhere that can be read in pieces. Hashable: what was read of it is kept a while."""

    @property
    def size(self) -> int: ...

    def __hash__(self) -> int: ...

    def read(self, at: int, limit: int) -> bytes: ...


class Readable(Protocol):
    """A stretch of a log."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    def read(self, at: int, limit: int) -> bytes: ...


@dataclass(frozen=True)
class Member:
    start: int
    place: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine; `stamp` tells one file from another that took its place."""

    path: Path
    size: int
    stamp: int

    @classmethod
    def at(cls, path: Path) -> "LocalFile":
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    def read(self, at: int, limit: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(at)
            return file.read(limit)


@dataclass(frozen=True)
class Archived:
    """Members without a gap between them, as one stretch of a log."""

    source: Source
    members: tuple[Member, ...]
    ends: tuple[int, ...]  # of the members, in the file

    @property
    def start(self) -> int:
        return self.members[0].start

    @property
    def end(self) -> int:
        return self.members[-1].end

    def read(self, at: int, limit: int) -> bytes:
        number = bisect_right(self.members, at, key=lambda member: member.start) - 1
        found = b""
        while len(found) < limit and number < len(self.members):
            member = self.members[number]
            data = unpacked(self.source, member.place, self.ends[number] - member.place)
            skip = at + len(found) - member.start
            found += data[skip : skip + limit - len(found)]
            number += 1
        return found


@lru_cache(maxsize=16)
def unpacked(source: Source, place: int, length: int) -> bytes:
    return zlib.decompress(source.read(place, length), GZIP)


def write(parts: Sequence[Readable], file: BinaryIO) -> None:
    """Write the parts of a log, compressed, with their index."""
    size = max(MEMBER, -(-sum(part.end - part.start for part in parts) // MOST_MEMBERS))
    index = b""
    for start, data in pieces(parts, size):
        index += ENTRY.pack(start, file.tell(), len(data))
        file.write(zlib.compress(data, LEVEL, GZIP))
    extra = NAME + struct.pack("<H", len(index)) + index
    file.write(HEAD + struct.pack("<H", len(extra)) + extra + TAIL)


def pieces(parts: Sequence[Readable], size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the log in pieces of a size, smaller only before a gap, with their offsets."""
    begin, held = 0, b""
    for part in parts:
        if held and begin + len(held) != part.start:
            yield begin, held
            held = b""
        begin = begin if held else part.start
        at = part.start
        while at < part.end and (data := part.read(at, min(size - len(held), part.end - at))):
            held, at = held + data, at + len(data)
            if len(held) == size:
                yield begin, held
                begin, held = at, b""
    if held:
        yield begin, held


def parts(source: Source) -> list[Archived]:
    """Return the stretches of a log that a file holds; none if it is not one of ours, or empty."""
    members, end = index_of(source)
    ends = (*(member.place for member in members[1:]), end)
    runs: list[list[int]] = []
    for number, member in enumerate(members):
        if runs and members[number - 1].end == member.start:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [Archived(source, tuple(members[n] for n in run), tuple(ends[n] for n in run)) for run in runs]


@lru_cache(maxsize=64)
def index_of(source: Source) -> tuple[tuple[Member, ...], int]:
    """Return the members, and where they end in the file."""
    begin = max(0, source.size - LONGEST_INDEX)
    tail = source.read(begin, LONGEST_INDEX)
    place = len(tail)
    while (place := tail.rfind(HEAD, 0, place)) >= 0:
        extra = tail[place + len(HEAD) + 2 : -len(TAIL)]
        if tail[place + len(HEAD) : place + len(HEAD) + 2] == struct.pack("<H", len(extra)) and extra[:2] == NAME:
            return tuple(Member(*entry) for entry in ENTRY.iter_unpack(extra[4:])), begin + place
    return (), 0


# --- several of them --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rest:
    """A stretch of a log without its beginning, which another has too."""

    part: Readable
    start: int

    @property
    def end(self) -> int:
        return self.part.end

    def read(self, at: int, limit: int) -> bytes:
        return self.part.read(at, limit)


def joined(found: Iterable[Readable]) -> list[Readable]:
    """Return stretches of one log in order, each byte once, wherever it lies twice."""
    whole: list[Readable] = []
    covered = 0
    for part in sorted(found, key=lambda part: (part.start, -part.end)):
        if not whole or part.start >= covered:
            whole.append(part)
        elif part.end > covered:
            whole.append(Rest(part, covered))
        covered = max(covered, part.end)
    return whole
