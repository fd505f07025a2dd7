"""Logs of block runs: one file of JSON lines per attempt, appended by the worker, read by offset.

A line is {"t": ISO 8601 UTC, "s": "stdout" | "stderr" | "log" | "system", "l": level, "m": text}. Its offset is its
first byte's place in the file, so a reader goes on exactly where it stopped.
"""

import contextlib
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from runs.masking import mask_text
from runs.models import BlockRun

logger = logging.getLogger(__name__)
MAX_LINE = 64 * 1024
HEAD_SHARE = 0.9  # of the cap; of the rest, the tail that is kept has at most
TAIL_BYTES = 1024 * 1024
GOES_ON = " … (line goes on)"


def path(run_id: int, block_run_id: int, attempt: int) -> Path:
    return Path(settings.LOGS_URL) / f"{run_id // 1000}" / f"{run_id}" / f"{block_run_id}.{attempt}.jsonl"


@dataclass(frozen=True)
class Page:
    """Lines from an offset on. `at_end`: there is nothing more in the file now."""

    lines: list[dict[str, Any]]
    next_offset: int
    at_end: bool


def read(block_run: BlockRun, attempt: int | None = None, *, offset: int = 0, limit: int = 65536) -> Page:
    """Return whole lines from `offset`, about `limit` bytes of them. A file not there yet is an empty one.

    Each line has its offset as "o". An offset beyond the end gives nothing (more may come).
    """
    file_path = path(block_run.pipeline_run_id, block_run.pk, attempt or block_run.attempt)
    try:
        with open(file_path, "rb") as file:
            size = file.seek(0, 2)
            if offset >= size:
                return Page([], offset, True)
            file.seek(offset)
            data = file.read(limit)
            if b"\n" not in data:
                data += file.readline(MAX_LINE * 8)
    except FileNotFoundError:
        return Page([], offset, True)
    lines = []
    position = offset
    for raw in data.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, TypeError):  # a torn line, or junk after a crash of the host
            lines.append({"o": position, **json.loads(raw)})
        position += len(raw) + 1
    return Page(lines, position, position >= size or position == offset)


def attempts(block_run: BlockRun) -> list[int]:
    """Return the attempts that have a log, in order."""
    folder = path(block_run.pipeline_run_id, block_run.pk, 1).parent
    found = (name.name.split(".")[1] for name in folder.glob(f"{block_run.pk}.*.jsonl"))
    return sorted(int(number) for number in found if number.isdigit())


class Writer:
    """Appends to the log of one attempt. A full disk or a cap costs lines, never the block's outcome.

    `clock` gives the time of each line; `masked` is replaced in every text (the values of the block's secrets).
    """

    def __init__(self, file_path: Path, clock: Callable[[], datetime], masked: tuple[str, ...] = ()) -> None:
        self.path = file_path
        self.clock = clock
        self.masked = masked
        self.partial: dict[str, bytes] = {}
        self.size = 0
        self.dropped = 0
        self.tail: deque[bytes] = deque()
        self.tail_bytes = 0
        self.head_limit = settings.LOG_CAP_BYTES * HEAD_SHARE
        self.tail_limit = min(TAIL_BYTES, settings.LOG_CAP_BYTES * (1 - HEAD_SHARE))
        self.is_over_cap = False
        self.file: BinaryIO | None = None
        self.is_dirty = False
        try:
            self.open()
        except OSError as error:
            self.give_up(error)

    def open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "ab", buffering=128 * 1024)  # noqa: SIM115  # closed by close()
        self.size = self.file.tell()
        if self.size and last_byte(self.path) != b"\n":  # torn when the disk was full
            self.put(b"\n")

    def output(self, stream: str, data: bytes) -> None:
        """Take raw output; a line is written when its newline has come, in pieces when it is too long."""
        data = self.partial.pop(stream, b"") + data
        lines = data.split(b"\n")
        rest = lines.pop()
        for line in lines:
            self.append(stream, "INFO", self.last_piece(stream, line).removesuffix(b"\r").decode("utf-8", "replace"))
        if rest := self.last_piece(stream, rest):
            self.partial[stream] = rest

    def last_piece(self, stream: str, line: bytes) -> bytes:
        """Write all of a line but what is left after its last cut: the same cuts, however its bytes arrived."""
        while len(line) > MAX_LINE:
            cut = MAX_LINE
            while cut > MAX_LINE - 4 and line[cut] & 0xC0 == 0x80:  # not through a character
                cut -= 1
            self.append(stream, "INFO", line[:cut].decode("utf-8", "replace"), more=GOES_ON)
            line = line[cut:]
        return line

    def write(self, stream: str, level: str, text: str) -> None:
        """Take a whole message; what is too long of it is cut off."""
        text = mask_text(text, self.masked)
        more = f" … ({len(text) - MAX_LINE} more characters cut)" if len(text) > MAX_LINE else ""
        self.append(stream, level, text[:MAX_LINE], more=more)

    def append(self, stream: str, level: str, text: str, more: str = "") -> None:
        line = self.line(stream, level, mask_text(text, self.masked) + more)
        self.is_over_cap = self.is_over_cap or self.size + len(line) > self.head_limit
        if self.is_over_cap:
            self.keep_in_tail(line)
        else:
            self.put(line)

    def line(self, stream: str, level: str, text: str) -> bytes:
        stamp = self.clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = json.dumps({"t": stamp, "s": stream, "l": level, "m": text}, ensure_ascii=False)
        return line.encode("utf-8", "replace") + b"\n"

    def put(self, line: bytes) -> None:
        if self.file is None:
            return
        try:
            self.file.write(line)
        except OSError as error:
            self.give_up(error)
            return
        self.size += len(line)
        self.is_dirty = True

    def keep_in_tail(self, line: bytes) -> None:
        self.tail.append(line)
        self.tail_bytes += len(line)
        while self.tail_bytes > self.tail_limit:
            self.tail_bytes -= len(self.tail.popleft())
            self.dropped += 1

    def flush(self) -> bool:
        """Make what was written readable; tell whether there was anything new."""
        if not self.is_dirty or self.file is None:
            return False
        self.is_dirty = False
        try:
            self.file.flush()
        except OSError as error:
            self.give_up(error)
        return True

    def give_up(self, error: OSError) -> None:
        """The disk is full or gone: the block goes on without its log."""
        logger.warning("the log %s cannot be written, its block goes on without: %s", self.path, error.strerror)
        file, self.file = self.file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.raw.close() if hasattr(file, "raw") else file.close()

    def close(self) -> None:
        """Write what is still held back: unfinished lines, and the tail of a log over its cap."""
        for stream, rest in list(self.partial.items()):
            self.append(stream, "INFO", rest.decode("utf-8", "replace"))
        self.partial.clear()
        if self.dropped:
            message = f"the log is larger than its limit: {self.dropped} lines are left out here"
            self.put(self.line("system", "WARNING", message))
        for line in self.tail:
            self.put(line)
        self.tail.clear()
        if self.file is not None:
            try:
                self.file.close()
            except OSError as error:
                self.give_up(error)


def last_byte(file_path: Path) -> bytes:
    with open(file_path, "rb") as file:
        file.seek(-1, 2)
        return file.read()
