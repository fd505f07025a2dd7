"""The few rows and words that the pages show of an output."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.previews import MAX_BYTES, clean, describe


def table(columns: list[str], rows: list[list[Any]], *, more: bool = False) -> dict[str, Any]:
    return {"kind": "table", "columns": columns, "rows": rows, "more": more}


FRAMES = {
    "pandas": pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
    "polars": pl.DataFrame({"a": [1, 2], "b": ["x", None]}),
    "arrow": pa.table({"a": [1, 2], "b": ["x", None]}),
    "batch": pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None]}),
    "records": [{"a": 1, "b": "x"}, {"a": 2, "b": None}],
    "uneven records": [{"a": 1, "b": "x"}, {"a": 2}],
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_kind_of_table_looks_the_same(name: str) -> None:
    assert describe(FRAMES[name]) == (2, table(["a", "b"], [[1, "x"], [2, None]]))


@pytest.mark.parametrize(
    "large",
    [
        pd.DataFrame(np.ones((1000, 100))),
        pl.DataFrame(np.ones((1000, 100))),
        pa.table({str(place): [1.0] * 1000 for place in range(100)}),
        np.ones((1000, 100)),
        [{str(place): 1.0 for place in range(100)}] * 1000,
    ],
    ids=["pandas", "polars", "arrow", "numpy", "records"],
)
def test_a_large_table_shows_ten_rows_of_twenty_columns(large: Any) -> None:
    rows, preview = describe(large)

    assert rows == 1000
    assert (len(preview["rows"]), len(preview["columns"]), preview["more"]) == (10, 20, True)


def test_long_text_is_cut_before_rows_are() -> None:
    _, preview = describe(pd.DataFrame({f"column {place}": ["ü" * 500] * 10 for place in range(3)}))

    assert len(json.dumps(preview)) <= MAX_BYTES
    assert len(preview["rows"]) == 10
    assert preview["rows"][0][0] == "ü" * 19 + "…"


def test_a_table_that_is_still_too_large_shows_fewer_rows() -> None:
    _, preview = describe(pd.DataFrame({f"{'☃' * 50}{place}": ["☃" * 500] * 10 for place in range(20)}))

    assert len(json.dumps(preview)) <= MAX_BYTES
    assert 0 < len(preview["rows"]) < 10
    assert preview["more"] is True


def test_what_is_missing_is_null_and_the_rest_is_json() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2025-03-02", None]),
            "rate": [float("nan"), float("inf")],
            "whole": pd.array([None, 2**60], dtype="Int64"),
            "price": [Decimal("1.10"), None],
            "list": [[1], None],
        }
    )

    rows, preview = describe(frame)

    assert preview["rows"] == [
        ["2025-03-02 00:00:00", None, None, "1.10", "[1]"],
        [None, "inf", str(2**60), None, None],
    ]
    json.dumps(preview, allow_nan=False)


def test_an_index_that_says_something_is_the_first_column() -> None:
    frame = pd.DataFrame({"total": [5]}, index=pd.Index(["north"], name="region"))

    assert describe(frame) == (1, table(["region", "total"], [["north", 5]]))


@pytest.mark.parametrize(
    ("series", "columns"),
    [(pd.Series([1, 2], name="a"), ["a"]), (pd.Series([1, 2]), [""]), (pl.Series("a", [1, 2]), ["a"])],
)
def test_a_series_is_a_table_of_one_column(series: Any, columns: list[str]) -> None:
    assert describe(series) == (2, table(columns, [[1], [2]]))


def test_a_long_series_says_that_there_is_more() -> None:
    rows, preview = describe(pd.Series(range(1000)))

    assert (rows, len(preview["rows"]), preview["more"]) == (1000, 10, True)


@pytest.mark.parametrize(
    "empty",
    [
        pd.DataFrame(),
        pl.DataFrame(),
        pa.table({}),
        pd.DataFrame(columns=["a"]),
        pd.Series([], dtype=int),
        np.zeros((0, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_empty_table_has_no_rows(empty: Any) -> None:
    rows, preview = describe(empty)

    assert rows == 0
    assert preview["rows"] == []
    assert preview["more"] is False


@pytest.mark.parametrize(
    ("value", "rows", "text"),
    [
        (None, None, "null"),
        (True, None, "true"),
        (3, None, "3"),
        (float("nan"), None, "null"),
        ("two\nlines", None, "two\nlines"),
        ([1, 2.5, "a"], 3, '[1, 2.5, "a"]'),
        ({"a": {"b": [1]}, 2: "ü"}, None, '{"a": {"b": [1]}, "2": "ü"}'),
        ((1, 2), 2, "[1, 2]"),
        (datetime(2025, 3, 2, 12, tzinfo=UTC), None, '"2025-03-02 12:00:00+00:00"'),
        ({"on": date(2025, 3, 2)}, None, '{"on": "2025-03-02"}'),
        ({"frame": pd.DataFrame({"a": [1]})}, None, '{"frame": "DataFrame 1 × 1"}'),
        ([[[[[1]]]]], 1, '[[[["…"]]]]'),
        (b"\x00ab", None, "3 bytes: b'\\x00ab'"),
        (np.array([1, 2]), 2, "array of int64, shape (2,): [1, 2]"),
        (np.array(5), None, "array of int64, shape (): [5]"),
        (2**70, None, f'"{2**70}"'),
    ],
    ids=str,
)
def test_a_value_is_shown_as_text(value: Any, rows: int | None, text: str) -> None:
    assert describe(value) == (rows, {"kind": "text", "text": text})


def test_an_object_that_cannot_show_itself_is_named_by_its_type() -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError

    assert describe(Odd())[1] == {"kind": "text", "text": '"<Odd>"'}


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, "☃" * 10**6, ["☃" * 500] * 100, {str(n): "☃" * 200 for n in range(100)}, b"\x00" * 10**6, 10**5000],
    ids=lambda value: type(value).__name__,
)
def test_a_text_is_never_longer_than_the_limit(value: Any) -> None:
    assert len(json.dumps(describe(value)[1])) <= MAX_BYTES


@given(
    st.recursive(
        st.none() | st.floats() | st.integers() | st.text(st.characters()) | st.binary() | st.datetimes(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    )
)
def test_a_preview_is_always_small_json(value: Any) -> None:
    _, preview = describe(value)

    assert len(json.dumps(preview, allow_nan=False)) <= MAX_BYTES
    assert preview["kind"] in ("table", "text")
    json.dumps(preview, ensure_ascii=False).encode("utf-8")


@given(st.text(st.characters(exclude_categories=())))
def test_clean_text_can_be_stored_anywhere(text: str) -> None:
    cleaned = clean(text)

    assert "\x00" not in cleaned
    assert len(cleaned.encode("utf-8")) >= len(text)
