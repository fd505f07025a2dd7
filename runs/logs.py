"""Logs of block runs: one file of JSON lines per attempt, appended by the worker, read by offset.

A line is {"t": ISO 8601 UTC, "s": "stdout" | "stderr" | "log" | "system", "l": level, "m": text}. Its offset is its
first byte's place in the log, so a reader goes on exactly where it stopped. Of a log over its cap the beginning and
the newest bytes are kept (`runs.log_segments`); a reader who comes to the gap is told what is missing. Once closed it
is compressed, and kept here or in a store (`runs.storing`): readers take it from wherever it is.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from pipelines import stored_folders
from pipelines.refusal import Refusal
from runs.log_segments import Rotation, folder_of, found
from runs.masking import mask_text
from runs.models import BlockRun
from runs.storing import store
from runs.storing.archives import Readable, joined

logger = logging.getLogger(__name__)
MAX_LINE = 64 * 1024
HEAD_SHARE = 0.1  # of the cap; the rest is for the newest lines
GOES_ON = " … (line goes on)"
TRIES = 5  # to open a segment that the writer may just be removing
TRY_DISK_AGAIN = 30.0  # seconds
UNITS = ("bytes", "KB", "MB", "GB", "TB")


def path(run_id: int, block_run_id: int, attempt: int) -> Path:
    return folder(run_id) / f"{block_run_id}.{attempt}.jsonl"


def folder(run_id: int) -> Path:
    """Return the folder of the logs of a run on this machine."""
    return store.root() / f"{run_id // 1000}" / f"{run_id}"


def places(run_id: int, block_run_id: int, attempt: int) -> list[str]:
    """Return what to remove for the log of an attempt to be gone; without the first file nobody finds the others."""
    first = path(run_id, block_run_id, attempt)
    found = [str(folder_of(first)), str(store.archive_beside(first)), str(first)]
    if there := store.store():
        found += [f"{there.url}/{store.stem(first)}{ending}" for ending in (store.CHUNKS, store.ARCHIVE)]
    return found


def folders(run_id: int) -> list[str]:
    """Return where the logs of a run are."""
    here = folder(run_id)
    there = store.store()
    return [str(here), *([f"{there.url}/{here.relative_to(store.root())}"] if there else [])]


@dataclass(frozen=True)
class Page:
    """Lines from an offset on. `at_end`: there is nothing more in the file now."""

    lines: list[dict[str, Any]]
    next_offset: int
    at_end: bool


def read(block_run: BlockRun, attempt: int | None = None, *, offset: int = 0, limit: int = 65536) -> Page:
    """Return whole lines from `offset`, about `limit` bytes of them. A file not there yet is an empty one.

    Each line has its offset as "o". An offset beyond the end gives nothing (more may come). Where the log goes on
    only further out, because what was between was left out, the first line says how much.
    """
    for _ in range(TRIES):
        with contextlib.suppress(FileNotFoundError):
            parts = parts_of(block_run, attempt or block_run.attempt)
            return read_from([part for part in parts if part.end > offset], offset, limit)
    return Page([], offset, True)


def read_from(parts: list[Readable], offset: int, limit: int) -> Page:
    """Read the first of the parts, all of which end behind `offset`."""
    if not parts:
        return Page([], offset, True)
    part, is_last = parts[0], len(parts) == 1
    begin = max(offset, part.start)
    data = read_a_line(part, begin, limit)
    lines = list(parsed(data, begin))
    position = begin + data.rfind(b"\n") + 1
    if position == begin and not is_last:
        position = part.end  # torn for good: the log goes on in the next part
    if begin > offset and lines:
        lines.insert(0, gap(offset, begin, lines[0]["t"]))
    return Page(lines, position, is_last and (position >= part.end or position == begin))


def read_a_line(part: Readable, begin: int, limit: int) -> bytes:
    """Return about `limit` bytes, with the end of at least one line among them."""
    data = part.read(begin, limit)
    if len(data) == limit and b"\n" not in data:
        more = part.read(begin + limit, MAX_LINE * 8)
        data += more[: more.find(b"\n") + 1] or more
    return data


def line_at(block_run: BlockRun, attempt: int, offset: int) -> int:
    """Return where the first line begins at or behind an offset."""
    for part in parts_of(block_run, attempt):
        if part.start >= offset:
            return part.start
        if part.end > offset:
            found = part.read(offset - 1, MAX_LINE * 8).find(b"\n")
            return offset + found if found >= 0 else part.end
    return offset


def lines_before(block_run: BlockRun, attempt: int, offset: int, count: int) -> int:
    """Return where the line begins that is `count` lines before the one at `offset`, or the log."""
    at = 0
    for part in reversed(parts_of(block_run, attempt)):
        at = end = min(part.end, offset)
        while part.start < at:
            size = min(MAX_LINE, at - part.start)
            data = part.read(at - size, size)
            at -= size
            place = len(data) - (at + size == end)  # the last line's own end is no beginning
            while (place := data.rfind(b"\n", 0, place)) >= 0:
                count -= 1
                if count == 0:
                    return at + place + 1
        if at < offset:
            count -= 1
            if count == 0:
                return at
    return at


def parts_of(block_run: BlockRun, attempt: int) -> list[Readable]:
    """Return the stretches of a log in order, wherever they lie. Raises StoreError."""
    return parts_at(path(block_run.pipeline_run_id, block_run.pk, attempt))


def parts_at(first: Path) -> list[Readable]:
    here: list[Readable] = [*found(first), *store.archived(first)]
    if not any(part.start == 0 for part in here):
        here += store.stored(first)
    return joined(here)


def parsed(data: bytes, offset: int) -> Iterator[dict[str, Any]]:
    for raw in data.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, TypeError):  # a torn line, or junk after a crash of the host
            yield {"o": offset, **json.loads(raw)}
        offset += len(raw) + 1


def gap(offset: int, end: int, time: str) -> dict[str, Any]:
    """The line that stands for what was left out."""
    text = f"… {amount(end - offset)} left out here: of a long log its beginning and its newest lines are kept …"
    return {"o": offset, "t": time, "s": "system", "l": "WARNING", "m": text}


def amount(size: float) -> str:
    """Return a number of bytes in words."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def size(block_run: BlockRun, attempt: int) -> int:
    """Return how long the log has become, with what was left out of it."""
    parts = parts_of(block_run, attempt)
    return parts[-1].end if parts else 0


