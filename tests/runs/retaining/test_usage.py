"""How much room logs, outputs and the database take, and how much is left."""

from pathlib import Path

import pytest

from runs.retaining import usage
from runs.retaining.usage import Usage


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "measured", {})


def fill(folder: Path, files: int = 3, size: int = 100) -> None:
    (folder / "deep").mkdir(parents=True)
    for number in range(files):
        (folder / "deep" / f"{number}.jsonl").write_bytes(b"x" * size)


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    fill(tmp_path, files=3, size=100)

    found = usage.folder("Logs", str(tmp_path))

    assert (found.size, found.is_whole) == (300, True)
    assert found.free
    assert found.total
    assert found.free <= found.total


def test_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    found = usage.folder("Logs", str(tmp_path / "later" / "on"))

    assert (found.size, found.is_whole) == (0, True)
    assert found.total


def test_a_folder_with_too_many_files_is_at_least_so_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "PATIENCE", -1.0)
    fill(tmp_path, files=300, size=10)

    found = usage.folder("Logs", str(tmp_path))

    assert (found.size, found.is_whole) == (2560, False)


def test_what_was_measured_does_for_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    fill(tmp_path, files=1)
    first = usage.kept("Logs", str(tmp_path))
    (tmp_path / "more").write_bytes(b"x" * 50)

    assert usage.kept("Logs", str(tmp_path)) is first
    now += 61
    assert usage.kept("Logs", str(tmp_path)).size == 150


def test_other_storage_is_not_asked() -> None:
    found = usage.folder("Logs", "s3://key:secret@bucket/logs?token=abc")

    assert found == Usage("Logs", "s3://bucket/logs", None)


@pytest.mark.django_db
def test_the_database_tells_its_size() -> None:
    assert (usage.database().size or 0) > 0


@pytest.mark.parametrize(
    ("free", "total", "short"),
    [(10**12, 10**13, False), (10**11, 10**13, True), (4 * 10**8, 10**9, True), (None, None, False)],
)
def test_little_room_is_told_of(free: int | None, total: int | None, short: bool) -> None:
    assert Usage("Logs", "/", 1, free=free, total=total).is_short is short
