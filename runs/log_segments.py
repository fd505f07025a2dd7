"""A log on disk: the file that keeps its beginning, and beside it segments that keep its newest bytes.

`7.1.jsonl` begins at offset 0. Once it is full, the log goes on in `7.1.segments/<offset>.jsonl`, each named by the
offset at which it begins; the oldest are removed to make room. So an offset means the same byte for ever, and what is
missing between two segments is what was left out.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BUFFER = 128 * 1024
SEGMENTS = 9  # that the newest bytes are kept in: one of them goes at a time


@dataclass(frozen=True, order=True)
class Segment:
    """A part of a log: where it begins, its file, and how long it was when it was looked at."""

    start: int
    path: Path
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size

    def read(self, at: int, limit: int) -> bytes:
        """Return up to `limit` bytes from the offset `at` on; raise FileNotFoundError when it is gone meanwhile."""
        with open(self.path, "rb") as file:
            file.seek(at - self.start)
            return file.read(limit)


def found(first: Path) -> list[Segment]:
    """Return the parts of the log whose first file is `first`, in order; none if there is no log."""
    later = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder_of(first)) as entries:
        for entry in entries:
            start = entry.name.removesuffix(".jsonl")
            if start.isascii() and start.isdigit():
                with contextlib.suppress(FileNotFoundError):  # removed while we look
                    later.append(Segment(int(start), Path(entry.path), entry.stat().st_size))
    with contextlib.suppress(FileNotFoundError):
        later.append(Segment(0, first, first.stat().st_size))
    return sorted(later)


def folder_of(first: Path) -> Path:
    return first.with_suffix(".segments")


class Rotation:
    """The writing end: appends to the last part, begins the next when it is full, removes the oldest for it.

    At most about `head` bytes of the beginning and `tail` bytes of the end are kept. Every method raises OSError for
    a disk that is full or gone; a new object then goes on where the files end.
    """

    def __init__(self, first: Path, *, head: int, tail: int, begin: int = 0) -> None:
        """`begin`: where the log goes on if none of its files is here, as what was written before is kept elsewhere."""
        self.first, self.head, self.tail = first, head, tail
        first.parent.mkdir(parents=True, exist_ok=True)
        parts = found(first)
        last = parts[-1] if parts else Segment(begin, first, 0)
        if not parts and begin:
            folder_of(first).mkdir(exist_ok=True)
            last = Segment(begin, folder_of(first) / f"{begin}.jsonl", 0)
        self.open(last.path, last.start)
        self.was_torn = self.size > self.start and last_byte(last.path) != b"\n"  # when the disk was full
        if self.was_torn:
            self.write(b"\n")

    def open(self, path: Path, start: int) -> None:
        self.file: BinaryIO = open(path, "ab", buffering=BUFFER)  # noqa: SIM115  # closed by close()
        self.start = start
        self.size = start + self.file.tell()

    def write(self, line: bytes) -> None:
        """Append a whole line; it can be read after the next `flush`."""
        room = self.tail // SEGMENTS if self.start else self.head
        if self.size > self.start and self.size - self.start + len(line) > room:
            self.turn(room=self.tail // SEGMENTS)
        self.file.write(line)
        self.size += len(line)

    def turn(self, room: int) -> None:
        """Close this part for good and begin the next, after making room for it."""
        self.file.close()
        kept = [part for part in found(self.first) if part.start]
        while kept and sum(part.size for part in kept) + room > self.tail:
            kept.pop(0).path.unlink(missing_ok=True)
        folder_of(self.first).mkdir(exist_ok=True)
        self.open(folder_of(self.first) / f"{self.size}.jsonl", self.size)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()

    def abandon(self) -> None:
        """Let go of the file without writing what is still held back, which would fail again."""
        with contextlib.suppress(OSError):
            raw = getattr(self.file, "raw", self.file)
            raw.close()


def last_byte(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(-1, 2)
        return file.read()