def exists(block_run: BlockRun, attempt: int) -> bool:
    """Tell whether there is a log, be it an empty one."""
    return attempt in attempts(block_run)


def is_settled(block_run: BlockRun, attempt: int) -> bool:
    """Tell whether of a log that is over all can be read here: it is not just being put into the store elsewhere."""
    there = store.store()
    first = path(block_run.pipeline_run_id, block_run.pk, attempt)
    if there is None or found(first):
        return True
    folder, _, own = store.stem(first).rpartition("/")
    return any(name == own + store.ARCHIVE for name, _ in there.names(folder))


def attempts(block_run: BlockRun) -> list[int]:
    """Return the attempts that have a log, in order."""
    here = folder(block_run.pipeline_run_id)
    names = [found.name for found in here.glob(f"{block_run.pk}.*")]
    if there := store.store():
        names += [name for name, _ in there.names(str(here.relative_to(store.root())))]
    numbers = set()
    for name in names:
        owner, number, *_ = [*name.split("."), ""]
        if owner == str(block_run.pk) and number.isdigit():
            numbers.add(int(number))
    return sorted(numbers)


def remove_before(block_run: BlockRun, attempt: int) -> None:
    """Remove the logs of the attempts before this one; what cannot be removed stays."""
    with contextlib.suppress(OSError, Refusal):
        for number in attempts(block_run):
            if number < attempt:
                for place in places(block_run.pipeline_run_id, block_run.pk, number):
                    stored_folders.remove(place)


class Writer:
    """Appends to the log of one attempt. A full disk or a cap costs lines, never the block's outcome.

    `clock` gives the time of each line; `masked` is replaced in every text (the values of the block's secrets);
    `goes_on`: this attempt may have written before, here or elsewhere.
    """

    def __init__(
        self,
        file_path: Path,
        clock: Callable[[], datetime],
        masked: tuple[str, ...] = (),
        *,
        goes_on: bool = False,
    ) -> None:
        self.path = file_path
        self.clock = clock
        self.masked = masked
        self.goes_on = goes_on
        self.partial: dict[str, bytes] = {}
        self.size = 0
        self.trouble = ""  # why lines were lost, once some were
        self.lost = 0  # lines since the disk failed
        self.try_again_at = 0.0
        self.is_dirty = False
        self.rotation: Rotation | None = None
        self.open()

    def open(self) -> None:
        head = int(settings.LOG_CAP_BYTES * HEAD_SHARE)
        try:
            written = parts_at(self.path) if self.goes_on else ()
            begin = written[-1].end if written else 0
            self.rotation = Rotation(self.path, head=head, tail=settings.LOG_CAP_BYTES - head, begin=begin)
            self.size, self.is_dirty = self.rotation.size, self.rotation.was_torn
        except OSError as error:
            self.give_up(error)

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
        self.put(self.line(stream, level, mask_text(text, self.masked) + more))

    def line(self, stream: str, level: str, text: str) -> bytes:
        stamp = self.clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = json.dumps({"t": stamp, "s": stream, "l": level, "m": text}, ensure_ascii=False)
        return line.encode("utf-8", "replace") + b"\n"

    def put(self, line: bytes) -> None:
        if self.rotation is None and not self.is_back():
            self.lost += 1
            return
        assert self.rotation is not None
        try:
            self.rotation.write(line)
        except OSError as error:
            self.lost += 1
            self.give_up(error)
            return
        self.size = self.rotation.size
        self.is_dirty = True

    def is_back(self) -> bool:
        """Try the disk again now and then; say in the log what is missing, once it can be said."""
        if time.monotonic() < self.try_again_at:
            return False
        self.open()
        if self.rotation is not None:
            lost, self.lost = self.lost, 0
            self.put(self.line("system", "WARNING", f"{lost} or more lines are missing here: {self.trouble}"))
        return self.rotation is not None

    def flush(self) -> bool:
        """Make what was written readable; tell whether there was anything new."""
        if not self.is_dirty or self.rotation is None:
            return False
        self.is_dirty = False
        try:
            self.rotation.flush()
        except OSError as error:
            self.give_up(error)
        return True

    def give_up(self, error: OSError) -> None:
        """The disk is full or gone: the block goes on without its log, which is said once."""
        reason = error.strerror or str(error)
        if not self.trouble:
            logger.warning("the log %s cannot be written, its block goes on without: %s", self.path, reason)
        self.trouble, self.try_again_at = reason, time.monotonic() + TRY_DISK_AGAIN
        rotation, self.rotation = self.rotation, None
        if rotation is not None:
            rotation.abandon()

    def close(self) -> None:
        """Write what is still held back: unfinished lines."""
        for stream, rest in list(self.partial.items()):
            self.append(stream, "INFO", rest.decode("utf-8", "replace"))
        self.partial.clear()
        if self.rotation is not None:
            try:
                self.rotation.close()
            except OSError as error:
                self.give_up(error)
