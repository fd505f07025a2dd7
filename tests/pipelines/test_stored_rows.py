"""Rows of stored outputs, read without running anything."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from pipelines import formats, stored_rows
from pipelines.refusal import Refusal


def rows_of(value: Any, folder: Path) -> tuple[list[str], list[list[Any]]]:
    _, url, size = formats.write(value, f"{folder}/output_0")
    table = stored_rows.table(url, size)
    return list(table.columns), [list(row) for batch in table.batches for row in batch]


@pytest.mark.parametrize(
    ("value", "columns", "rows"),
    [
        (pandas.DataFrame({"a": [1, 2], "b": ["x", None]}), ["a", "b"], [[1, "x"], [2, None]]),
        (numpy.array([[1, 2], [3, 4]]), ["0", "1"], [[1, 2], [3, 4]]),
        (numpy.array([1.5, 2.5]), ["0"], [[1.5], [2.5]]),
        ([{"a": 1}, {"b": 2}], ["a", "b"], [[1, None], [None, 2]]),
        ([[1, 2], [3]], ["0", "1"], [[1, 2], [3, None]]),
        ([1, "x"], ["value"], [[1], ["x"]]),
        ([{"day": date(2025, 3, 2)}], ["day"], [[date(2025, 3, 2)]]),
        ([], ["value"], []),
    ],
)
def test_a_table_has_columns_and_rows(value: Any, columns: list[str], rows: list[Any], tmp_path: Path) -> None:
    assert rows_of(value, tmp_path) == (columns, rows)


@pytest.mark.parametrize("value", [{"a": 1}, 7, numpy.zeros((2, 2, 2)), b"bytes", {1, object}])
def test_what_is_no_table_is_refused_in_words(value: Any, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no table in it"):
        rows_of(value, tmp_path)


def test_json_too_large_to_be_read_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_rows, "LARGEST_JSON", 5)

    with pytest.raises(Refusal, match="bytes of JSON"):
        rows_of([1, 2, 3, 4], tmp_path)


def test_a_long_table_comes_in_batches(tmp_path: Path) -> None:
    _, url, size = formats.write(pandas.DataFrame({"a": range(12_000)}), f"{tmp_path}/output_0")

    assert [len(batch) for batch in stored_rows.table(url, size).batches] == [5000, 5000, 2000]


def test_a_file_comes_as_it_lies(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"ab" * 200_000)

    found = list(stored_rows.pieces(str(tmp_path / "x.bin")))

    assert b"".join(found) == b"ab" * 200_000
    assert len(found) == 2
