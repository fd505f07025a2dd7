"""Rows of stored outputs, read piece by piece for people: nothing is unpickled, no code of the project runs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipelines import storage, typed_json
from pipelines.refusal import Refusal

BATCH = 5_000
LARGEST_JSON = 64 * 1024 * 1024  # bytes that are read at once to make a table of them
PIECE = 256 * 1024

Row = Sequence[Any]


@dataclass(frozen=True)
class Table:
    """Columns by name, and the rows in batches."""

    columns: Sequence[str]
    batches: Iterator[list[Row]]


def pieces(url: str) -> Iterator[bytes]:
    """Yield the content of a file as it lies. Raises OSError when it is gone."""
    with storage.opened(url, "rb") as stream:
        while data := stream.read(PIECE):
            yield data


def table(url: str, size: int) -> Table:
    """Return what lies at `url` as a table. Raises Refusal for what is none, OSError when it is gone."""
    suffix = url[url.rfind(".") :]
    if suffix == ".parquet":
        return parquet_table(url)
    if suffix == ".npy":
        return array_table(url)
    if suffix == ".json":
        return json_table(url, size)
    raise no_table()


def parquet_table(url: str) -> Table:
    from pyarrow import parquet

    source = storage.path_or_file(url, "rb")
    file = parquet.ParquetFile(source.__enter__())
    names = [str(name) for name in file.schema_arrow.names]

    def batches() -> Iterator[list[Row]]:
        try:
            for batch in file.iter_batches(batch_size=BATCH):
                yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        finally:
            file.close()
            source.__exit__(None, None, None)

    return Table(names, batches())


def array_table(url: str) -> Table:
    import numpy

    path = storage.local_path(url)
    if path:
        array = numpy.load(path, mmap_mode="r", allow_pickle=False)
    else:
        with storage.opened(url, "rb") as stream:
            array = numpy.load(stream, allow_pickle=False)
    if array.ndim not in (1, 2) or array.dtype.names:
        raise no_table(f"an array of {array.ndim} dimensions")
    names = ["0"] if array.ndim == 1 else [str(place) for place in range(array.shape[1])]
    whole = array.reshape(len(array), -1)
    return Table(names, (whole[start : start + BATCH].tolist() for start in range(0, len(whole), BATCH)))


def json_table(url: str, size: int) -> Table:
    if size > LARGEST_JSON:
        raise Refusal(
            f"This output is {size:,} bytes of JSON; at most {LARGEST_JSON:,} are made a table.",
            field="as",
            hint="Download it as JSON.",
            code="not_in_this_format",
        )
    value = typed_json.loads(storage.read(url), tagged=url.endswith(".typed.json"))
    if not isinstance(value, list):
        raise no_table("a single value")
    if value and all(isinstance(item, dict) for item in value):
        names = list(dict.fromkeys(name for item in value for name in item))
        return Table(names, batched([item.get(name) for name in names] for item in value))
    if value and all(isinstance(item, list | tuple) for item in value):
        width = max(len(item) for item in value)
        rows = ([*item, *[None] * (width - len(item))] for item in value)
        return Table([str(place) for place in range(width)], batched(rows))
    return Table(["value"], batched([item] for item in value))


def batched(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def no_table(what: str = "no rows and columns") -> Refusal:
    return Refusal(
        f"This output has no table in it: it is {what}.",
        field="as",
        hint="Download it as JSON, or as it was stored.",
        code="not_in_this_format",
    )
