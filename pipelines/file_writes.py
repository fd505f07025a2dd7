"""Writing a text file of a project: whole or not at all, and only over what its writer has read."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pipelines.files import MissingFile, TextFile, inside, read_steadily
from pipelines.refusal import Refusal

BOM = b"\xef\xbb\xbf"
NEW_FILE = 0o644


def replace_text(root: Path, relative: str, text: str, *, before: TextFile | None) -> None:
    """Put `text` in place of what was read as `before` (None: there was no file), by a rename.

    Mode, owner, BOM and line ends stay as they were. Raises Refusal, and leaves the file alone, if it is not as it
    was read, may not be written, or lies outside the project.
    """
    path = inside(root, relative)
    raw = current(path, relative)
    if (hashlib.sha256(raw).hexdigest() if raw is not None else None) != (before.sha256 if before else None):
        hint = "Look at it again, then repeat your change."
        raise Refusal(f"{relative} was changed meanwhile.", field=relative, hint=hint, code="conflict")
    data = (text.replace("\n", "\r\n") if raw and b"\r\n" in raw else text).encode()
    try:
        put(path, BOM + data if raw and raw.startswith(BOM) else data)
    except OSError as error:
        raise not_writable(relative, error.strerror or str(error)) from None


def refuse_unwritable(root: Path, relative: str) -> None:
    """Raise Refusal if the file could not be replaced: nobody's permission is worked around."""
    path = inside(root, relative)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = NEW_FILE
    except OSError as error:
        raise not_writable(relative, error.strerror or str(error)) from None
    is_writable = mode & 0o222 and (not path.exists() or os.access(path, os.W_OK))
    if not is_writable or not os.access(path.parent, os.W_OK | os.X_OK):
        raise not_writable(relative, "it is read-only")


def not_writable(relative: str, reason: str) -> Refusal:
    hint = "Make it writable, or change it where it is kept."
    return Refusal(f"{relative} cannot be written ({reason}).", field=relative, hint=hint, code="conflict")


def current(path: Path, relative: str) -> bytes | None:
    with suppress(MissingFile):
        return read_steadily(path, relative)[0]
    return None


def put(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            like(path, file.fileno())
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def like(path: Path, handle: int) -> None:
    """Give the new file the old one's mode and, where we may, owner."""
    try:
        found = path.stat()
    except FileNotFoundError:
        os.fchmod(handle, NEW_FILE)
        return
    with suppress(PermissionError):
        os.fchown(handle, found.st_uid, found.st_gid)
    os.fchmod(handle, found.st_mode & 0o7777)
