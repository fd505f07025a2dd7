"""How outputs lie in files: tables as Parquet, arrays as .npy, values as JSON, a pickle as the last resort.

pandas, polars, pyarrow and numpy are imported only when a value of theirs is at hand or asked for.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import Any
from warnings import catch_warnings, simplefilter

from pipelines import storage, typed_json
from pipelines.refusal import Refusal

MOST_OUTPUTS = 32  # a longer list or tuple is one output
LAZY = ("polars", "LazyFrame")
UNNAMED = b"unnamed"  # in a file's schema: the Series had no name

# Kinds that JSON has a word for but people know by another.
_WORDS = {"datetime": "datetime", "date": "datetime", "time": "datetime", "timedelta": "datetime"}


class Unstorable(TypeError):
    """A block returned something that cannot be kept for the blocks after it."""


class UntrustedPickle(PermissionError):
    """Reading this output would run code of the project, which only the process of a block may do."""


def has_own_file(value: Any) -> bool:
    """Whether this kind of value is kept in a format made for it (a table, an array, bytes)."""
    return _kind(value) in _WRITERS


def settled(value: Any) -> Any:
    """The value itself, with each polars LazyFrame collected: its work is to be done once, and in the block."""
    if _kind(value) == LAZY:
        return value.collect()
    if type(value) in (list, tuple) and any(_kind(part) == LAZY for part in value[:MOST_OUTPUTS]):
        return type(value)(map(settled, value))
    return value


def write(value: Any, stem: str) -> tuple[str, str, int]:
    """Write one value to a new file whose url begins with `stem`; return (type, url, bytes).

    None needs no file: its url is "". Raises Unstorable, and OSError when the place can't be written.
    """
    if value is None:
        return "none", "", 0
    if writer := _WRITERS.get(_kind(value)):
        return writer(value, stem)
    try:
        text, tagged = typed_json.dumps(value)
    except typed_json.NanKey as error:
        raise _unstorable(value, str(error)) from error
    except typed_json.NotJson:
        return _write_pickle(value, stem, "pickle")
    url = f"{stem}.typed.json" if tagged else f"{stem}.json"
    return _WORDS.get(type(value).__name__, "json"), url, storage.write(url, text.encode("ascii"))


def read(kind: str, url: str, *, unpickle: bool) -> Any:
    """What was written. Raises UntrustedPickle, Refusal for an unknown url or type, OSError if it is gone."""
    if kind == "none":
        return None
    suffix = url[url.rfind(".") :]
    if suffix == ".json":
        return typed_json.loads(storage.read(url), tagged=url.endswith(".typed.json"))
    if suffix == ".bin":
        data = storage.read(url)
        return bytearray(data) if kind == "bytearray" else data
    if suffix == ".pickle":
        if not unpickle:
            raise UntrustedPickle(f"output {url} is a pickle; only a block of its project may read it")
        with storage.opened(url, "rb") as stream:
            return pickle.load(stream)  # noqa: S301 - in the process of a block, whose code is free to run
    storage.check(url)
    if reader := _READERS.get((suffix, kind)):
        return reader(url)
    raise Refusal(f"There is no output of type {kind} in a {suffix[:20]} file.", field="type", code="unknown_type")


def _kind(value: Any) -> tuple[str, str]:
    kind = type(value)
    return kind.__module__.partition(".")[0], kind.__name__


def _write_pickle(value: Any, stem: str, word: str) -> tuple[str, str, int]:
    if hasattr(value, "read") and hasattr(value, "close"):
        raise _unstorable(value, "return its path, or what it contains")
    if hasattr(value, "__next__") or hasattr(value, "__anext__"):  # some can be pickled, but read only once
        raise _unstorable(value, "return a list")
    url = f"{stem}.pickle"
    with storage.opened(url, "wb") as stream:
        try:
            pickle.Pickler(stream, protocol=5).dump(value)
        except OSError:
            raise
        except Exception as error:  # any __reduce__ of the user's classes
            raise _unstorable(value, _advice(value, error)) from error
        return word, url, stream.tell()


def _unstorable(value: Any, advice: str) -> Unstorable:
    return Unstorable(f"output of type {type(value).__name__} cannot be stored; {advice}")


def _advice(value: Any, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep: return something flatter"
    if type(value).__name__.startswith("dict_"):
        return "return a list"
    if callable(value):
        return "return what calling it gives"
    return f"return plain values or a table ({error})"


def _write_bytes(value: Any, stem: str) -> tuple[str, str, int]:
    url = f"{stem}.bin"
    return type(value).__name__, url, storage.write(url, value)


def _write_array(array: Any, stem: str) -> tuple[str, str, int]:
    if array.dtype.hasobject:
        return _write_pickle(array, stem, "numpy")
    import numpy

    url = f"{stem}.npy"
    with storage.opened(url, "wb") as stream:
        numpy.save(stream, array, allow_pickle=False)
        return "numpy", url, stream.tell()


def _read_array(url: str) -> Any:
    import numpy

    with storage.opened(url, "rb") as stream:
        return numpy.load(stream, allow_pickle=False)


def _write_dataframe(frame: Any, stem: str) -> tuple[str, str, int]:
    return _write_pandas(frame, frame, stem, "dataframe")


def _write_series(series: Any, stem: str) -> tuple[str, str, int]:
    return _write_pandas(
        series, series.to_frame(UNNAMED.decode() if series.name is None else series.name), stem, "series"
    )


def _write_pandas(value: Any, frame: Any, stem: str, word: str) -> tuple[str, str, int]:
    table = _exact_table(frame)
    if table is None:
        return _write_pickle(value, stem, word)
    if word == "series" and value.name is None:
        table = table.replace_schema_metadata({**table.schema.metadata, UNNAMED: b"yes"})
    return word, *_write_table(table, stem)


def _exact_table(frame: Any) -> Any | None:
    """The frame as an Arrow table, or None when Parquet would not give it back as it is (or pyarrow is missing)."""
    try:
        import pyarrow
        from pandas.api.types import infer_dtype
    except ImportError:
        return None
    objects = [frame.iloc[:, place] for place, dtype in enumerate(frame.dtypes) if dtype == "object"]
    if frame.index.dtype == "object" and frame.index.nlevels == 1:
        objects.append(frame.index)
    # Lists would come back as arrays, dicts with more keys than they had, None among whole numbers as NaN.
    if any(infer_dtype(values, skipna=True) not in ("string", "bytes", "date", "empty") for values in objects):
        return None
    try:
        with catch_warnings():  # "will not roundtrip correctly": seen below
            simplefilter("ignore")
            table = pyarrow.Table.from_pandas(frame)
        empty = _through_parquet(table.schema.empty_table()).to_pandas()
    except (pyarrow.ArrowException, ValueError, TypeError, KeyError, NotImplementedError):
        return None
    same = (
        list(map(str, empty.dtypes)) == list(map(str, frame.dtypes))
        and empty.columns.equals(frame.columns)
        and list(empty.columns.names) == list(frame.columns.names)
        and list(empty.index.names) == list(frame.index.names)
    )
    return table if same else None


def _through_parquet(table: Any) -> Any:
    from io import BytesIO

    from pyarrow import parquet

    stream = BytesIO()
    parquet.write_table(table, stream)
    return parquet.ParquetFile(stream).read()


def _write_arrow(table: Any, stem: str) -> tuple[str, str, int]:
    import pyarrow

    is_batch = type(table) is pyarrow.RecordBatch
    word = "record_batch" if is_batch else "arrow"
    whole = pyarrow.Table.from_batches([table]) if is_batch else table
    try:
        same = _through_parquet(whole.schema.empty_table()).schema.equals(whole.schema)
    except (pyarrow.ArrowException, NotImplementedError):
        same = False
    return (word, *_write_table(whole, stem)) if same else _write_pickle(table, stem, word)


def _write_table(table: Any, stem: str) -> tuple[str, int]:
    from pyarrow import parquet

    url = f"{stem}.parquet"
    with storage.path_or_file(url, "wb") as sink:
        parquet.write_table(table, sink)
    return url, storage.size(url)


def _read_table(url: str) -> Any:
    from pyarrow import parquet

    with storage.path_or_file(url, "rb") as source, parquet.ParquetFile(source) as file:
        return file.read()


def _read_series(url: str) -> Any:
    table = _read_table(url)
    series = table.to_pandas().iloc[:, 0]
    return series.rename(None) if UNNAMED in (table.schema.metadata or {}) else series


def _read_batch(url: str) -> Any:
    import pyarrow

    table = _read_table(url).combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pyarrow.RecordBatch.from_pylist([], schema=table.schema)


def _write_polars(value: Any, stem: str) -> tuple[str, str, int]:
    from io import BytesIO

    import polars

    is_series = type(value) is polars.Series
    word = "polars_series" if is_series else "polars"
    frame = value.to_frame() if is_series else value
    if "Object" in str(frame.schema):  # Python objects inside: polars panics rather than raises
        raise Unstorable(f"output of type polars {type(value).__name__} cannot be stored; cast its Object columns")
    try:
        stream = BytesIO()
        frame.clear().write_parquet(stream)
        stream.seek(0)
        same = polars.read_parquet(stream).schema == frame.schema
    except polars.exceptions.PolarsError:
        same = False
    if not same:
        return _write_pickle(value, stem, word)
    url = f"{stem}.parquet"
    with storage.path_or_file(url, "wb") as sink:
        frame.write_parquet(sink)
    return word, url, storage.size(url)


def _read_polars(url: str) -> Any:
    import polars

    with storage.path_or_file(url, "rb") as source:
        return polars.read_parquet(source, glob=False, hive_partitioning=False)


def _write_index(index: Any, stem: str) -> tuple[str, str, int]:
    return _write_pickle(index, stem, "index")


_WRITERS: Mapping[tuple[str, str], Callable[[Any, str], tuple[str, str, int]]] = {
    ("builtins", "bytearray"): _write_bytes,
    ("builtins", "bytes"): _write_bytes,
    ("numpy", "ndarray"): _write_array,
    ("pandas", "CategoricalIndex"): _write_index,
    ("pandas", "DataFrame"): _write_dataframe,
    ("pandas", "DatetimeIndex"): _write_index,
    ("pandas", "Index"): _write_index,
    ("pandas", "MultiIndex"): _write_index,
    ("pandas", "RangeIndex"): _write_index,
    ("pandas", "Series"): _write_series,
    ("polars", "DataFrame"): _write_polars,
    ("polars", "Series"): _write_polars,
    ("pyarrow", "RecordBatch"): _write_arrow,
    ("pyarrow", "Table"): _write_arrow,
}

_READERS: Mapping[tuple[str, str], Callable[[str], Any]] = {
    (".npy", "numpy"): _read_array,
    (".parquet", "arrow"): _read_table,
    (".parquet", "dataframe"): lambda url: _read_table(url).to_pandas(),
    (".parquet", "polars"): _read_polars,
    (".parquet", "polars_series"): lambda url: _read_polars(url).to_series(),
    (".parquet", "record_batch"): _read_batch,
    (".parquet", "series"): _read_series,
}
