"""Tables as CSV, JSON and Parquet, piece by piece."""

import base64
import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any

from pipelines.stored_rows import Table

# A spreadsheet takes text that begins so for a formula (the wide ones as well).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(table: Table) -> Iterator[bytes]:
    """Yield CSV (RFC 4180, UTF-8) with the names of the columns first; text that a spreadsheet would run is quoted."""
    yield csv_lines([table.columns])
    for batch in table.batches:
        yield csv_lines(batch)


def csv_lines(rows: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([csv_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def csv_cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return "" if value is None else value
    text = value if isinstance(value, str) else words(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def as_json(table: Table) -> Iterator[bytes]:
    """Yield a JSON list of objects, a line each."""
    before = b"[\n"
    for batch in table.batches:
        lines = (json.dumps(json_row(table.columns, row), ensure_ascii=False) for row in batch)
        yield before + b",\n".join(line.encode("utf-8", "replace") for line in lines)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def json_row(columns: Any, row: Any) -> dict[str, Any]:
    return {name: json_cell(value) for name, value in zip(columns, row, strict=True)}


def json_cell(value: Any) -> Any:
    """Return a value as JSON has it: null for what is no number, text for what JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [json_cell(item) for item in value]
    if isinstance(value, dict):
        return {str(name): json_cell(item) for name, item in value.items()}
    return value if value is None or isinstance(value, str | int) else words(value)


def words(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict | list | tuple):
        return json.dumps(json_cell(value), ensure_ascii=False)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def as_parquet(table: Table) -> Iterator[bytes]:
    """Yield a Parquet file of a table that was not stored as one: made in memory."""
    import pyarrow
    from pyarrow import parquet

    rows = [row for batch in table.batches for row in batch]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in table.columns]
    try:
        made = pyarrow.table([pyarrow.array(column) for column in columns], names=list(table.columns))
    except (pyarrow.ArrowException, OverflowError, TypeError, ValueError):  # a column of several kinds: as text
        made = pyarrow.table(
            [pyarrow.array([None if each is None else str(words(each)) for each in column]) for column in columns],
            names=list(table.columns),
        )
    out = io.BytesIO()
    parquet.write_table(made, out)
    yield out.getvalue()
