"""Folders of what runs left behind, on this machine or through fsspec: what is in them, and away with it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines import storage


@dataclass(frozen=True)
class Held:
    """Files, and bytes in them."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Held") -> "Held":
        return Held(self.files + other.files, self.bytes + other.bytes)


def names_in(url: str) -> list[str]:
    """Return the names in a folder, sorted; none for one that is not there. Raises OSError."""
    if path := storage.local_path(url):
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []
    files, path = _remote(url)
    try:
        return sorted(str(name).rstrip("/").rpartition("/")[2] for name in files.ls(path, detail=False))
    except FileNotFoundError:
        return []


def held(url: str) -> Held:
    """Count what a folder, or a file, holds. Raises OSError."""
    if path := storage.local_path(url):
        return sum((Held(1, entry.stat(follow_symlinks=False).st_size) for entry in _entries(path)), Held())
    files, path = _remote(url)
    found = files.find(path, detail=True).values()
    return Held(len(found), sum(int(each.get("size") or 0) for each in found))


def remove(url: str) -> Held:
    """Remove a folder with all in it, or a file; return what it held. One that is not there is gone already.

    Raises OSError; what could be removed before it is gone. A symlink is removed, not followed.
    """
    if path := storage.local_path(url):
        return _remove_local(path)
    found = held(url)
    files, path = _remote(url)
    if found.files:
        files.rm(path, recursive=True)
    return found


def _remove_local(path: str) -> Held:
    try:
        with os.scandir(path) as entries:
            found = list(entries)
    except FileNotFoundError:
        return Held()
    except NotADirectoryError:
        return _unlink(path)
    gone = Held()
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        gone += _remove_local(entry.path) if is_folder else _unlink(entry.path)
    os.rmdir(path)
    return gone


def _unlink(path: str) -> Held:
    try:
        size = os.lstat(path).st_size
        os.unlink(path)
    except FileNotFoundError:
        return Held()
    return Held(1, size)


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _entries(entry.path)
                else:
                    yield entry
    except FileNotFoundError:
        return


def _remote(url: str) -> tuple[Any, str]:
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    return files, str(path)
