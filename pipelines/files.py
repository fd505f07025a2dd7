"""Reading a text file of a project: inside the project, a regular file, small, UTF-8. Says which and what otherwise."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipelines.refusal import Refusal

MAX_BYTES = 1024 * 1024
MERGE_MARKS = ("<<<<<<<", ">>>>>>>", "|||||||")


class FileFault(Refusal):
    """Something wrong in a file of the project; `line` and `column` count from 1, None where there is no line."""

    def __init__(
        self, message: str, *, file: str, line: int | None = None, column: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, field=file, hint=hint, code="invalid_file")
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file} line {self.line}"
        return f"{where}: {super().__str__()}"

    def as_problem(self) -> dict[str, str | int | None]:
        """Shape of an entry of `Pipeline.problems`."""
        return {"file": self.file, "line": self.line, "reason": self.message, "hint": self.hint}


class MissingFile(FileFault):
    """The file does not exist."""


class Stamp(NamedTuple):
    """Size and time of change of a file as it was when it was opened: tells later whether to read it again."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class TextFile:
    path: str  # relative to the project
    text: str  # without BOM, lines end in \n
    sha256: str  # of the bytes on disk
    stamp: Stamp


class Sources:
    """The files of a project that one reading looked at: their texts, and how they were then (None: not there)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.texts: dict[str, TextFile] = {}
        self.seen: dict[str, Stamp | None] = {}

    def read(self, path: str) -> TextFile:
        """Return a file, read once; raise FileFault as `read_text` does."""
        if path not in self.texts:
            self.seen[path] = stamp_of(self.root / path)  # kept if the reading fails
            self.texts[path] = read_text(self.root, path)
            self.seen[path] = self.texts[path].stamp
        return self.texts[path]


def stamp_of(path: str | Path) -> Stamp | None:
    """Return the file's stamp, None if there is none or it cannot be seen."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return Stamp(found.st_size, found.st_mtime_ns)


def inside(root: Path, relative: str) -> Path:
    """Return the resolved path of a file named relative to `root`; refuse one that lies outside, also by symlink."""
    outside = FileFault(
        f"{shown(relative)} lies outside the project.", file=shown(relative), hint="Name a file in the project folder."
    )
    try:
        resolved = (root / relative).resolve()
        is_inside = resolved.is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # a NUL, a name too long, a loop of symlinks
        raise outside from None
    if not is_inside or ".." in PurePosixPath(relative).parts:
        raise outside
    return resolved


def read_text(root: Path, relative: str) -> TextFile:
    """Read a file of the project, whole; raise FileFault for anything that is not a small UTF-8 text inside it.

    A file that changes while it is read is read once more.
    """
    path = inside(root, relative)
    raw, stamp = read_steadily(path, relative)
    text = decode(raw, relative)
    refuse_merge_marks(text, relative)
    return TextFile(relative, text, hashlib.sha256(raw).hexdigest(), stamp)


def read_steadily(path: Path, relative: str) -> tuple[bytes, Stamp]:
    for _ in range(2):
        raw, before, after = read_once(path, relative)
        if before == after:
            return raw, before
    raise FileFault("The file is being written just now.", file=relative, hint="It is looked at again soon.")


def read_once(path: Path, relative: str) -> tuple[bytes, Stamp, Stamp]:
    """Return the bytes, and the stamps before and after they were read."""
    try:
        with open(path, "rb", opener=open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise FileFault("This is not a regular file.", file=relative, hint="Put a text file here.")
            if found.st_size > MAX_BYTES:
                raise FileFault(f"The file has {found.st_size:,} bytes; the limit is {MAX_BYTES:,}.", file=relative)
            raw = file.read(MAX_BYTES)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise MissingFile("The file does not exist.", file=relative, hint="Add it, or correct its name.") from None
    except OSError as error:
        raise FileFault(f"The file cannot be read ({error.strerror}).", file=relative) from None
    return raw, Stamp(found.st_size, found.st_mtime_ns), Stamp(after.st_size, after.st_mtime_ns)


def open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO must not hold us up


def decode(raw: bytes, relative: str) -> str:
    """Return the text with its line ends made alike; raise FileFault, with the line, for what is no text."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"The file is not UTF-8 at byte {error.start}."
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileFault(message, file=relative, line=line, hint="Save it as UTF-8.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileFault("The file contains a NUL character.", file=relative, line=line, hint="Save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def refuse_merge_marks(text: str, relative: str) -> None:
    if not any(mark in text for mark in MERGE_MARKS):
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(MERGE_MARKS) and line[7:8] in ("", " "):
            hint = "Resolve the conflict and remove the marks."
            raise FileFault("This looks like an unresolved merge.", file=relative, line=number, hint=hint)


def shown(text: str, limit: int = 80) -> str:
    """Shorten a name or value for a message, with nothing in it that could confuse the reader."""
    return "".join(char if char.isprintable() else "?" for char in text[:limit]) + ("…" if len(text) > limit else "")
