"""The log of a block run: written whatever comes, read by offset, never in the way of the block."""

import json
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runs import logs
from runs.logs import MAX_LINE, Writer
from runs.models import BlockRun
from tests.runs.written import NOON, open_log, path_of, read_all, texts, write


@pytest.fixture
def block_run(tmp_path: Path, settings: Any) -> BlockRun:
    settings.LOGS_URL = str(tmp_path / "logs")
    return BlockRun(pk=7, pipeline_run_id=1003)


# --- lines ----------------------------------------------------------------------------------------------------------


def test_a_line_has_its_offset_time_stream_level_and_text(block_run: BlockRun) -> None:
    log = open_log(block_run)
    log.output("stderr", b"one\n")
    log.write("log", "WARNING", "two")
    log.close()

    first, second = logs.read(block_run).lines
    assert first == {"o": 0, "t": "2025-03-02T12:00:00.000000Z", "s": "stderr", "l": "INFO", "m": "one"}
    assert (second["s"], second["l"], second["m"]) == ("log", "WARNING", "two")
    assert path_of(block_run).read_bytes()[second["o"] :].startswith(b'{"t"')


def test_the_time_of_a_line_is_utc_whatever_the_clock_is(block_run: BlockRun) -> None:
    log = Writer(path_of(block_run), lambda: datetime.fromisoformat("2025-03-02T13:30:00+01:30"))
    log.write("system", "INFO", "started")
    log.close()

    assert logs.read(block_run).lines[0]["t"] == "2025-03-02T12:00:00.000000Z"


def test_a_line_that_comes_in_parts_is_one_line(block_run: BlockRun) -> None:
    assert write(block_run, b"he", b"llo\nwor", b"", b"ld\n") == ["hello", "world"]


def test_parts_of_two_streams_are_not_mixed(block_run: BlockRun) -> None:
    log = open_log(block_run)
    log.output("stdout", b"out ")
    log.output("stderr", b"err ")
    log.output("stdout", b"1\n")
    log.output("stderr", b"2\n")
    log.close()

    assert [(line["s"], line["m"]) for line in read_all(block_run)] == [("stdout", "out 1"), ("stderr", "err 2")]


def test_a_last_line_without_newline_is_written_at_the_end(block_run: BlockRun) -> None:
    assert write(block_run, b"done\nno newline") == ["done", "no newline"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"windows\r\nunix\n", ["windows", "unix"]),
        (b"10%\r50%\r100%\n", ["10%\r50%\r100%"]),
        (b"\n\n", ["", ""]),
        (b"nul \0 here\n", ["nul \0 here"]),
        (b"\xff\xfe broken\n", ["\ufffd\ufffd broken"]),
        (b"\x1b[31mred\x1b[0m\n", ["\x1b[31mred\x1b[0m"]),
        ("line\u2028separator\x85and\x0bmore\n".encode(), ["line\u2028separator\x85and\x0bmore"]),
        (b'{"t": 1}\n', ['{"t": 1}']),
        ("Größe 📈\n".encode(), ["Größe 📈"]),
    ],
)
def test_strange_output_is_kept_as_it_was(block_run: BlockRun, data: bytes, expected: list[str]) -> None:
    assert write(block_run, data) == expected


def test_a_lone_surrogate_from_logging_costs_one_character(block_run: BlockRun) -> None:
    log = open_log(block_run)
    log.write("log", "INFO", "caf\udce9")
    log.write("log", "INFO", "next")
    log.close()

    assert texts(block_run) == ["caf?", "next"]


def test_a_long_line_is_cut_in_pieces_and_none_is_lost(block_run: BlockRun) -> None:
    long = b"x" * (3 * MAX_LINE + 17)

    pieces = write(block_run, long + b"\nshort\n")

    assert pieces[-1] == "short"
    assert [piece.endswith("(line goes on)") for piece in pieces[:-1]] == [True, True, True, False]
    assert "".join(piece.removesuffix(" … (line goes on)") for piece in pieces[:-1]) == long.decode()


def test_a_cut_never_goes_through_a_character(block_run: BlockRun) -> None:
    pieces = write(block_run, b"x" * (MAX_LINE - 1) + "€uro\n".encode())

    assert pieces == ["x" * (MAX_LINE - 1) + " … (line goes on)", "€uro"]


def test_a_long_record_is_cut_and_says_so(block_run: BlockRun) -> None:
    log = open_log(block_run)
    log.write("log", "ERROR", "y" * (MAX_LINE + 5))
    log.close()

    assert texts(block_run)[0].endswith("y … (5 more characters cut)")


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrived(
    block_run: BlockRun, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.setattr(logs, "MAX_LINE", 8)
    alphabet = st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bcd", "é€📈".encode(), b"\xe2", b"\xff", b"\0"])
    content = b"".join(data.draw(st.lists(alphabet, max_size=40)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)), max_size=8)))

    whole = write_anew(block_run, [content])
    parts = write_anew(block_run, [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)])

    assert parts == whole


def write_anew(block_run: BlockRun, chunks: list[bytes]) -> list[str]:
    path_of(block_run).unlink(missing_ok=True)
    return write(block_run, *chunks)


# --- secrets --------------------------------------------------------------------------------------------------------


def test_secrets_are_masked_in_every_stream(block_run: BlockRun) -> None:
    log = open_log(block_run, masked=("correct horse", "battery staple"))
    log.output("stdout", b"user=ada password=correct ")
    log.output("stdout", b"horse\n")
    log.write("log", "DEBUG", "battery staple, battery staple")
    log.close()

    assert texts(block_run) == ["user=ada password=***", "***, ***"]


