"""Finding lines in a log: bytes are looked through first, and only lines that may fit are read as JSON."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runs.log_lines import plain
from runs.storing.archives import Readable

AT_ONCE = 2 * 1024 * 1024  # bytes
LONGEST_LINE = 512 * 1024
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SOURCES = ("stdout", "stderr", "log", "system")


@dataclass(frozen=True)
class Wanted:
    """Which lines are looked for: with this text in any case, of this level at least, from this source."""

    text: str = ""
    level: str = ""
    source: str = ""

    @property
    def is_anything(self) -> bool:
        return not (self.text or self.level or self.source)

    def fits(self, line: dict[str, Any]) -> bool:
        return (
            (not self.source or line.get("s") == self.source)
            and (not self.level or line.get("l") in at_least(self.level))
            and (not self.text or self.text.lower() in plain(str(line.get("m", ""))).lower())
        )


@dataclass
class Found:
    """Lines that fit, with their offsets; where to go on, and whether all was looked through."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    next_offset: int = 0
    is_whole: bool = True
    looked_at: int = 0  # bytes


def at_least(level: str) -> tuple[str, ...]:
    return LEVELS[LEVELS.index(level) :]


def scan(parts: Sequence[Readable], wanted: Wanted, *, offset: int = 0, most: int, until: float) -> Found:
    """Look for lines from `offset` on, until there are `most` of them or the monotonic clock says `until`."""
    found = Found(next_offset=offset)
    for part in parts:
        at = max(offset, part.start)
        while at < part.end:
            if time.monotonic() > until:
                found.is_whole = False
                return found
            data = part.read(at, AT_ONCE)
            data = data[: data.rfind(b"\n") + 1]
            if not data:  # torn for good, or still being written
                break
            for line in lines_that_fit(data, at, wanted):
                found.lines.append(line)
                if len(found.lines) == most:
                    found.next_offset = line["o"] + 1
                    found.is_whole = False
                    return found
            at += len(data)
            found.looked_at += len(data)
            found.next_offset = at
    return found


def lines_that_fit(data: bytes, offset: int, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield the lines of `data` that fit. Each ends within it."""
    for begin, end in candidates(data, wanted):
        try:
            line = json.loads(data[begin:end])
        except ValueError:  # a torn line
            continue
        if isinstance(line, dict) and "t" in line and wanted.fits(line):
            yield {"s": "", "l": "", "m": "", **line, "o": offset + begin}


def candidates(data: bytes, wanted: Wanted) -> Iterator[tuple[int, int]]:
    """Yield where lines begin and end that may fit."""
    low, pattern = data, pattern_for(wanted)
    if needle := needle_for(wanted.text):
        low = data.lower()  # of ASCII letters: quicker than a pattern that ignores case
        pattern = re.compile(re.escape(needle))
    at = 0
    while at < len(data) and (hit := pattern.search(low, at)):
        begin, end = data.rfind(b"\n", 0, hit.start()) + 1, data.find(b"\n", hit.start()) + 1
        yield begin, end
        at = end


def pattern_for(wanted: Wanted) -> re.Pattern[bytes]:
    """Return what stands in every line of the level, or of the source; lines are written by us, in one form."""
    if wanted.level and wanted.level != LEVELS[0]:
        return re.compile(rb'"l": "(?:%s)"' % "|".join(at_least(wanted.level)).encode())
    return re.compile(rb'"s": "%s"' % re.escape(wanted.source.encode()) if wanted.source else b"[^\n]")


def needle_for(text: str) -> bytes:
    """Return what stands in every line with this text, in small letters: its longest part without others."""
    written = json.dumps(text.lower(), ensure_ascii=False)[1:-1]
    return max(re.findall(r"[\x20-\x7e]+", written), key=len, default="").encode()
