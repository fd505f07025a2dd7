"""Where logs lie when they are not only on this machine: an object store, or anything else that fsspec speaks to."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from runs.storing import archives

ARCHIVE, CHUNKS, LINES = ".jsonl.gz", ".chunks", ".jsonl"


class StoreError(OSError):
    """The store cannot be reached, or refuses. Each kind of store has errors of its own; here they are this one."""


@dataclass(frozen=True)
class Store:
    """A folder at a url. Nothing that it was told before is believed: others write there too."""

    url: str

    def open(self) -> tuple[Any, str]:
        import fsspec

        files, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        return files, str(root).rstrip("/")

    def call(self, verb: str, name: str, *words: Any, **options: Any) -> Any:
        """Do something with a name in this folder; FileNotFoundError is what it is, all else a StoreError."""
        try:
            files, root = self.open()
            return getattr(files, verb)(f"{root}/{name}", *words, **options)
        except FileNotFoundError:
            raise
        except Exception as error:  # somebody else's code
            words_of = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StoreError(f"the log store {self.url}: {words_of[:200]}") from error

    def names(self, folder: str) -> list[tuple[str, int]]:
        """Return name and size of what is in a folder; of folders the size is 0."""
        try:
            found = self.call("ls", folder, detail=True)
        except FileNotFoundError:
            return []
        return [(str(each["name"]).rstrip("/").rpartition("/")[2], int(each.get("size") or 0)) for each in found]

    def read(self, name: str, at: int, limit: int) -> bytes:
        return bytes(self.call("cat_file", name, start=at, end=at + limit))

    def write(self, name: str, data: bytes) -> None:
        self.make_folder(name)
        self.call("pipe_file", name, data)

    def upload(self, path: Path, name: str) -> None:
        """Put a file there, whole or not at all."""
        self.make_folder(name)
        try:
            files, root = self.open()
            files.put_file(str(path), f"{root}/{name}")
        except Exception as error:  # as above
            raise StoreError(f"the log store {self.url}: {str(error).strip()[:200]}") from error

    def make_folder(self, name: str) -> None:
        files, _ = self.open()
        if "file" in files.protocol:  # others have none to make
            self.call("makedirs", name.rpartition("/")[0], exist_ok=True)

    def remove(self, name: str) -> None:
        with_all = {"recursive": True}
        try:
            self.call("rm", name, **with_all)
        except FileNotFoundError:
            return


@dataclass(frozen=True)
class StoredFile:
    """A file in the store."""

    store: Store
    name: str
    size: int

    def read(self, at: int, limit: int) -> bytes:
        return self.store.read(self.name, at, min(limit, self.size - at))


@dataclass(frozen=True)
class Chunk:
    """Lines of a log that goes on elsewhere."""

    start: int
    file: StoredFile

    @property
    def end(self) -> int:
        return self.start + self.file.size

    def read(self, at: int, limit: int) -> bytes:
        return self.file.read(at - self.start, limit)


def store() -> Store | None:
    """Return where logs are kept beside this machine, if they are."""
    url: str = settings.LOGS_URL
    return None if url.startswith("/") else opened(url.rstrip("/"))


@lru_cache(maxsize=4)
def opened(url: str) -> Store:
    return Store(url)


def root() -> Path:
    """Return the folder on this machine: of the logs, or of those that are not in the store yet."""
    return Path(settings.LOGS_URL) if store() is None else Path(settings.DATA_DIR) / "logs"


def stem(first: Path) -> str:
    """Return the name of a log in the store, without its ending."""
    return str(first.relative_to(root())).removesuffix(LINES)


def archive_beside(first: Path) -> Path:
    return first.with_name(first.name.removesuffix(LINES) + ARCHIVE)


def archived(first: Path) -> list[archives.Archived]:
    """Return what of a log lies compressed on this machine."""
    try:
        return archives.parts(archives.LocalFile.at(archive_beside(first)))
    except FileNotFoundError:
        return []


def stored(first: Path) -> Iterator[archives.Readable]:
    """Yield what of a log lies in the store: whole when it is closed, in chunks while it goes on. Raises StoreError."""
    where = store()
    if where is None:
        return
    name = stem(first)
    folder, _, own = name.rpartition("/")
    for found, size in where.names(folder):
        if found == own + ARCHIVE:
            yield from archives.parts(StoredFile(where, name + ARCHIVE, size))
        elif found == own + CHUNKS:
            yield from chunks(where, name)


def chunks(where: Store, name: str) -> Iterator[Chunk]:
    for found, size in where.names(name + CHUNKS):
        start = found.removesuffix(LINES)
        if start.isascii() and start.isdigit():
            yield Chunk(int(start), StoredFile(where, f"{name}{CHUNKS}/{found}", size))
