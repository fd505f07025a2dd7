"""What a block returned is what the next one receives: every kind, through real files."""

import os
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import fsspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipelines.formats import Unstorable, UntrustedPickle
from pipelines.refusal import Refusal
from pipelines.variables import load, load_output, store
from tests.pipelines.block_project import BlockProject

FRAME = pd.DataFrame(
    {
        "number": [1, 2, 3],
        "text": ["a", None, "ü"],
        "when": pd.date_range("2025-03-30", periods=3, freq="h", tz="Europe/Berlin"),
        "rate": [1.5, float("nan"), float("inf")],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "runs" / "7" / "load" / "1")


def back(value: Any, folder: str) -> Any:
    return load_output(store(value, folder), unpickle=True)


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            True,
            0,
            -(2**70),
            1.5,
            float("inf"),
            "",
            "ü\u2028\x00\ud800",
            [],
            {},
            [1, "a", None, True, 2.5, {"b": [1]}],
            {"$type": "dict"},
            {"$type": "float", "value": 3},
            {1: "a", None: "b", (1, 2): "c", False: 2},
            (),
            ((),),
            {1, 2},
            frozenset({"a"}),
            [(1, 2), {3}],
            b"",
            b"\x00\xff",
            {"content": b"\x00\xff"},
            bytearray(b"ab"),
            datetime(2025, 3, 2, 12, 0, 0, 5),
            datetime(2025, 3, 2, 12, tzinfo=UTC),
            datetime(2025, 3, 2, 12, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
            {"at": [date(2025, 3, 2), time(1, 2, 3, tzinfo=UTC), timedelta(days=-1, microseconds=3)]},
            Decimal("1.10"),
            uuid.UUID(int=5),
            Path("/data/in.csv"),
            1 + 2j,
            10**5000,
            range(3),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_come_back_equal_and_of_the_same_type(self, value: Any, folder: str) -> None:
        result = back(value, folder)

        assert result == value
        assert type(result) is type(value)

    def test_true_is_not_one(self, folder: str) -> None:
        assert [type(item) for item in back([True, 1, 1.0], folder)] == [bool, int, float]

    def test_nan_comes_back_as_nan(self, folder: str) -> None:
        result = back({"a": [float("nan"), float("-inf"), -0.0]}, folder)

        assert str(result) == "{'a': [nan, -inf, -0.0]}"

    def test_zone_and_fold_of_a_time_are_kept(self, folder: str) -> None:
        moment = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)

        result = back([moment], folder)[0]

        assert (result.tzinfo.key, result.fold, result.utcoffset()) == ("Europe/Berlin", 1, timedelta(hours=1))

    def test_subclasses_are_not_taken_for_their_base(self, folder: str) -> None:
        for value in (
            Counter("aab"),
            OrderedDict(a=1),
            defaultdict(list, a=[1]),
            HTTPStatus.OK,
            os.stat_result(range(10)),
        ):
            assert type(back(value, folder)) is type(value)
            assert back([value], folder) == [value]

    @pytest.mark.parametrize(
        ("value", "kind", "name"),
        [
            (None, "none", ""),
            ({"a": 1}, "json", "output_0.json"),
            ({"a": Decimal(1)}, "json", "output_0.typed.json"),
            (date(2025, 3, 2), "datetime", "output_0.typed.json"),
            (b"x", "bytes", "output_0.bin"),
            (np.ones(2), "numpy", "output_0.npy"),
            (FRAME, "dataframe", "output_0.parquet"),
            (FRAME["text"], "series", "output_0.parquet"),
            (pl.DataFrame({"a": [1]}), "polars", "output_0.parquet"),
            (pa.table({"a": [1]}), "arrow", "output_0.parquet"),
            (1j, "pickle", "output_0.pickle"),
        ],
    )
    def test_lie_in_the_format_made_for_them(self, value: Any, kind: str, name: str, folder: str) -> None:
        (meta,) = store(value, folder)

        assert meta["type"] == kind
        assert meta["url"] == (f"{folder}/{name}" if name else "")
        assert meta["bytes"] == (os.path.getsize(meta["url"]) if name else 0)
        assert meta["container"] is None

    def test_tagged_json_is_strict_json(self, folder: str) -> None:
        (meta,) = store([float("nan"), datetime(2025, 3, 2, tzinfo=UTC)], folder)

        assert Path(meta["url"]).read_text() == (
            '[{"$type":"float","value":"nan"},{"$type":"datetime","value":"2025-03-02T00:00:00+00:00"}]'
        )


class TestSeveralOutputs:
    @pytest.mark.parametrize(
        "value",
        [(1, "a", None), (1,), [b"a", 1], (None, None), ([1], {2: 3})],
        ids=str,
    )
    def test_come_back_in_their_container(self, value: Any, folder: str) -> None:
        metas = store(value, folder)

        assert [meta["name"] for meta in metas] == [f"output_{place}" for place in range(len(value))]
        assert {meta["container"] for meta in metas} == {type(value).__name__}
        assert load_output(metas) == value

    def test_tables_in_a_list_have_a_file_each(self, folder: str) -> None:
        metas = store([FRAME, pl.DataFrame({"a": [1]}), None], folder)

        assert [meta["type"] for meta in metas] == ["dataframe", "polars", "none"]
        assert sorted(os.listdir(folder)) == ["output_0.parquet", "output_1.parquet"]

    def test_a_plain_list_is_one_output(self, folder: str) -> None:
        assert len(store([1, 2, 3], folder)) == 1

    def test_a_long_tuple_is_one_output(self, folder: str) -> None:
        metas = store(tuple(range(1000)), folder)

        assert len(metas) == 1
        assert load_output(metas) == tuple(range(1000))

    def test_no_output_is_none(self) -> None:
        assert load_output([]) is None


class TestPandas:
    @pytest.mark.parametrize(
        "frame",
        [
            FRAME,
            FRAME.iloc[:0],
            FRAME.iloc[1:],
            pd.DataFrame(),
            pd.DataFrame(index=[3, 4]),
            FRAME.set_index("text"),
            FRAME.set_index(["number", "when"]),
            FRAME.rename_axis("row").rename_axis("column", axis=1),
            FRAME.assign(kind=pd.Categorical(["b", "a", "b"], categories=["z", "b", "a"], ordered=True)),
            FRAME.assign(kind=pd.Categorical([3, 1, 3])),
            FRAME.assign(
                whole=pd.array([1, None, 3], dtype="Int64"), flag=pd.array([True, None, False], dtype="boolean")
            ),
            FRAME.assign(
                length=pd.to_timedelta([1, 2, 3], unit="h"), month=pd.period_range("2025", periods=3, freq="M")
            ),
            FRAME.astype({"when": "datetime64[s, UTC]", "number": "int8"}),
            FRAME.astype({"number": "int64[pyarrow]"}),
            FRAME.astype({"text": object}),
            FRAME.T,
            FRAME.rename(columns={"number": 0}),
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            FRAME.groupby("text").agg({"number": ["min", "max"]}),
            pd.DataFrame(np.eye(3)),
        ],
        ids=lambda frame: ",".join(map(str, frame.columns))[:30] or "empty",
    )
    def test_a_frame_comes_back_with_types_and_index(self, frame: pd.DataFrame, folder: str) -> None:
        (meta,) = store(frame, folder)

        assert (meta["type"], meta["rows"]) == ("dataframe", len(frame))
        pd.testing.assert_frame_equal(load(meta, unpickle=True), frame, check_freq=False)

    @pytest.mark.parametrize(
        "column",
        [
            [1, "a", None],
            [[1], [2, 3], None],
            [{"a": 1}, {"b": 2}, {}],
            [{1}, {2}, None],
            [True, None, False],
            [1, None, 2],
            [Decimal("1.0"), Decimal("1.25"), None],
            [uuid.UUID(int=1), None, None],
            [date(2025, 3, 2), None, date(2025, 3, 3)],
            [b"a", None, b"b"],
            [None, None, None],
        ],
        ids=str,
    )
    def test_objects_in_a_column_come_back_as_they_were(self, column: list, folder: str) -> None:
        frame = pd.DataFrame({"a": pd.Series(column, dtype=object)})

        result = back(frame, folder)

        assert result["a"].tolist() == column
        assert [type(value) for value in result["a"]] == [type(value) for value in column]

    def test_what_parquet_refuses_is_still_a_dataframe(self, folder: str) -> None:
        (meta,) = store(pd.DataFrame({"a": [1, "b"]}), folder)

        assert meta["type"] == "dataframe"
        assert meta["url"].endswith(".pickle")
        assert meta["preview"]["rows"] == [[1], ["b"]]

    def test_other_programs_can_read_the_file(self, folder: str) -> None:
        (meta,) = store(FRAME, folder)

        assert parquet.read_table(meta["url"]).column_names == ["number", "text", "when", "rate"]
        assert pl.read_parquet(meta["url"]).height == 3

    @pytest.mark.parametrize(
        "series",
        [
            FRAME["text"],
            FRAME["number"].rename(None),
            FRAME["number"].rename(0),
            FRAME["number"].rename("unnamed"),
            FRAME.set_index("text")["when"],
            FRAME.groupby("number").size(),
            pd.Series([], dtype="float64"),
            pd.Series([1, "a"]),
        ],
        ids=lambda series: str(series.name),
    )
    def test_a_series_comes_back_with_its_name(self, series: pd.Series, folder: str) -> None:
        (meta,) = store(series, folder)

        assert (meta["type"], meta["rows"]) == ("series", len(series))
        pd.testing.assert_series_equal(load(meta, unpickle=True), series)

    @pytest.mark.parametrize(
        "index",
        [
            FRAME.index,
            pd.Index(["a", "b"], name="x"),
            FRAME.set_index(["number", "text"]).index,
            pd.date_range("2025", periods=3),
            pd.CategoricalIndex(["a", "b"]),
        ],
        ids=lambda index: type(index).__name__,
    )
    def test_an_index_comes_back_as_it_was(self, index: pd.Index, folder: str) -> None:
        (meta,) = store(index, folder)

        assert (meta["type"], meta["rows"]) == ("index", len(index))
        assert meta["preview"]["kind"] == "table"
        pd.testing.assert_index_equal(load(meta, unpickle=True), index)

    def test_frames_inside_a_dict_survive(self, folder: str) -> None:
        result = back({"train": FRAME, "test": FRAME.iloc[:1]}, folder)

        pd.testing.assert_frame_equal(result["train"], FRAME)

    def test_a_timestamp_survives(self, folder: str) -> None:
        assert back([pd.Timestamp("2025-03-02", tz="UTC")], folder) == [pd.Timestamp("2025-03-02", tz="UTC")]


class TestPolars:
    FRAME = pl.DataFrame(
        {
            "number": [1, None],
            "text": ["a", "ü"],
            "when": [datetime(2025, 3, 2)] * 2,
            "list": [[1], [2, 3]],
            "struct": [{"a": 1}, {"a": 2}],
            "length": [timedelta(1), None],
        }
    ).with_columns(
        pl.col("text").cast(pl.Categorical).alias("category"),
        pl.col("text").cast(pl.Enum(["a", "b", "ü"])).alias("enum"),
        pl.lit(Decimal("1.25")).alias("price"),
        pl.col("when").dt.replace_time_zone("Europe/Berlin").alias("zoned"),
    )

    def test_a_frame_comes_back_with_its_schema(self, folder: str) -> None:
        result = back(self.FRAME, folder)

        assert result.schema == self.FRAME.schema
        assert result.equals(self.FRAME)

    def test_a_lazy_frame_is_collected(self, folder: str) -> None:
        (meta,) = store(self.FRAME.lazy().filter(pl.col("number") == 1), folder)

        assert (meta["type"], meta["rows"]) == ("polars", 1)
        assert load(meta).height == 1

    def test_lazy_frames_among_several_outputs_are_collected_once(self, shop: BlockProject) -> None:
        code = """
            import polars
            collected = []

            def look(frame):
                collected.append(1)
                return frame

            @data_loader
            def load():
                return polars.LazyFrame({'a': [1]}).map_batches(look), 1

            @test
            def test_output(frame, number):
                assert frame.height == number == len(collected)
            """

        result = shop.run(code, cache_outputs=True)

        assert result["failure"] is None
        assert [meta["type"] for meta in result["outputs"]] == ["polars", "json"]

    def test_a_series_comes_back_with_its_name(self, folder: str) -> None:
        (meta,) = store(self.FRAME["list"], folder)

        assert (meta["type"], meta["rows"]) == ("polars_series", 2)
        assert load(meta).equals(self.FRAME["list"], check_names=True)

    def test_an_empty_frame_survives(self, folder: str) -> None:
        assert back(pl.DataFrame(), folder).shape == (0, 0)

    def test_python_objects_inside_are_refused_and_said_so(self, folder: str) -> None:
        with pytest.raises(
            Unstorable, match="output of type polars DataFrame cannot be stored; cast its Object columns"
        ):
            store(pl.DataFrame({"a": [object()]}, schema={"a": pl.Object}), folder)

    def test_odd_folder_names_are_no_patterns(self, tmp_path: Path) -> None:
        assert back(self.FRAME, str(tmp_path / "a=1" / "[x]*")).columns == self.FRAME.columns


class TestArrow:
    @pytest.mark.parametrize(
        "table",
        [
            pa.table({"a": [1, None], "b": ["x", "y"]}),
            pa.table({"a": pa.array(["x", "y"]).dictionary_encode()}),
            pa.table({"a": pa.array([1, 2], pa.timestamp("s", "UTC")), "b": pa.nulls(2)}),
            pa.table({"a": pa.array([1], pa.time32("s")), "b": pa.array(["x"], pa.string_view())}),
            pa.table({"a": [1]}).replace_schema_metadata({"origin": "test"}),
            pa.table({"a": pa.array([], pa.int8())}),
        ],
        ids=lambda table: str(table.schema.types),
    )
    def test_a_table_comes_back_with_its_schema(self, table: pa.Table, folder: str) -> None:
        (meta,) = store(table, folder)

        result = load(meta, unpickle=True)

        assert (meta["type"], meta["rows"]) == ("arrow", table.num_rows)
        assert result.equals(table)
        assert result.schema.equals(table.schema, check_metadata=True)

    @pytest.mark.parametrize("rows", [0, 2])
    def test_a_record_batch_comes_back_as_one(self, rows: int, folder: str) -> None:
        batch = pa.RecordBatch.from_pydict({"a": pa.array([1, 2][:rows], pa.int64())})

        result = back(batch, folder)

        assert type(result) is pa.RecordBatch
        assert result.equals(batch)


class TestNumpy:
    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6).reshape(2, 3),
            np.asfortranarray(np.ones((2, 3))),
            np.array(5),
            np.zeros((0, 2)),
            np.array(["a", "ü"]),
            np.array(["2025-03-02"], dtype="M8[s]"),
            np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
            np.array([{"a": 1}, None]),
            np.array([1.5, np.nan], dtype="float16"),
        ],
        ids=lambda array: f"{array.dtype}{array.shape}",
    )
    def test_an_array_comes_back_with_type_and_shape(self, array: np.ndarray, folder: str) -> None:
        (meta,) = store(array, folder)

        result = load(meta, unpickle=True)

        assert meta["type"] == "numpy"
        assert (result.dtype, result.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(result, array)

    @pytest.mark.parametrize(
        "scalar", [np.float64(1.5), np.int8(3), np.bool_(True), np.str_("ü"), np.datetime64("2025-03-02")]
    )
    def test_a_number_of_numpy_stays_one(self, scalar: Any, folder: str) -> None:
        result = back({"a": scalar}, folder)["a"]

        assert result == scalar
        assert type(result) is type(scalar)

    def test_a_masked_array_keeps_its_mask(self, folder: str) -> None:
        assert back(np.ma.array([1, 2], mask=[False, True]), folder).sum() == 1

    def test_an_array_file_never_holds_a_pickle(self, folder: str) -> None:
        (meta,) = store(np.ones(2), folder)
        np.save(meta["url"], np.array([object()]), allow_pickle=True)

        with pytest.raises(ValueError, match="allow_pickle"):
            load(meta, unpickle=True)


class TestPickles:
    def test_are_read_only_by_a_block(self, folder: str) -> None:
        (meta,) = store(1j, folder)

        with pytest.raises(UntrustedPickle, match="is a pickle; only a block of its project may read it"):
            load(meta)
        with pytest.raises(UntrustedPickle):
            load_output([meta])

    def test_a_class_that_raises_in_pickling_is_refused(self, folder: str) -> None:
        class Odd:
            def __reduce__(self) -> Any:
                raise RuntimeError("not me")

        with pytest.raises(Unstorable, match=r"output of type Odd cannot be stored; return plain values .*\(not me\)"):
            store(Odd(), folder)


class TestPlaces:
    def test_outputs_may_lie_in_an_object_store(self) -> None:
        folder = f"memory://{uuid.uuid4()}/runs/7"

        for value in (FRAME, pl.DataFrame({"a": [1]}), pa.table({"a": [1]}), np.ones(2), {"a": 1}, b"x", 1j):
            (meta,) = store(value, folder)

            assert meta["url"].startswith(folder)
            assert meta["bytes"] == fsspec.core.url_to_fs(meta["url"])[0].size(meta["url"]) > 0
            assert str(load(meta, unpickle=True)) == str(value)

    @pytest.mark.parametrize(
        "url",
        [
            "output_0.json",
            "../output_0.json",
            "ftp://host/o.json",
            "https://host/o.json",
            "file://host/o.json",
            "s3://",
            "",
        ],
    )
    def test_a_url_of_another_kind_is_refused(self, url: str) -> None:
        meta = {"name": "output_0", "type": "json", "url": url, "container": None}

        with pytest.raises(Refusal) as refused:
            load({**meta, "url": url or "x.json"})
        assert refused.value.code == "unknown_url"

    def test_a_file_url_is_a_path(self, folder: str) -> None:
        for value in ({"a": 1}, FRAME):
            (meta,) = store(value, f"file://{folder}")

            assert os.path.getsize(meta["url"].removeprefix("file://")) == meta["bytes"]
            assert str(load(meta)) == str(value)

    def test_a_type_that_no_file_has_is_refused(self, folder: str) -> None:
        (meta,) = store(FRAME, folder)

        with pytest.raises(Refusal, match="There is no output of type spreadsheet in a .parquet file"):
            load({**meta, "type": "spreadsheet"})

    def test_one_output_takes_one_folder_and_one_file(self, folder: str) -> None:
        Path(folder).parent.mkdir(parents=True)
        script = (
            "import sys; from pipelines.variables import store\n"
            "seen = []\n"
            f"folder = {folder!r}\n"
            "def watch(event, arguments):\n"
            '    if str(arguments[:1]).startswith(f"(\'{folder}"): seen.append(event)\n'
            "sys.addaudithook(watch)\n"
            "store({'a': 1}, folder)\n"
            "print(*seen)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

        assert done.stdout.split() == ["os.mkdir", "open"]
