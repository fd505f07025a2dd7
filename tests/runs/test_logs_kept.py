"""What is kept of a log that is longer than it may be, or for which there is no room."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runs import logs
from runs.models import BlockRun
from tests.runs.written import open_log, path_of, read_all, texts, write


@pytest.fixture
def block_run(tmp_path: Path, settings: Any) -> BlockRun:
    settings.LOGS_URL = str(tmp_path / "logs")
    return BlockRun(pk=7, pipeline_run_id=1003)


# --- the cap --------------------------------------------------------------------------------------------------------


def kept_files(block_run: BlockRun) -> list[Path]:
    first = path_of(block_run)
    return [first, *first.with_suffix(".segments").glob("*.jsonl")]


def kept_bytes(block_run: BlockRun) -> int:
    return sum(file.stat().st_size for file in kept_files(block_run))


def test_a_log_over_its_cap_keeps_a_tenth_at_its_head_and_the_newest_in_order(
    block_run: BlockRun, settings: Any
) -> None:
    settings.LOG_CAP_BYTES = 20_000

    kept = write(block_run, *(f"line {number}\n".encode() for number in range(2000)))

    gap = next(index for index, text in enumerate(kept) if "left out" in text)
    head, tail = [int(text.split()[1]) for text in kept[:gap]], [int(text.split()[1]) for text in kept[gap + 1 :]]
    assert head == list(range(len(head)))
    assert tail == list(range(2000 - len(tail), 2000))
    assert 1_900 < path_of(block_run).stat().st_size <= 2_000
    assert 15_000 < kept_bytes(block_run) <= 20_000


def test_a_short_line_does_not_overtake_a_long_one_at_the_cap(block_run: BlockRun, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 20_000
    lines = ["a" * 1_500, "b" * 1_000, "c", "d"]

    assert [text[0] for text in write(block_run, *(f"{line}\n".encode() for line in lines))] == ["a", "b", "c", "d"]


def test_the_gap_is_told_with_its_size_and_the_time_at_which_the_log_goes_on(
    block_run: BlockRun, settings: Any
) -> None:
    settings.LOG_CAP_BYTES = 3000

    write(block_run, *(b"some words\n" for _ in range(500)))

    lines = read_all(block_run)
    place = next(index for index, line in enumerate(lines) if "left out" in line["m"])
    gap, after = lines[place], lines[place + 1]
    assert (gap["t"], gap["s"], gap["l"]) == ("2025-03-02T12:00:00.000000Z", "system", "WARNING")
    assert gap["m"].startswith(f"… {(after['o'] - gap['o']) / 1000:.3g} KB left out here")
    assert after["o"] + 3000 > logs.size(block_run, 1)


def test_a_log_that_turns_over_for_ever_keeps_no_more_than_its_cap(block_run: BlockRun, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 200_000
    log, chunk = open_log(block_run), b"".join(b"%07d\n" % number for number in range(1_000))

    for _ in range(30):
        log.output("stdout", chunk)
        log.flush()
        assert kept_bytes(block_run) <= 200_000
        assert texts(block_run)[-1] == "0000999"
    log.close()


def test_a_reader_who_keeps_up_with_a_log_that_turns_over_misses_nothing(block_run: BlockRun, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 20_000
    log, seen, offset = open_log(block_run), [], 0

    for number in range(2000):
        log.output("stdout", b"%d\n" % number)
        if number % 40 == 39:
            log.flush()
            lines = read_all(block_run, offset=offset)
            seen += [line["m"] for line in lines]
            offset = log.size
    log.close()

    assert seen == [str(number) for number in range(2000)]


def test_a_reader_who_was_away_is_told_what_he_missed(block_run: BlockRun, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 20_000
    log = open_log(block_run)
    log.output("stdout", b"".join(b"%d\n" % number for number in range(100)))
    log.flush()
    page = logs.read(block_run)
    log.output("stdout", b"".join(b"%d\n" % number for number in range(100, 2000)))
    log.close()

    missed, *rest = read_all(block_run, offset=page.next_offset)

    assert (missed["o"], "left out" in missed["m"]) == (page.next_offset, True)
    assert [line["m"] for line in rest] == [str(number) for number in range(2000 - len(rest), 2000)]


def test_offsets_stay_those_of_the_whole_log(block_run: BlockRun, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 20_000
    line = len(open_and_measure(block_run))

    write(block_run, *(b"%07d\n" % number for number in range(1_000)))

    lines = [each for each in read_all(block_run, limit=500) if each["s"] == "stdout"]
    assert all(each["o"] == line * int(each["m"]) for each in lines)
    for each in lines[-40::7]:
        assert read_all(block_run, offset=each["o"])[0] == each


def open_and_measure(block_run: BlockRun) -> bytes:
    return open_log(BlockRun(pk=8, pipeline_run_id=1003)).line("stdout", "INFO", "0000000")


@pytest.mark.parametrize("limit", [1, 100, 10**6])
def test_a_part_that_ended_torn_is_passed_over(block_run: BlockRun, settings: Any, limit: int) -> None:
    settings.LOG_CAP_BYTES = 20_000
    log = open_log(block_run)
    log.output("stdout", b"x" * 1_900 + b"\n")
    log.flush()
    with open(path_of(block_run), "ab") as file:
        file.write(b'{"t": "2025-')
    log.close()

    assert write(block_run, b"y" * 1_900 + b"\n", b"z\n")[-2:] == ["y" * 1_900, "z"]
    assert [text[0] for text in (line["m"] for line in read_all(block_run, limit))] == ["x", "y", "z"]


def test_a_log_goes_on_in_its_last_part(block_run: BlockRun, settings: Any) -> None:
    settings.LOG_CAP_BYTES = 20_000
    write(block_run, *(b"%d\n" % number for number in range(1_000)))
    files = kept_files(block_run)

    assert write(block_run, b"again\n")[-2:] == ["999", "again"]
    assert kept_files(block_run) == files
    assert logs.attempts(block_run) == [1]


# --- a disk that is full or gone --------------------------------------------------------------------------------------


def test_a_full_disk_costs_lines_and_nothing_else(block_run: BlockRun, caplog: pytest.LogCaptureFixture) -> None:
    path_of(block_run).parent.mkdir(parents=True)
    path_of(block_run).symlink_to("/dev/full")
    log = open_log(block_run)

    for _ in range(10):
        log.output("stdout", b"z" * 100_000 + b"\n")
        log.flush()
    log.close()

    assert [record.getMessage() for record in caplog.records] == [
        f"the log {path_of(block_run)} cannot be written, its block goes on without: No space left on device"
    ]


def test_a_log_goes_on_when_the_disk_has_room_again_and_says_what_is_missing(
    block_run: BlockRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(block_run)
    log.output("stdout", b"before\n")
    log.flush()
    with file_size_limit(300):
        log.output("stdout", b"." * 1_000 + b"\n")
        log.flush()
        log.output("stdout", b"lost\n")
        assert log.trouble == "File too large"
    log.output("stdout", b"too early\n")
    log.try_again_at = 0.0
    log.output("stdout", b"after\n")
    log.close()

    before, missing, after = texts(block_run)
    assert (before, after) == ("before", "after")
    assert missing == "2 or more lines are missing here: File too large"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_before_the_disk_was_full_can_be_read(block_run: BlockRun) -> None:
    log = open_log(block_run)
    with file_size_limit(300_000):
        for number in range(10_000):
            log.output("stdout", f"line {number} {'.' * 80}\n".encode())
            if number % 100 == 0:
                log.flush()
        log.close()

    kept = texts(block_run)
    assert len(kept) > 1000
    assert kept == [f"line {number} {'.' * 80}" for number in range(len(kept))]


def test_a_line_after_a_torn_one_is_whole(block_run: BlockRun) -> None:
    log = open_log(block_run)
    log.output("stdout", b"first\n")
    log.close()
    with open(path_of(block_run), "ab") as file:
        file.write(b'{"t": "2025-')

    assert write(block_run, b"second\n") == ["first", "second"]


def test_a_folder_that_cannot_be_made_costs_the_log_only(block_run: BlockRun, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.LOGS_URL = str(tmp_path / "file")
    log = open_log(block_run)

    log.output("stdout", b"hello\n")

    assert log.flush() is False
    log.close()
