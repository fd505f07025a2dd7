"""Which outputs can be had as a file, in which formats, and why others cannot."""

import os
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from pipelines.refusal import Refusal
from runs.outputs import downloads
from runs.outputs.downloads import download, formats_of, why_none
from tests.factories import NOON
from tests.runs.outputs.stored import with_output

pytestmark = pytest.mark.django_db
FRAME = pandas.DataFrame({"a": [1, 2], "b": ["=1+1", "y"]})


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/run-was-here",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (FRAME, ["csv", "parquet", "json"]),
        ([{"a": 1}], ["csv", "parquet", "json"]),
        ({"a": 1}, ["json"]),
        (numpy.zeros((2, 2)), ["csv", "parquet", "json"]),
        (b"ab", ["bin"]),
        (None, []),
        (Evil(), []),
    ],
)
def test_formats_are_those_that_can_be_made(value: Any, expected: list[str], settings: Any, tmp_path: Path) -> None:
    _, row = with_output(value, settings, tmp_path)

    assert formats_of(row.output[0]) == expected


def test_without_pyarrow_it_is_said_what_is_missing(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = with_output(FRAME, settings, tmp_path)
    monkeypatch.setattr(downloads, "has", lambda package: package != "pyarrow")

    assert formats_of(row.output[0]) == ["parquet"]
    assert "CSV and JSON need pyarrow" in why_none(row.output[0])


@pytest.mark.parametrize(
    ("form", "said"),
    [("csv", b"a,b\r\n1,'=1+1\r\n2,y\r\n"), ("json", b'[\n{"a": 1, "b": "=1+1"},\n{"a": 2, "b": "y"}\n]\n')],
)
def test_a_frame_is_sent_in_the_format_asked_for(form: str, said: bytes, settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    file = download(run, row, "output_0", form)

    assert b"".join(file.pieces) == said
    assert file.name == f"etl-{run.pk}-load-output_0.{form}"


def test_parquet_is_sent_as_it_lies(settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    sent = b"".join(download(run, row, "output_0", "parquet").pieces)

    assert sent == Path(row.output[0]["url"]).read_bytes()


def test_a_pickle_is_never_loaded(settings: Any, tmp_path: Path) -> None:
    run, row = with_output(Evil(), settings, tmp_path)

    with pytest.raises(Refusal, match="cannot be had as json") as refused:
        download(run, row, "output_0", "json")

    assert "loading one runs code" in refused.value.hint
    assert not Path("/tmp/run-was-here").exists()


@pytest.mark.parametrize("name", ["output_1", "../../secret_key", "", "output_0/../x"])
def test_only_a_name_that_the_block_has_is_found(name: str, settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    with pytest.raises(Refusal) as refused:
        download(run, row, name, "csv")

    assert refused.value.code == "unknown_output"


@pytest.mark.parametrize("way", ["beside", "symlink"])
def test_a_place_outside_the_runs_folder_is_refused(way: str, settings: Any, tmp_path: Path) -> None:
    run, row = with_output({"a": 1}, settings, tmp_path / "variables")
    (tmp_path / "secret.json").write_text('"secret"')
    if way == "beside":
        row.output[0]["url"] = str(tmp_path / "secret.json")
    else:
        path = Path(row.output[0]["url"])
        path.unlink()
        path.symlink_to(tmp_path / "secret.json")

    with pytest.raises(Refusal, match="does not lie in the folder of its run"):
        download(run, row, "output_0", "json")


def test_what_retention_removed_is_said_to_be_removed(settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path, outputs_removed_at=NOON)

    with pytest.raises(Refusal, match=r"Retention removed the outputs of run \d+ at 2025-03-02"):
        download(run, row, "output_0", "csv")


@pytest.mark.parametrize(("form", "code"), [("csv", "output_removed"), ("parquet", "output_removed")])
def test_a_file_that_is_gone_is_said_before_anything_is_sent(
    form: str, code: str, settings: Any, tmp_path: Path
) -> None:
    run, row = with_output(FRAME, settings, tmp_path)
    Path(row.output[0]["url"]).unlink()

    with pytest.raises(Refusal) as refused:
        download(run, row, "output_0", form)

    assert refused.value.code == code


def test_a_file_that_is_broken_is_no_fault_of_ours(settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)
    Path(row.output[0]["url"]).write_bytes(b"no parquet")

    with pytest.raises(Refusal, match="cannot be read"):
        download(run, row, "output_0", "csv")


def test_a_file_name_is_safe_whatever_the_block_is_called(settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)
    row.block_uuid = '../a"b\r\nSet-Cookie: x/ü'

    assert download(run, row, "output_0", "csv").name == f"etl-{run.pk}-.._a_b_Set-Cookie_x_-output_0.csv"