def test_a_secret_is_masked_where_a_record_is_cut(block_run: BlockRun) -> None:
    log = open_log(block_run, masked=("correct horse",))
    log.write("log", "INFO", "x" * (MAX_LINE - 4) + "correct horse")
    log.close()

    assert "corr" not in path_of(block_run).read_text()


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_log_that_is_not_there_yet_is_an_empty_one(block_run: BlockRun) -> None:
    assert logs.read(block_run) == logs.Page([], 0, True)


@pytest.mark.parametrize("offset", [10_000, 2**40, 10**30])
def test_reading_beyond_the_end_gives_nothing_and_stays_there(block_run: BlockRun, offset: int) -> None:
    write(block_run, b"one\n")

    assert logs.read(block_run, offset=offset) == logs.Page([], offset, True)


@pytest.mark.parametrize("limit", [1, 50, 100, 4096, 10**6])
def test_pages_put_together_are_the_file(block_run: BlockRun, limit: int) -> None:
    write(block_run, *(f"{number} {'ä' * (number % 50)}\n".encode() for number in range(200)), b"w" * 70_000)

    lines = read_all(block_run, limit)

    rebuilt = b"".join(as_written(line) for line in lines)
    assert rebuilt == path_of(block_run).read_bytes()
    assert [line["o"] for line in lines][:2] == [0, len(as_written(lines[0]))]


def as_written(line: dict[str, Any]) -> bytes:
    kept = {key: line[key] for key in ("t", "s", "l", "m")}
    return json.dumps(kept, ensure_ascii=False).encode() + b"\n"


def test_any_line_can_be_gone_on_from(block_run: BlockRun) -> None:
    write(block_run, *(f"line {number}\n".encode() for number in range(50)))
    lines = read_all(block_run)

    for number in (0, 1, 25, 49):
        assert read_all(block_run, offset=lines[number]["o"]) == lines[number:]


def test_a_line_still_being_written_is_left_for_the_next_look(block_run: BlockRun) -> None:
    write(block_run, b"whole\n")
    with open(path_of(block_run), "ab") as file:
        file.write(b'{"t": "2025-')
        file.flush()
        page = logs.read(block_run)
        assert [line["m"] for line in page.lines] == ["whole"]
        assert logs.read(block_run, offset=page.next_offset).at_end
        file.write(b'03-02T12:00:00Z", "s": "stdout", "l": "INFO", "m": "late"}\n')

    assert [line["m"] for line in logs.read(block_run, offset=page.next_offset).lines] == ["late"]


def test_a_page_of_junk_is_passed_over(block_run: BlockRun) -> None:
    write(block_run, b"before\n")
    with open(path_of(block_run), "ab") as file:
        file.write(b"\0" * 3000 + b"\n" + b"[1, 2]\n" + b"no json\n" * 500)
    write(block_run, b"after\n")

    assert [line["m"] for line in read_all(block_run, limit=100)] == ["before", "after"]


def test_a_reader_beside_the_writer_misses_and_repeats_nothing(block_run: BlockRun) -> None:
    def keep_writing() -> None:
        log = open_log(block_run)
        for number in range(5000):
            log.output("stdout", f"{number}\n".encode())
            if number % 7 == 0:
                log.flush()
        log.close()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen: list[str] = []
    offset, is_over = 0, False
    while not is_over:
        is_over = not writer.is_alive()
        page = logs.read(block_run, offset=offset, limit=2000)
        seen += [line["m"] for line in page.lines]
        offset = page.next_offset
        is_over = is_over and page.at_end

    assert seen == [str(number) for number in range(5000)]


def test_nothing_new_is_not_flushed_again(block_run: BlockRun) -> None:
    log = open_log(block_run)
    log.output("stdout", b"partial")
    assert log.flush() is False
    log.output("stdout", b" line\n")

    assert log.flush() is True
    assert log.flush() is False
    assert log.size == os.path.getsize(path_of(block_run))
    log.close()


def test_a_sensors_second_look_goes_on_in_the_same_log(block_run: BlockRun) -> None:
    write(block_run, b"not yet\n")

    assert write(block_run, b"now\n") == ["not yet", "now"]


def test_the_attempts_that_have_a_log_are_known_in_order(block_run: BlockRun) -> None:
    for attempt in (10, 2, 1):
        block_run.attempt = attempt
        write(block_run, b"x\n")
    path_of(block_run).with_name("77.1.jsonl").touch()
    path_of(block_run).with_name("7.new.jsonl").touch()

    assert logs.attempts(block_run) == [1, 2, 10]


def test_each_attempt_is_read_by_itself(block_run: BlockRun) -> None:
    write(block_run, b"first try\n")
    block_run.attempt = 2
    write(block_run, b"second try\n")

    assert [line["m"] for line in logs.read(block_run).lines] == ["second try"]
    assert [line["m"] for line in logs.read(block_run, 1).lines] == ["first try"]


def test_lines_carry_the_time_at_which_they_came(block_run: BlockRun) -> None:
    moments = iter(NOON + timedelta(seconds=number) for number in range(3))
    log = Writer(path_of(block_run), lambda: next(moments))
    log.output("stdout", b"a\nb")
    log.output("stdout", b"\nc\n")
    log.close()

    assert [line["t"][17:19] for line in read_all(block_run)] == ["00", "01", "02"]
