import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from runs.models import BlockRun, PipelineRun, Role
from runs.progress import Moving, Plain, duration, in_words, most_telling
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run

FINISHED = {"started_at": NOON, "first_started_at": NOON, "completed_at": NOON + timedelta(seconds=2.5)}
BOOM = {"type": "ValueError", "message": "first line\nsecond line", "traceback": "Traceback:\n  load.py line 3\n"}


def block(status: BlockStatus, **fields: Any) -> BlockRun:
    return BlockRun(block_uuid="load", status=status, **{"pk": 1, **fields})


@pytest.fixture
def run(db: None) -> PipelineRun:
    return make_run(status=RunStatus.RUNNING)


def rows(run: PipelineRun) -> list[BlockRun]:
    return list(run.block_runs.for_page())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (0.84, "0.8 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("block_run", "words"),
    [
        (block(BlockStatus.INITIAL), ""),
        (block(BlockStatus.QUEUED), "queued"),
        (block(BlockStatus.COMPLETED, **FINISHED), "completed in 2.5 s"),
        (block(BlockStatus.COMPLETED, output=[{"rows": 1461}], **FINISHED), "completed in 2.5 s, 1,461 rows"),
        (block(BlockStatus.COMPLETED, output=[{"rows": 1}, {"rows": None}], **FINISHED), "completed in 2.5 s, 1 row"),
        (block(BlockStatus.FAILED, error=BOOM, **FINISHED), "failed in 2.5 s, ValueError: first line"),
        (block(BlockStatus.UPSTREAM_FAILED), "upstream failed"),
        (block(BlockStatus.CANCELLED, reason="cancelled by ada", **FINISHED), "cancelled in 2.5 s, cancelled by ada"),
        (block(BlockStatus.RUNNING, started_at=NOON, attempt=2), "running for 1.0 s (attempt 2)"),
        (
            block(BlockStatus.WAITING, reason="not true yet; looks again", next_attempt_at=NOON),
            "waiting, not true yet; looks again at 12:00:00 UTC",
        ),
    ],
)
def test_a_block_run_in_words(block_run: BlockRun, words: str) -> None:
    assert in_words(block_run, NOON + timedelta(seconds=1)) == words


# --- plain ----------------------------------------------------------------------------------------------------------


def test_each_change_is_a_line_and_no_change_is_none(run: PipelineRun, now: datetime) -> None:
    said: list[str] = []
    plain = Plain(said.append)

    plain.show(run, rows(run), now)
    run.block_runs.filter(block_uuid="load").update(status=BlockStatus.RUNNING, started_at=now)
    plain.show(run, rows(run), now)
    plain.show(run, rows(run), now)
    run.block_runs.filter(block_uuid="load").update(status=BlockStatus.COMPLETED, **FINISHED)
    plain.show(run, rows(run), now)

    assert said == [f"run {run.pk} of etl is running", "load: running", "load: completed in 2.5 s"]


def test_a_block_that_was_too_fast_to_be_seen_running_begins_before_its_lines(run: PipelineRun, now: datetime) -> None:
    said: list[str] = []
    plain = Plain(said.append)
    run.block_runs.filter(block_uuid="load").update(status=BlockStatus.COMPLETED, **FINISHED)
    load = rows(run)[0]

    plain.lines(load, 1, [{"m": "one", "l": "INFO"}, {"m": "two", "l": "INFO"}])
    plain.show(run, [load], now)

    assert said[:4] == ["load: running", "load | one", "load | two", "load: completed in 2.5 s"]


def test_a_second_attempt_is_announced(run: PipelineRun) -> None:
    said: list[str] = []
    plain = Plain(said.append)

    plain.lines(rows(run)[0], 2, [{"m": "again", "l": "INFO"}])

    assert said == ["load: running (attempt 2)", "load | again"]


def test_a_failure_brings_its_traceback(run: PipelineRun, now: datetime) -> None:
    said: list[str] = []
    run.block_runs.filter(block_uuid="load").update(status=BlockStatus.FAILED, error=BOOM, **FINISHED)

    Plain(said.append).show(run, rows(run), now)

    assert said[:3] == ["load: failed in 2.5 s, ValueError: first line", "load | Traceback:", "load |   load.py line 3"]


def test_a_run_that_is_held_says_why(db: None, now: datetime) -> None:
    said: list[str] = []
    run = make_run(status=RunStatus.INITIAL, started_at=None, reason="waits: 1 of at most 1 runs are running")

    Plain(said.append).show(run, rows(run), now)

    assert said == [f"run {run.pk} of etl is accepted: waits: 1 of at most 1 runs are running"]


# --- on a terminal --------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Moving, io.StringIO]]:
    def make(width: int = 80, height: int = 24) -> tuple[Moving, io.StringIO]:
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=True, width=width, height=height, color_system=None)
        return Moving(console), screen

    monkeypatch.setenv("TERM", "xterm")
    return make


