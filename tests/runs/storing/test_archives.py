"""Closed logs as one compressed file: what any offset gives, and that gzip reads it too."""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.storing import archives
from runs.storing.archives import Archived, LocalFile, joined


@dataclass(frozen=True)
class Bytes:
    """A stretch of a log, or a file, in memory."""

    data: bytes
    start: int = 0

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def read(self, at: int, limit: int) -> bytes:
        return self.data[at - self.start :][:limit]


def packed(*parts: Bytes) -> bytes:
    file = io.BytesIO()
    archives.write(parts, file)
    return file.getvalue()


def unpacked(*parts: Bytes) -> list[Archived]:
    return archives.parts(Bytes(packed(*parts)))


@given(sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=6), data=st.data())
def test_every_offset_gives_what_it_gave_before(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    parts, end = list[Bytes](), 0
    for gap, size in sizes:
        parts.append(Bytes(bytes((end + gap + n) % 256 for n in range(size)), end + gap))
        end += gap + size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "MEMBER", 7)
        found = unpacked(*parts)

    assert all(a.end < b.start for a, b in zip(found, found[1:], strict=False))
    limit = data.draw(st.integers(1, 9))
    for at in range(end):
        expected = b"".join(part.read(at, 1) for part in parts if part.start <= at < part.end)
        given_back = b"".join(part.read(at, limit) for part in found if part.start <= at < part.end)
        assert given_back[:1] == expected


def test_gzip_reads_it_from_beginning_to_end() -> None:
    said = b"".join(b"line %d\n" % number for number in range(100_000))

    file = packed(Bytes(said))

    assert gzip.decompress(file) == said
    assert len(file) < len(said) / 3


def test_a_small_piece_of_a_long_log_is_read_without_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "7.1.jsonl.gz"
    path.write_bytes(packed(Bytes(b"".join(b"line %d\n" % number for number in range(300_000)))))
    read: list[int] = []
    plain = LocalFile.read
    monkeypatch.setattr(LocalFile, "read", lambda *given: read.append(given[2]) or plain(*given))

    (part,) = archives.parts(LocalFile.at(path))
    archives.unpacked.cache_clear()
    read.clear()

    assert part.read(2_000_000, 50).count(b"line") > 2
    assert sum(read) < archives.MEMBER


def test_what_was_left_out_of_a_long_log_stays_a_gap() -> None:
    found = unpacked(Bytes(b"head\n"), Bytes(b"tail\n", 5000), Bytes(b"more\n", 5005))

    assert [(part.start, part.end, len(part.members)) for part in found] == [(0, 5, 1), (5000, 5010, 1)]


@pytest.mark.parametrize(
    "junk", [b"", b"no gzip", gzip.compress(b"another's", mtime=0), archives.HEAD, b"\x1f\x8b" * 70_000]
)
def test_a_file_that_is_none_of_ours_holds_nothing(junk: bytes) -> None:
    assert archives.parts(Bytes(junk)) == []


def test_an_empty_log_is_an_archive_too() -> None:
    assert unpacked() == []
    assert gzip.decompress(packed()) == b""


def test_the_longest_log_has_not_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MEMBER", 1)

    (part,) = unpacked(Bytes(b"x" * 10_000))

    assert len(part.members) < 3500
    assert part.read(0, 10**6) == b"x" * 10_000


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=8))
def test_stretches_that_lie_twice_are_read_once(places: list[tuple[int, int]]) -> None:
    log = bytes(range(60))
    parts = [Bytes(log[start : start + size], start) for start, size in places]

    whole = joined(parts)

    seen = [at for part in whole for at in range(part.start, part.end)]
    assert seen == sorted({at for part in parts for at in range(part.start, part.end)})
    assert all(part.read(part.start, 99) == log[part.start : part.end] for part in whole)
