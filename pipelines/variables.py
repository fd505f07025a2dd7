"""Block outputs between processes: `store` what a block returned, `load_output` what its downstream blocks receive.

An output's meta is plain JSON: name, type, rows, bytes, url, container ("list" or "tuple" when a block returned several
outputs, else None) and a preview of at most 4 KB. The pages need nothing but the meta.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from pipelines import fanouts, formats, previews, storage

Meta = dict[str, Any]

_kept: dict[str, Any] = {}  # outputs by url, when several blocks run in one process


def store(value: Any, output_url: str) -> list[Meta]:
    """Write what a block returned into the folder `output_url`, which need not exist; return one meta per output.

    A tuple is several outputs, and so is a list that holds a table, an array or bytes. Raises formats.Unstorable.
    """
    parts, container = _parts(formats.settled(value))
    if any(part is not None for part in parts):
        storage.make_folder(output_url)
    return [_store_one(part, f"output_{place}", output_url, container) for place, part in enumerate(parts)]


def load(meta: Mapping[str, Any], *, unpickle: bool = False) -> Any:
    """One output. Only the process of a block may set `unpickle`: loading a pickle runs code.

    Raises Refusal for a url of an unknown kind, formats.UntrustedPickle, OSError when the file is gone.
    """
    if meta["url"] in _kept:
        return _copy(meta, unpickle=unpickle)
    if meta["type"] == fanouts.TYPE:
        return fanouts.all_items(meta["url"], unpickle=unpickle)
    return formats.read(meta["type"], meta["url"], unpickle=unpickle)


def load_output(metas: Sequence[Mapping[str, Any]], *, unpickle: bool = False) -> Any:
    """All that a block returned, as it returned it; None for a block that has no output."""
    values = [load(meta, unpickle=unpickle) for meta in metas]
    if not metas:
        return None
    container = metas[0]["container"]
    if container is None:
        return values[0]
    return tuple(values) if container == "tuple" else values


def keep(metas: Iterable[Mapping[str, Any]], value: Any) -> None:
    """Hold what was stored in this process, so that `load` need not read it again."""
    parts, _ = _parts(value)
    _kept.update((meta["url"], part) for meta, part in zip(metas, parts, strict=True) if meta["url"])


def _parts(value: Any) -> tuple[Sequence[Any], str | None]:
    kind = type(value)
    if kind not in (list, tuple) or not 0 < len(value) <= formats.MOST_OUTPUTS:
        return [value], None
    several = kind is tuple or any(map(formats.has_own_file, value))
    return (list(value), kind.__name__) if several else ([value], None)


def _store_one(value: Any, name: str, output_url: str, container: str | None) -> Meta:
    word, url, size = formats.write(value, f"{output_url}/{name}")
    rows, preview = previews.describe(value)
    return {
        "name": name,
        "type": word,
        "rows": rows,
        "bytes": size,
        "url": url,
        "container": container,
        "preview": preview,
    }


def _copy(meta: Mapping[str, Any], *, unpickle: bool) -> Any:
    """A block must not see what another did to the same value: hand out a copy of whatever can be changed."""
    value = _kept[meta["url"]]
    if meta["type"] in ("polars", "polars_series", "arrow", "record_batch", "bytes"):
        return value
    if meta["type"] in ("dataframe", "series", "numpy") and meta["url"].endswith((".parquet", ".npy")):
        return value.copy()
    if meta["type"] == "json":
        return deepcopy(value)
    return formats.read(meta["type"], meta["url"], unpickle=unpickle)
