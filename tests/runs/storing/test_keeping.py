"""Closed logs put away: compressed here, or in a store that another machine reads, and nothing lost when it is away."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import stored_folders
from runs import logs
from runs.models import BlockRun
from runs.states import BlockStatus
from runs.storing import keeping, store
from runs.storing.keeping import Keeper, backlog
from tests.factories import make_run
from tests.runs.written import NOON, open_log, read_all, texts


@pytest.fixture
def block_run() -> BlockRun:
    return BlockRun(pk=7, pipeline_run_id=1003)


@pytest.fixture
def here(settings: Any, tmp_path: Path) -> Path:
    """Logs are kept on this machine."""
    settings.LOGS_URL = str(tmp_path / "logs")
    return tmp_path / "logs"


@pytest.fixture
def there(settings: Any, tmp_path: Path) -> Path:
    """Logs are kept in a store; a folder, as fsspec sees it."""
    settings.DATA_DIR = tmp_path / "data"
    settings.LOGS_URL = f"local://{tmp_path}/store"
    return tmp_path / "store"


@pytest.fixture
def elsewhere(settings: Any, tmp_path: Path) -> Callable[[], None]:
    """Go over to a machine that has the store and nothing else."""

    def go() -> None:
        settings.DATA_DIR = tmp_path / "another machine"

    return go


def write(block_run: BlockRun, count: int, first: int = 0, *, ends: bool = True) -> list[str]:
    keeping.began(block_run)
    log = open_log(block_run)
    said = [f"line {number} of a log that goes on and on" for number in range(first, first + count)]
    for text in said:
        log.write("stdout", "INFO", text)
    log.close()
    if ends:
        keeping.ended(block_run, log.size)
    return said


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- on this machine --------------------------------------------------------------------------------------------------


def test_a_closed_log_is_compressed_and_read_as_before(block_run: BlockRun, here: Path) -> None:
    write(block_run, 5000)
    before = read_all(block_run)

    Keeper().turn(0)

    assert files(here) == ["1/1003/7.1.jsonl.gz"]
    assert read_all(block_run, limit=3000) == before
    assert read_all(block_run, offset=before[777]["o"]) == before[777:]
    assert logs.attempts(block_run) == [1]
    assert logs.size(block_run, 1) > 5 * (here / "1/1003/7.1.jsonl.gz").stat().st_size


def test_a_small_log_and_one_that_goes_on_stay_as_they_are(block_run: BlockRun, here: Path) -> None:
    write(block_run, 10)
    write(BlockRun(pk=8, pipeline_run_id=1003), 5000, ends=False)

    Keeper().turn(0)

    assert files(here) == ["1/1003/7.1.jsonl", "1/1003/8.1.jsonl"]


def test_a_log_over_its_cap_is_compressed_with_its_gap(block_run: BlockRun, here: Path, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 100_000
    write(block_run, 5000)
    before = read_all(block_run)
    assert any("left out here" in line["m"] for line in before)

    Keeper().turn(0)

    assert files(here) == ["1/1003/7.1.jsonl.gz"]
    assert read_all(block_run) == before


def test_a_death_between_compressing_and_removing_doubles_nothing(block_run: BlockRun, here: Path) -> None:
    said = write(block_run, 5000)
    plain = (here / "1/1003/7.1.jsonl").read_bytes()
    Keeper().turn(0)
    (here / "1/1003/7.1.jsonl").write_bytes(plain)

    assert texts(block_run) == said
    keeping.ended(block_run, 10**6)
    Keeper().turn(0)
    assert (files(here), texts(block_run)) == (["1/1003/7.1.jsonl.gz"], said)


def test_lines_before_and_at_an_offset_are_found_in_a_compressed_log(block_run: BlockRun, here: Path) -> None:
    write(block_run, 5000)
    lines = read_all(block_run)
    Keeper().turn(0)

    assert logs.lines_before(block_run, 1, lines[4000]["o"], 1000) == lines[3000]["o"]
    assert logs.lines_before(block_run, 1, lines[50]["o"], 1000) == 0
    assert logs.line_at(block_run, 1, lines[70]["o"] + 1) == lines[71]["o"]


# --- in a store -------------------------------------------------------------------------------------------------------


def test_a_closed_log_is_in_the_store_and_nowhere_else(
    block_run: BlockRun, there: Path, elsewhere: Callable[[], None]
) -> None:
    said = write(block_run, 3000)

    Keeper().turn(0)

    assert files(there) == ["1/1003/7.1.jsonl.gz"]
    assert files(store.root()) == []
    elsewhere()
    assert texts(block_run) == said
    assert (logs.attempts(block_run), logs.exists(block_run, 2)) == ([1], False)


def test_a_log_that_goes_on_is_read_from_another_machine(
    block_run: BlockRun, there: Path, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CHUNK", 10_000)
    keeper = Keeper()
    said = write(block_run, 300, ends=False)
    keeper.turn(2)
    said += write(block_run, 200, first=300, ends=False)
    keeper.turn(3)
    keeper.turn(4)

    elsewhere()

    assert texts(block_run) == said
    assert len(files(there)) > 4


def test_chunks_go_when_the_log_is_whole_in_the_store(block_run: BlockRun, there: Path) -> None:
    keeper = Keeper()
    write(block_run, 300, ends=False)
    keeper.turn(2)
    said = write(block_run, 0) or texts(block_run)

    keeper.turn(4)

    assert files(there) == ["1/1003/7.1.jsonl.gz"]
    assert texts(block_run) == said


def test_many_small_chunks_become_one(
    block_run: BlockRun, there: Path, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SMALL_CHUNKS", 5)
    keeper, said = Keeper(), list[str]()
    for number in range(23):
        said += write(block_run, 2, first=2 * number, ends=False)
        keeper.turn(2.0 * number + 2)

    assert len(files(there)) <= 5
    elsewhere()
    assert texts(block_run) == said


def test_a_keeper_that_begins_again_sends_nothing_twice(block_run: BlockRun, there: Path) -> None:
    write(block_run, 300, ends=False)
    Keeper().turn(2)
    sent = files(there)

    Keeper().turn(2)
    assert files(there) == sent
    write(block_run, 10, first=300, ends=False)
    Keeper().turn(2)

    assert len(files(there)) == len(sent) + 1


def test_a_sensor_that_looks_again_on_another_machine_goes_on_in_its_log(
    block_run: BlockRun, there: Path, elsewhere: Callable[[], None]
) -> None:
    said = write(block_run, 100, ends=False)
    Keeper().turn(2)
    elsewhere()

    log = logs.Writer(keeping.log_of(block_run).first, lambda: NOON, goes_on=True)
    log.write("stdout", "INFO", "and on")
    log.close()
    keeping.ended(block_run, log.size)
    Keeper().turn(2)

    assert texts(block_run) == [*said, "and on"]


def test_a_store_that_is_away_costs_nothing_and_is_tried_again(
    block_run: BlockRun, there: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there.write_text("a file where the folder should be")
    keeper = Keeper()
    said = write(block_run, 1000)

    keeper.turn(0)
    keeper.turn(1)

    assert backlog().waiting == 1
    assert "the log store local://" in backlog().problem
    assert len(caplog.records) == 1
    assert texts(block_run) == said  # from this machine meanwhile
    there.unlink()
    keeper.turn(keeping.TRY_AGAIN + 1)
    assert (backlog().waiting, files(there)) == (0, ["1/1003/7.1.jsonl.gz"])


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "is_over"), [(BlockStatus.FAILED, True), (BlockStatus.RUNNING, False)])
def test_the_log_of_an_attempt_whose_worker_died_is_put_away(there: Path, status: BlockStatus, is_over: bool) -> None:
    block_run = make_run(blocks={"load": status}).block_runs.get(block_uuid="load")
    write(block_run, 10, ends=False)
    keeper = Keeper()
    keeper.turn(10)
    keeper.turn(20 + keeping.SILENT)
    keeper.turn(30 + keeping.SILENT)

    assert [name.endswith(".jsonl.gz") for name in files(there)] == [is_over]


def test_what_retention_removes_is_gone_from_everywhere(block_run: BlockRun, there: Path) -> None:
    write(block_run, 3000)
    Keeper().turn(0)
    block_run.attempt = 2
    write(block_run, 300, ends=False)
    Keeper().turn(2)

    for attempt in (1, 2):
        for place in logs.places(block_run.pipeline_run_id, block_run.pk, attempt):
            stored_folders.remove(place)

    assert (files(there), logs.attempts(block_run)) == ([], [])


def test_old_attempts_go_wherever_they_are(block_run: BlockRun, there: Path) -> None:
    write(block_run, 3000)
    Keeper().turn(0)
    block_run.attempt = 2
    write(block_run, 3)

    logs.remove_before(block_run, 2)

    assert logs.attempts(block_run) == [2]


def test_a_long_log_is_put_away_in_little_memory(block_run: BlockRun, here: Path) -> None:
    first = logs.path(1003, 7, 1)
    first.parent.mkdir(parents=True)
    line = b'{"t": "2025-03-02T12:00:00Z", "s": "stdout", "l": "INFO", "m": "%s"}\n' % (b"x" * 1000)
    first.write_bytes(line * 10_000)
    keeping.ended(block_run, 10**7)
    tracemalloc.start()

    Keeper().turn(0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 3_000_000
    assert not first.exists()
