"""A few rows or a few words of a block's output for the pages: JSON-safe, and never more than 4 KB."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

MAX_BYTES = 4096
MAX_ROWS = 10
MAX_COLUMNS = 20
TEXT_WIDTHS = (80, 40, 20, 10)  # a cell's text is cut to the first of these that makes the table small enough
MAX_TEXT = 1800
MAX_DEPTH = 4
MAX_ITEMS = 20
SAFE_INTEGER = 2**53  # beyond it JavaScript would show another number


def describe(value: Any) -> tuple[int | None, dict[str, Any]]:
    """Return (number of rows or None, preview): a table for what has rows and columns, else a text."""
    kind = type(value)
    if kind is str:
        return None, _text(value)
    if value is None or kind is bool or kind is int or kind is float:
        return None, _text(_dumps(brief(value)))
    root = kind.__module__.partition(".")[0]
    if table := _TABLES.get((root, kind.__name__)):
        return table(value)
    if kind is list and value and all(type(item) is dict for item in value[:MAX_ROWS]):
        return len(value), _records(value)
    rows = len(value) if kind in (list, tuple, set, frozenset) else None
    return rows, _text(_dumps(brief(value)))


def brief(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The beginning of a nested value as JSON; what JSON has no word for becomes text."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        if depth == 0:
            return "…"
        items = [brief(item, depth - 1) for item, _ in zip(value, range(MAX_ITEMS), strict=False)]
        return items + ["…"] if len(value) > MAX_ITEMS else items
    if kind is dict:
        if depth == 0:
            return "…"
        pairs = zip(value.items(), range(MAX_ITEMS), strict=False)
        short = {_cut(_words(key), 40): brief(item, depth - 1) for (key, item), _ in pairs}
        return short | {"…": "…"} if len(value) > MAX_ITEMS else short
    return cell(value, 200)


def cell(value: Any, width: int = TEXT_WIDTHS[0]) -> Any:
    """One value as JSON: null for what is missing (NaN, NaT, NA), text cut to `width`, whole numbers that are safe."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _cut(value, width)
    if kind is int:
        return value if -SAFE_INTEGER < value < SAFE_INTEGER else _cut(_words(value), width)
    if kind is float:
        return value if math.isfinite(value) else None if value != value else str(value)
    if kind.__name__ in ("NaTType", "NAType"):
        return None
    if kind.__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        plain = value.item()
        return cell(plain, width) if type(plain) in (bool, int, float, str) else _cut(_words(value), width)
    return _cut(_words(value), width)


def clean(text: str) -> str:
    """Text that can be stored and sent: no NUL, no lone surrogates."""
    if text.isascii():
        return text.replace("\x00", "�") if "\x00" in text else text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "�")


def _words(value: Any) -> str:
    try:
        shape = getattr(value, "shape", None)
        if type(shape) is tuple and shape:  # a frame or an array inside something else
            return f"{type(value).__name__} {' × '.join(map(str, shape))}"
        return str(value)
    except Exception:  # the user's own __str__
        return f"<{type(value).__name__}>"


