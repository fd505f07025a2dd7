"""Replacing a file of the project: whole, as it was in all but its text, and never over somebody else's change."""

import os
import stat
from pathlib import Path

import pytest

from pipelines import files
from pipelines.file_writes import refuse_unwritable, replace_text
from pipelines.files import FileFault, read_text
from pipelines.refusal import Refusal

NAME = "pipelines/etl/triggers.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.parent.mkdir(parents=True)
    path.write_text("a: 1\n")
    return path


def test_the_text_is_replaced_and_the_mode_stays(tmp_path: Path, file: Path) -> None:
    file.chmod(0o640)

    replace_text(tmp_path, NAME, "a: 2\n", before=read_text(tmp_path, NAME))

    assert file.read_text() == "a: 2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == ["triggers.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_stays(tmp_path: Path, file: Path) -> None:
    os.chown(file, 12345, 23456)

    replace_text(tmp_path, NAME, "a: 2\n", before=read_text(tmp_path, NAME))

    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


def test_a_byte_order_mark_and_windows_line_ends_stay(tmp_path: Path, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xbc\r\n")
    before = read_text(tmp_path, NAME)

    replace_text(tmp_path, NAME, before.text.replace("1", "2"), before=before)

    assert file.read_bytes() == b"\xef\xbb\xbfa: 2\r\nb: \xc3\xbc\r\n"


def test_a_new_file_is_made(tmp_path: Path, file: Path) -> None:
    file.unlink()

    replace_text(tmp_path, NAME, "a: 2\n", before=None)

    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("a: 2\n", 0o644)


@pytest.mark.parametrize("meanwhile", ["changed", "removed", "made"])
def test_what_changed_meanwhile_is_left_alone(tmp_path: Path, file: Path, meanwhile: str) -> None:
    before = read_text(tmp_path, NAME) if meanwhile != "made" else None
    if meanwhile == "removed":
        file.unlink()
    elif meanwhile == "changed":
        file.write_text("theirs: 1\n")

    with pytest.raises(Refusal, match="was changed meanwhile"):
        replace_text(tmp_path, NAME, "a: 2\n", before=before)

    assert file.exists() == (meanwhile != "removed")
    assert meanwhile == "removed" or "a: 2" not in file.read_text()


def test_a_link_inside_the_project_stays_a_link(tmp_path: Path, file: Path) -> None:
    target = tmp_path / "shared.yaml"
    file.rename(target)
    file.symlink_to(target)

    replace_text(tmp_path, NAME, "a: 2\n", before=read_text(tmp_path, NAME))

    assert (file.is_symlink(), target.read_text()) == (True, "a: 2\n")


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside.yaml", tmp_path / "project"
    outside.write_text("a: 1\n")
    (root / NAME).parent.mkdir(parents=True)
    (root / NAME).symlink_to(outside)

    with pytest.raises(FileFault, match="lies outside the project"):
        replace_text(root, NAME, "a: 2\n", before=None)
    with pytest.raises(FileFault, match="lies outside the project"):
        refuse_unwritable(root, NAME)
    assert outside.read_text() == "a: 1\n"


def test_a_read_only_file_is_respected_though_a_rename_would_go_around_it(tmp_path: Path, file: Path) -> None:
    refuse_unwritable(tmp_path, NAME)
    file.chmod(0o444)

    with pytest.raises(Refusal, match="read-only"):
        refuse_unwritable(tmp_path, NAME)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be written"):
        replace_text(tmp_path, NAME, "a: 2\n", before=None)


def test_a_file_that_is_being_written_is_not_read_half(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes between our two looks at the file, each time."""
    look = os.fstat

    def look_and_be_overtaken(handle: int) -> os.stat_result:
        found = look(handle)
        with file.open("a") as other:
            other.write("b: 1\n")
        return found

    monkeypatch.setattr(files.os, "fstat", look_and_be_overtaken)
    with pytest.raises(FileFault, match="being written just now"):
        read_text(tmp_path, NAME)
    monkeypatch.undo()
    assert read_text(tmp_path, NAME).text.startswith("a: 1\n")