def picture_of(moving: Moving, now: datetime) -> list[str]:
    """Draw the picture alone; return its lines."""
    assert moving.run is not None
    drawn = Console(file=io.StringIO(), width=80, height=24)
    with drawn.capture() as capture:
        drawn.print(moving.picture(moving.run, now))
    return [line.strip() for line in capture.get().splitlines()]


def test_a_terminal_shows_a_line_per_block_and_one_for_the_run(run: PipelineRun, now: datetime, terminal: Any) -> None:
    moving, _ = terminal()
    run.block_runs.filter(block_uuid="load").update(status=BlockStatus.COMPLETED, **FINISHED)
    moving.show(run, rows(run), now)

    picture = picture_of(moving, now + timedelta(seconds=3))

    assert [line.split()[:2] for line in picture[:3]] == [["✓", "load"], ["·", "clean"], ["·", "save"]]
    assert picture[0].endswith("completed in 2.5 s")
    assert picture[-1] == f"run {run.pk} of etl is running for 3.0 s"
    moving.close()


def test_log_lines_run_by_without_codes_that_move_the_cursor(run: PipelineRun, now: datetime, terminal: Any) -> None:
    moving, screen = terminal()

    moving.lines(rows(run)[0], 1, [{"m": "\x1b[2J\x1b[31mred\x1b[0m and [bold]literal[/bold]", "l": "INFO"}])

    assert "load red and [bold]literal[/bold]" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
    moving.close()


def test_a_run_larger_than_the_screen_shows_what_goes_on(db: None, now: datetime, terminal: Any) -> None:
    run = make_run(make_pipeline("wide", [(f"b{number}",) for number in range(60)]))
    run.block_runs.filter(position__lt=40).update(status=BlockStatus.COMPLETED, **FINISHED)
    run.block_runs.filter(block_uuid="b50").update(status=BlockStatus.RUNNING, started_at=now)
    moving, _ = terminal(height=10)
    moving.show(run, rows(run), now)

    picture = picture_of(moving, now)

    assert len(picture) <= 10
    assert any("b50" in line and "running" in line for line in picture)
    assert "… 40 more completed, 14 more initial" in picture
    moving.close()


def test_the_last_picture_is_whole(db: None, now: datetime, terminal: Any) -> None:
    run = make_run(make_pipeline("wide", [(f"b{number}",) for number in range(60)]), status=RunStatus.COMPLETED)
    moving, screen = terminal(height=10)
    moving.show(run, rows(run), now)

    moving.close()

    assert all(f"b{number} " in screen.getvalue() for number in range(60))


def test_a_failure_is_shown_once_however_often_it_is_drawn(run: PipelineRun, now: datetime, terminal: Any) -> None:
    moving, screen = terminal()
    run.block_runs.filter(block_uuid="load").update(status=BlockStatus.FAILED, error=BOOM, **FINISHED)

    for _ in range(3):
        moving.show(run, rows(run), now)

    assert screen.getvalue().count("load.py line 3") == 1
    moving.close()


def test_what_goes_on_is_told_before_what_is_done() -> None:
    states = [BlockStatus.COMPLETED, BlockStatus.INITIAL, BlockStatus.RUNNING, BlockStatus.FAILED]
    block_runs = [block(status, pk=number) for number, status in enumerate(states, 1)]

    assert [row.status for row in most_telling(block_runs, 2)] == ["running", "failed"]
    assert most_telling(block_runs, 9) == block_runs


def of_many(now: datetime) -> tuple[PipelineRun, list[BlockRun]]:
    """A run in which one of a thousand members has failed and the others are done."""
    run = make_run(make_pipeline("many", (("D",), ("child", "D"))), status=RunStatus.RUNNING)
    group = run.block_runs.get(block_uuid="child")
    group.members_total = 1000
    group.status = BlockStatus.WAITING
    states = [BlockStatus.FAILED, BlockStatus.RUNNING, *[BlockStatus.COMPLETED] * 998]
    return run, [
        group,
        *(
            BlockRun(pk=1000 + place, block_uuid=f"child:{place}", role=Role.MEMBER, parent_id=group.pk, status=state)
            for place, state in enumerate(states)
        ),
    ]


def test_members_are_counted_and_only_those_that_failed_or_are_at_work_have_a_line(
    db: None, now: datetime, terminal: Any
) -> None:
    run, block_runs = of_many(now)
    moving, _ = terminal()
    moving.show(run, block_runs, now)

    picture = picture_of(moving, now)

    assert len(picture) == 4, "the block, two members, the run"
    assert "999 of 1,000 items" in picture[0]
    assert [line.split()[1] for line in picture[1:3]] == ["child:0", "child:1"]
    moving.close()


def test_plain_lines_leave_out_members_that_do_well(db: None, now: datetime) -> None:
    run, block_runs = of_many(now)
    written: list[str] = []

    Plain(written.append).show(run, block_runs, now)

    assert [line for line in written if line.startswith("child:")][1:] == ["child:0: failed, Failure: "]
    assert written[0] == "child: running, 1,000 items"
