"""Where block outputs lie: a folder on this machine by plain file calls, anything else through fsspec."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pipelines.refusal import Refusal

REMOTE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "memory", "local")


def make_folder(url: str) -> None:
    """Make a folder that may be there already. Object stores have none to make."""
    if (path := local_path(url)) is None:
        return
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(path, exist_ok=True)


def opened(url: str, mode: str) -> AbstractContextManager[Any]:
    """A binary file, for use in a `with`. Raises Refusal for a url of an unknown kind, OSError when it can't be had."""
    if path := local_path(url):
        return open(path, mode)
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
    return nullcontext(path) if (path := local_path(url)) else opened(url, mode)


def check(url: str) -> None:
    """Raise Refusal for a url of an unknown kind."""
    local_path(url)


def size(url: str) -> int:
    """Bytes of a file that is there."""
    if path := local_path(url):
        return os.stat(path).st_size
    import fsspec

    filesystem, path = fsspec.core.url_to_fs(url)
    return int(filesystem.size(path))


def local_path(url: str) -> str | None:
    """The path of a file on this machine; None for a url that is fsspec's."""
    if url.startswith("/"):
        return url
    scheme, separator, rest = url.partition("://")
    if scheme == "file" and rest.startswith("/"):
        return rest
    if separator and rest and scheme in REMOTE:
        return None
    raise Refusal(
        f"Block outputs cannot be kept at {url[:80]!r}.",
        field="url",
        hint=f"Known are absolute paths, file:///… and {', '.join(f'{name}://' for name in REMOTE)} urls.",
        code="unknown_url",
    )
