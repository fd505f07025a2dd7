"""What a dynamic block returns, `[items]` or `[items, metadata]`: checked, and kept so that a child reads one file.

A fan-out is plain JSON: {"count", "names": [one per item] or None, "chunks": [{"url", "type", "start", "count"}, …]}.
A chunk is one file: a list of up to 100 items, or one item in a format of its own (a table, an array, bytes).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipelines import formats, previews, storage
from pipelines.failures import BlockError

Fanout = dict[str, Any]
Chunk = dict[str, Any]

TYPE = "items"  # of the output's meta; its file lists the chunks
ITEMS_PER_CHUNK = 100
CHUNK_BYTES = 4_000_000  # what to aim at: a child reads the whole chunk for its one item
LONGEST_NAME = 100
LISTS = ("json", "pickle")  # types of a chunk that is a list of items
WANTED = "return [items] or [items, metadata], items being a list"


class Items(NamedTuple):
    """The items, and a name for each where the metadata names any."""

    values: Sequence[Any]
    names: list[str] | None


def checked(value: Any, block: str) -> Items:
    """Take apart what the dynamic block `block` returned; raise BlockError that says what is wrong with it."""
    if type(value) not in (list, tuple):
        raise _wrong(block, f"it returned {_described(value)}")
    if not value:
        return Items((), None)
    values = _sequence(value[0])
    if values is None or len(value) > 2:
        what = f"a {type(value).__name__} of {len(value)}"
        raise _wrong(block, f"it returned {what}, the first of which is {_described(value[0])}")
    return Items(values, _names(value[1], len(values), block) if len(value) == 2 else None)


def store(items: Items, output_url: str) -> tuple[Fanout, list[dict[str, Any]]]:
    """Write the items into the folder `output_url`; return the fan-out, and the block's output meta for the pages."""
    storage.make_folder(output_url)
    chunks: list[Chunk] = []
    size = 0
    for url, kind, count, written in _written(items.values, output_url):
        chunks.append({"url": url, "type": kind, "start": sum_of(chunks), "count": count})
        size += written
    fanout = {"count": len(items.values), "names": items.names, "chunks": chunks}
    list_url = f"{output_url}/output_0.items.json"
    size += storage.write(list_url, json.dumps(chunks, separators=(",", ":")).encode("ascii"))
    rows, preview = previews.describe(list(items.values))
    meta = {"name": "output_0", "type": TYPE, "rows": rows, "bytes": size, "url": list_url, "container": None}
    return fanout, [meta | {"preview": preview}]


def item(number: int, chunk: Mapping[str, Any]) -> Any:
    """Read item `number` (from 0, in the whole fan-out) from the chunk that holds it, in the process of a block."""
    value = formats.read(chunk["type"], chunk["url"], unpickle=True)
    return value[number - chunk["start"]] if chunk["type"] in LISTS else value


def all_items(url: str, *, unpickle: bool) -> list[Any]:
    """Read every item, from the file that lists the chunks. Raises as formats.read does."""
    values: list[Any] = []
    for chunk in json.loads(storage.read(url)):
        value = formats.read(chunk["type"], chunk["url"], unpickle=unpickle)
        values += value if chunk["type"] in LISTS else [value]
    return values


def sum_of(chunks: Sequence[Chunk]) -> int:
    return chunks[-1]["start"] + chunks[-1]["count"] if chunks else 0


def _written(values: Sequence[Any], output_url: str) -> Iterator[tuple[str, str, int, int]]:
    """Write one chunk after the other; yield (url, type, items, bytes) of each."""
    at, most, number = 0, ITEMS_PER_CHUNK, 0
    while at < len(values):
        stem = f"{output_url}/items_{number}"
        value = formats.settled(values[at])
        if formats.has_own_file(value):
            kind, url, size = formats.write(value, stem)
            count = 1
        else:
            several = _without_own_file(values, at, most)
            kind, url, size = formats.write(several, stem)
            count = len(several)
            most = max(1, min(ITEMS_PER_CHUNK, CHUNK_BYTES * count // max(size, 1)))
        yield url, kind, count, size
        at, number = at + count, number + 1


def _without_own_file(values: Sequence[Any], begin: int, most: int) -> list[Any]:
    found = []
    for value in values[begin : begin + most]:
        if formats.has_own_file(value) or formats.has_own_file(formats.settled(value)):
            break
        found.append(value)
    return found


def _sequence(value: Any) -> Sequence[Any] | None:
    """Return the items as something to count and to slice; a table's are its rows, each a dict."""
    if type(value) in (list, tuple, range):
        return value  # type: ignore[no-any-return]
    root, name = type(value).__module__.partition(".")[0], type(value).__name__
    if (root, name) == ("pandas", "DataFrame"):
        return value.to_dict("records")  # type: ignore[no-any-return]
    if (root, name) in (("polars", "DataFrame"), formats.LAZY):
        return formats.settled(value).to_dicts()  # type: ignore[no-any-return]
    return None


def _names(metadata: Any, count: int, block: str) -> list[str] | None:
    """Return a name for each item: its `block_uuid`, or its number where the metadata gives none."""
    if type(metadata) not in (list, tuple):
        raise _wrong(block, f"its metadata is {_described(metadata)}, not a list of dicts")
    for place, entry in enumerate(metadata):
        if not isinstance(entry, dict):
            raise _wrong(block, f"its metadata is not a list of dicts: number {place} is {_described(entry)}")
    if len(metadata) > count:
        raise _wrong(block, f"it has {len(metadata)} entries of metadata for {count} items")
    if not any(entry.get("block_uuid") not in (None, "") for entry in metadata):
        return None
    names = [_name(entry.get("block_uuid"), place, block) for place, entry in enumerate(metadata)]
    names += map(str, range(len(names), count))
    if again := [name for name, times in Counter(names).items() if times > 1]:
        raise _wrong(block, f"its metadata has the block_uuid {again[0]!r} more than once; each item needs its own")
    return names


def _name(given: Any, place: int, block: str) -> str:
    if given is None or given == "":
        return str(place)
    name = str(given) if type(given) in (str, int) else ""
    if not name or not name.isprintable() or name != name.strip() or ":" in name:
        hint = "use a text of printable characters without a colon"
        raise _wrong(block, f"the block_uuid {str(given)[:100]!r} in its metadata cannot be a name; {hint}")
    if len(name) > LONGEST_NAME:
        raise _wrong(
            block,
            f"the block_uuid {name[:40]!r}… in its metadata has {len(name)} characters; {LONGEST_NAME} are allowed",
        )
    return name


def _described(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    size = f" of {len(value)}" if type(value) in (list, tuple, dict, set, str) else ""
    return f"a value of type {type(value).__name__}{size}"


def _wrong(block: str, reason: str) -> BlockError:
    return BlockError(f"block {block} is dynamic, but {reason}; {WANTED}")
