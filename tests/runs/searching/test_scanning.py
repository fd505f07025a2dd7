"""Finding lines in logs, against a plain reading of every line."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.searching import scanning
from runs.searching.scanning import Wanted, scan

LATER = float("inf")


@dataclass
class Bytes:
    """A stretch of a log in memory."""

    data: bytes
    start: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def read(self, at: int, limit: int) -> bytes:
        return self.data[at - self.start :][:limit]


def line(text: str, level: str = "INFO", source: str = "stdout") -> dict[str, str]:
    return {"t": "2025-03-02T12:00:00Z", "s": source, "l": level, "m": text}


def log_of(*lines: dict[str, str], start: int = 0) -> Bytes:
    return Bytes(b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in lines), start)


def texts(part: Bytes, wanted: Wanted, **how: Any) -> list[str]:
    return [found["m"] for found in scan([part], wanted, **{"most": 1000, "until": LATER, **how}).lines]


LOG = log_of(
    line("start"),
    line("Timeout of Ada", "WARNING", "log"),
    line('say "hi"\\ <b>', "DEBUG", "log"),
    line("\x1b[31mtime\x1b[0mout, ÉTÉ", "ERROR", "stderr"),
    line("timeout at the end", "CRITICAL", "system"),
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), 5),
        (Wanted("TIMEOUT"), 2),
        (Wanted("été"), 1),
        (Wanted('"hi"\\'), 1),
        (Wanted("stdout"), 0),
        (Wanted("2025"), 0),
        (Wanted('"'), 1),
        (Wanted("end", "ERROR"), 1),
        (Wanted(level="WARNING"), 3),
        (Wanted(level="ERROR"), 2),
        (Wanted(level="DEBUG"), 5),
        (Wanted(level="INFO"), 4),
        (Wanted(source="log"), 2),
        (Wanted(level="ERROR", source="stderr"), 1),
    ],
)
def test_lines_are_found_by_text_level_and_source(wanted: Wanted, expected: int) -> None:
    assert len(texts(LOG, wanted)) == expected


def test_a_line_that_is_found_has_its_offset() -> None:
    found = scan([LOG], Wanted("hi"), most=9, until=LATER).lines[0]

    assert json.loads(LOG.data[found["o"] :].split(b"\n")[0])["m"] == found["m"] == 'say "hi"\\ <b>'


WORDS = st.text(alphabet='ab"\\é\nÀ m', max_size=6)


@given(said=st.lists(WORDS, max_size=12), query=WORDS, size=st.integers(80, 400))
def test_what_is_found_is_what_a_reading_of_every_line_finds(said: list[str], query: str, size: int) -> None:
    lines = [line(text, ("DEBUG", "INFO", "ERROR")[number % 3]) for number, text in enumerate(said)]
    wanted = Wanted(query, "INFO")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning, "AT_ONCE", size + 200)
        found = texts(log_of(*lines), wanted)

    assert found == [each["m"] for each in lines if wanted.fits(each)]


def test_a_search_is_gone_on_with_where_it_stopped() -> None:
    log = log_of(*(line(f"hit {number}") for number in range(10)))
    seen, offset = list[str](), 0

    for _ in range(5):
        found = scan([log], Wanted("hit"), offset=offset, most=3, until=LATER)
        seen += [each["m"] for each in found.lines]
        offset = found.next_offset

    assert seen == [f"hit {number}" for number in range(10)]
    assert found.is_whole


def test_a_search_ends_when_its_time_is_over_and_says_so() -> None:
    found = scan([LOG], Wanted("end"), most=3, until=time.monotonic() - 1)

    assert (found.lines, found.is_whole, found.next_offset) == ([], False, 0)


def test_parts_with_a_gap_between_are_one_log() -> None:
    parts = [log_of(line("one hit")), log_of(line("no"), line("two hit"), start=5000)]

    found = scan(parts, Wanted("hit"), most=9, until=LATER)

    assert [each["o"] for each in found.lines] == [0, 5000 + len(log_of(line("no")).data)]


@pytest.mark.parametrize("junk", [b"\0" * 500, b"[1]\n", b'{"hit": \n', b'"hit"\n', b'{"hit": 1}\n', b"hit"])
def test_junk_after_a_crash_is_passed_over(junk: bytes) -> None:
    log = Bytes(log_of(line("hit")).data + junk)

    assert texts(log, Wanted("hit")) == ["hit"]


def test_a_rare_word_is_found_at_the_speed_of_a_disk() -> None:
    log = log_of(*(line(f"row {number} of customers was loaded from the warehouse") for number in range(200_000)))
    began = time.process_time()

    assert texts(log, Wanted("nowhere")) == []

    assert len(log.data) / (time.process_time() - began) > 100_000_000  # bytes a second
