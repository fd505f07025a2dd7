"""Tables as CSV, JSON and Parquet."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyarrow import parquet

from pipelines.stored_rows import Table
from runs.outputs.writing import as_csv, as_json, as_parquet


def table(columns: list[str], *batches: list[Any]) -> Table:
    return Table(columns, iter(batches))


def written(pieces: Any) -> str:
    return b"".join(pieces).decode()


def test_csv_has_the_names_first_and_quotes_what_needs_it() -> None:
    said = written(as_csv(table(["a", "b"], [(1, "x,y")], [(None, 'say "hi"\nthere')])))

    assert said == 'a,b\r\n1,"x,y"\r\n,"say ""hi""\nthere"\r\n'


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_text_that_a_spreadsheet_would_run_is_text_there(text: str) -> None:
    said = written(as_csv(table([text], [(text,)])))

    assert said.replace('"', "").count(f"'{text}") == 2


def test_a_negative_number_stays_a_number() -> None:
    assert written(as_csv(table(["a"], [(-1.5,)]))) == "a\r\n-1.5\r\n"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (datetime(2025, 3, 2, tzinfo=UTC), "2025-03-02T00:00:00+00:00"),
        (Decimal("1.50"), "1.50"),
        (b"\x00\x01", "AAE="),
        ([1, None], '"[1, null]"'),
        ("a\ud800", "a?"),
    ],
)
def test_what_csv_has_no_word_for_becomes_text(value: Any, said: str) -> None:
    assert written(as_csv(table(["a"], [(value,)]))) == f"a\r\n{said}\r\n"


def test_json_is_a_list_of_objects() -> None:
    said = written(as_json(table(["a", "b"], [(1, "ä")], [(float("nan"), {"x": float("inf")})])))

    assert json.loads(said) == [{"a": 1, "b": "ä"}, {"a": None, "b": {"x": None}}]


def test_no_rows_are_an_empty_list() -> None:
    assert json.loads(written(as_json(table(["a"])))) == []


def test_parquet_keeps_the_types() -> None:
    made = parquet.read_table(io.BytesIO(b"".join(as_parquet(table(["a", "b"], [(1, "x"), (2, None)])))))

    assert made.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_a_column_of_several_kinds_is_text_in_parquet() -> None:
    made = parquet.read_table(io.BytesIO(b"".join(as_parquet(table(["a"], [(1,), ("x",), (None,)])))))

    assert made.to_pylist() == [{"a": "1"}, {"a": "x"}, {"a": None}]
