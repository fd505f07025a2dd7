"""Whether the machinery is well: one line each for schedulers, workers, executors and disks."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from orchestrator_site.dashboard import condition
from runs.models import Worker, WorkerKind
from tests.factories import NOON

SECOND = timedelta(seconds=1)


def worker(kind: WorkerKind = WorkerKind.WORKER, ago: int = 1, held: int = 0, **fields: object) -> Worker:
    found = Worker(kind=kind, host="here", pid=1, started_at=NOON, seen_at=NOON - ago * SECOND, **fields)
    found.held = held  # type: ignore[attr-defined]
    return found


def scheduler(ago: int, lag: int = 0) -> Worker:
    return worker(WorkerKind.SCHEDULER, ago, last_loop_at=NOON - ago * SECOND, lag=lag * SECOND)


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "_seen", [])


@pytest.mark.parametrize(
    ("workers", "state", "text"),
    [
        ([], "gone", "none has been at work within the day"),
        ([scheduler(2)], "alive", "looked"),
        ([scheduler(2), scheduler(3)], "alive", "2 at work, looked"),
        ([scheduler(2, lag=12)], "late", "12.0 s late, looked"),
        ([scheduler(90)], "gone", "last looked"),
    ],
)
def test_a_scheduler_is_well_when_it_looked_lately_and_in_time(workers: list[Worker], state: str, text: str) -> None:
    line = condition.of_schedulers(workers, NOON)

    assert (line.state, line.text) == (state, text)


@pytest.mark.parametrize(
    ("workers", "state", "text"),
    [
        ([], "gone", "none is at work"),
        ([worker(held=1), worker()], "alive", "2 alive, 1 busy"),
        ([worker(), worker(ago=90)], "late", "1 alive, 0 busy; 1 not seen any more"),
        ([worker(ago=90)], "gone", "none is at work; 1 not seen any more"),
        ([worker(), worker(ago=90, stopped_at=NOON)], "alive", "1 alive, 0 busy"),
    ],
)
def test_workers_are_counted_by_whether_they_are_seen(workers: list[Worker], state: str, text: str) -> None:
    line = condition.of_workers(workers, NOON)

    assert (line.state, line.text) == (state, text)


@pytest.mark.parametrize(
    ("workers", "ready_for", "text"),
    [
        ([worker(held=1), worker(held=2)], 61, "2 alive, all busy; blocks wait for one, the first"),
        ([worker(held=1), worker(held=2)], 59, "2 alive, 2 busy"),
        ([worker(held=1), worker()], 3600, "2 alive, 1 busy"),
        (
            [worker(held=1), worker(ago=90)],
            61,
            "1 alive, all busy; 1 not seen any more; blocks wait for one, the first",
        ),
    ],
)
def test_workers_that_are_all_busy_while_blocks_wait_long_are_told(
    workers: list[Worker], ready_for: int, text: str
) -> None:
    assert condition.of_workers(workers, NOON, NOON - ready_for * SECOND).text == text


def test_an_executor_that_is_not_known_any_more_is_told() -> None:
    lines = {line.name: line for line in condition.of_executors({"gone_one": 2})}

    assert (lines["local_python"].state, lines["local_python"].text) == ("alive", "idle")
    assert (lines["gone_one"].state, lines["gone_one"].text) == ("gone", "not known here; 2 blocks running")


def test_an_executor_that_cannot_start_blocks_is_told() -> None:
    trouble = {"executor": "local_python", "reason": "Cannot allocate memory", "since": NOON.isoformat()}
    (line,) = condition.of_executors({}, [worker(trouble=trouble), worker()])

    assert (line.state, line.text) == ("gone", "a worker on here cannot start blocks: Cannot allocate memory; idle")


@pytest.mark.parametrize(("free", "state"), [(500, "alive"), (40, "late"), (5, "gone")])
def test_a_disk_that_fills_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = shutil._ntuple_diskusage(1000, 1000 - free, free)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    assert condition.storage("Storage", tmp_path).state == state


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    line = condition.storage("Storage", tmp_path)

    assert (line.state, line.text) == ("gone", f"{tmp_path} cannot be written")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "No such file" in condition.storage("Storage", tmp_path / "gone").text


def test_the_disks_are_looked_at_twice_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    monkeypatch.setattr(condition, "storage", lambda name, path: looks.append(name))
    monkeypatch.setattr(condition, "folders", lambda: [Path("/")])

    for seconds in (0, 29, 30, 31):
        condition.disks(NOON + seconds * SECOND)

    assert len(looks) == 2


def test_storage_that_is_no_folder_is_not_looked_at(tmp_path: Path) -> None:
    places = {"DATA_DIR": tmp_path, "LOGS_URL": "s3://bucket/logs", "VARIABLES_URL": tmp_path / "none"}

    with override_settings(**places):
        assert condition.folders() == [tmp_path]