def _cut(text: str, width: int) -> str:
    return clean(text if len(text) <= width else text[: width - 1] + "…")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(text: str) -> dict[str, Any]:
    preview = {"kind": "text", "text": _cut(text, MAX_TEXT)}
    while _bytes(preview) > MAX_BYTES:
        preview["text"] = _cut(text, len(preview["text"]) // 2)
    return preview


def _table(columns: Sequence[Any], rows: Iterable[Sequence[Any]], *, more: bool) -> dict[str, Any]:
    rows = list(rows)
    preview: dict[str, Any] = {}
    for count in (len(rows), len(rows) // 2, 1):
        for width in TEXT_WIDTHS:
            preview = {
                "kind": "table",
                "columns": [_cut(_words(column), width) for column in columns],
                "rows": [[cell(value, width) for value in row] for row in rows[:count]],
                "more": more or count < len(rows),
            }
            if _bytes(preview) <= MAX_BYTES:
                return preview
    return preview | {"rows": [], "more": True}


def _bytes(preview: dict[str, Any]) -> int:
    return len(json.dumps(preview))


def _records(values: list[dict[Any, Any]]) -> dict[str, Any]:
    columns: dict[Any, None] = {}
    for record in values[:MAX_ROWS]:
        columns.update(dict.fromkeys(record))
    shown = list(columns)[:MAX_COLUMNS]
    rows = [[_flat(record.get(name)) for name in shown] for record in values[:MAX_ROWS]]
    return _table(shown, rows, more=len(values) > MAX_ROWS or len(columns) > MAX_COLUMNS)


def _flat(value: Any) -> Any:
    return _dumps(brief(value, 2)) if type(value) in (dict, list, tuple, set, frozenset) else value


def _dataframe(frame: Any) -> tuple[int, dict[str, Any]]:
    head = frame.iloc[:MAX_ROWS, :MAX_COLUMNS]
    columns = list(head.columns)
    series = [head.iloc[:, place].tolist() for place in range(len(columns))]
    if type(head.index).__name__ != "RangeIndex":
        columns = ["" if frame.index.name is None else frame.index.name, *columns]
        series = [head.index.tolist(), *series]
    rows, width = frame.shape
    return rows, _table(columns, zip(*series, strict=True), more=rows > MAX_ROWS or width > MAX_COLUMNS)


def _series(series: Any) -> tuple[int, dict[str, Any]]:
    rows, preview = _dataframe(series.head(MAX_ROWS).to_frame("" if series.name is None else series.name))
    return len(series), preview | {"more": preview["more"] or len(series) > rows}


def _index(index: Any) -> tuple[int, dict[str, Any]]:
    rows = [[value] for value in index[:MAX_ROWS].tolist()]
    return len(index), _table([index.name or ""], rows, more=len(index) > MAX_ROWS)


def _polars(frame: Any) -> tuple[int, dict[str, Any]]:
    rows, width = frame.shape
    shown = frame.columns[:MAX_COLUMNS]
    head = frame.select(shown).head(MAX_ROWS).rows() if shown else []
    return rows, _table(shown, head, more=rows > MAX_ROWS or width > MAX_COLUMNS)


def _polars_series(series: Any) -> tuple[int, dict[str, Any]]:
    rows = [[value] for value in series.head(MAX_ROWS).to_list()]
    return len(series), _table([series.name], rows, more=len(series) > MAX_ROWS)


def _arrow(table: Any) -> tuple[int, dict[str, Any]]:
    shown = table.schema.names[:MAX_COLUMNS]
    columns = [table.column(place).slice(0, MAX_ROWS).to_pylist() for place in range(len(shown))]
    more = table.num_rows > MAX_ROWS or table.num_columns > MAX_COLUMNS
    return table.num_rows, _table(shown, zip(*columns, strict=True), more=more)


def _array(array: Any) -> tuple[int | None, dict[str, Any]]:
    rows = len(array) if array.ndim else None
    if array.ndim == 2 and not array.dtype.names:
        head = array[:MAX_ROWS, :MAX_COLUMNS]
        more = array.shape[0] > MAX_ROWS or array.shape[1] > MAX_COLUMNS
        return rows, _table(range(head.shape[1]), head.tolist(), more=more)
    head = array.reshape(-1)[: MAX_ITEMS + 1].tolist()
    return rows, _text(f"array of {array.dtype}, shape {array.shape}: {_dumps(brief(head))}")


def _content(data: bytes | bytearray) -> tuple[None, dict[str, Any]]:
    more = "…" if len(data) > 200 else ""
    return None, _text(f"{len(data)} bytes: {bytes(data[:200])!r}{more}")


_TABLES: dict[tuple[str, str], Callable[[Any], tuple[int | None, dict[str, Any]]]] = {
    ("builtins", "bytes"): _content,
    ("builtins", "bytearray"): _content,
    ("numpy", "ndarray"): _array,
    ("pandas", "DataFrame"): _dataframe,
    **{("pandas", name): _index for name in ("Index", "CategoricalIndex", "DatetimeIndex", "MultiIndex", "RangeIndex")},
    ("pandas", "Series"): _series,
    ("polars", "DataFrame"): _polars,
    ("polars", "Series"): _polars_series,
    ("pyarrow", "RecordBatch"): _arrow,
    ("pyarrow", "Table"): _arrow,
}
