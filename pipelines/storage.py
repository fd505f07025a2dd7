"""Where block outputs lie: a folder on this machine by plain file calls, anything else through fsspec."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pipelines.refusal import Refusal

REMOTE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "memory")


def make_folder(url: str) -> None:
    """Make a folder that may be there already. Object stores have none to make."""
    if not _is_local(url):
        return
    try:
        os.mkdir(url)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(url, exist_ok=True)


def opened(url: str, mode: str) -> AbstractContextManager[Any]:
    """A binary file, for use in a `with`. Raises Refusal for a url of an unknown kind, OSError when it can't be had."""
    if _is_local(url):
        return open(url, mode)
    import fsspec

    return fsspec.open(url, mode)  # type: ignore[no-any-return]


def write(url: str, data: bytes) -> int:
    """Write a whole file; return its size in bytes."""
    with opened(url, "wb") as stream:
        stream.write(data)
    return len(data)


def read(url: str) -> bytes:
    """Content of a whole file."""
    with opened(url, "rb") as stream:
        return bytes(stream.read())


def path_or_file(url: str, mode: str) -> AbstractContextManager[Any]:
    """For libraries that are faster with a path: the path on this machine, an open file elsewhere."""
    return nullcontext(url) if _is_local(url) else opened(url, mode)


def check(url: str) -> None:
    """Raise Refusal for a url of an unknown kind."""
    _is_local(url)


def size(url: str) -> int:
    """Bytes of a file that is there."""
    if _is_local(url):
        return os.stat(url).st_size
    import fsspec

    filesystem, path = fsspec.core.url_to_fs(url)
    return int(filesystem.size(path))


def _is_local(url: str) -> bool:
    if url.startswith("/"):
        return True
    scheme, separator, rest = url.partition("://")
    if separator and rest and scheme in REMOTE:
        return False
    raise Refusal(
        f"Block outputs cannot be kept at {url[:80]!r}.",
        field="url",
        hint=f"Known are absolute paths and {', '.join(f'{name}://' for name in REMOTE)} urls.",
        code="unknown_url",
    )
