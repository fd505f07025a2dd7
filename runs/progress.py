"""How a run looks in a terminal: a line per block that moves, or plain lines where nobody looks, or nothing."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus, RunStatus

Line = Mapping[str, Any]  # as runs.logs gives it
MOST_FAILED = 20  # members that have a line each
STILL = (BlockStatus.INITIAL, BlockStatus.QUEUED)


class Display(Protocol):
    """Where a run is shown while it goes on. None of its methods raises when the reader has gone."""

    shows_lines: bool
    refresh_seconds: float

    def show(self, run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
        """Show the run and its blocks as they are now."""

    def refresh(self, moment: datetime) -> None:
        """Nothing is known to have changed, but time went by."""

    def lines(self, block_run: BlockRun, attempt: int, lines: Sequence[Line]) -> None:
        """Show new lines of the log of a block's attempt."""

    def warn(self, text: str) -> None:
        """Tell the user something about the command itself."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


class Silent:
    """For programs: they get the last line only."""

    shows_lines = False
    refresh_seconds = 0.5

    def show(self, run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None: ...

    def refresh(self, moment: datetime) -> None: ...

    def lines(self, block_run: BlockRun, attempt: int, lines: Sequence[Line]) -> None: ...

    def warn(self, text: str) -> None:
        say_beside(text)

    def close(self) -> None: ...


class Plain:
    """A line for each change of state, and the log with the block's name before each line."""

    shows_lines = True
    refresh_seconds = 0.5

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.seen: dict[int, tuple[str, int]] = {}  # status and attempt last told, by block run
        self.begun: set[tuple[int, int]] = set()
        self.run_status = ""

    def show(self, run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
        for block_run in block_runs:
            if block_run.role != Role.MEMBER or block_run.status == BlockStatus.FAILED:
                self.tell(block_run)
        if run.status != self.run_status:
            self.run_status = run.status
            self.write(run_in_words(run))

    def tell(self, block_run: BlockRun) -> None:
        now = (block_run.status, block_run.attempt)
        if now == self.seen.get(block_run.pk, (BlockStatus.INITIAL, 1)):
            return
        self.seen[block_run.pk] = now
        if block_run.status == BlockStatus.RUNNING:
            self.tell_begin(block_run, block_run.attempt)
        elif block_run.status not in STILL:
            self.write(f"{block_run.block_uuid}: {in_words(block_run)}")
            for line in traceback_lines(block_run):
                self.write(f"{block_run.block_uuid} | {line}")

    def tell_begin(self, block_run: BlockRun, attempt: int) -> None:
        """Say that an attempt runs, once, and before its first line."""
        if (block_run.pk, attempt) not in self.begun:
            self.begun.add((block_run.pk, attempt))
            self.write(f"{block_run.block_uuid}: running{f' (attempt {attempt})' if attempt > 1 else ''}")

    def refresh(self, moment: datetime) -> None: ...

    def lines(self, block_run: BlockRun, attempt: int, lines: Sequence[Line]) -> None:
        self.tell_begin(block_run, attempt)
        for line in lines:
            self.write(f"{block_run.block_uuid} | {line['m']}")

    def warn(self, text: str) -> None:
        say_beside(text)

    def close(self) -> None: ...


class Moving:
    """On a terminal: the log runs by above, and a line per block stays below until the run is finished."""

    shows_lines = True
    refresh_seconds = 0.1

    def __init__(self, console: Console) -> None:
        self.console = console
        self.signs = UNICODE_SIGNS if console.encoding.startswith("utf") else ASCII_SIGNS
        self.live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")
        self.run: PipelineRun | None = None
        self.block_runs: Sequence[BlockRun] = ()
        self.failed: set[int] = set()
        self.live.start()

    def show(self, run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
        self.run, self.block_runs = run, block_runs
        for block_run in block_runs:
            if block_run.status == BlockStatus.FAILED and block_run.pk not in self.failed:
                self.failed.add(block_run.pk)
                for line in traceback_lines(block_run):
                    self.print_line(block_run, line, "red")
        self.refresh(moment)

    def refresh(self, moment: datetime) -> None:
        if self.run is not None:
            self.live.update(self.picture(self.run, moment), refresh=True)

    def lines(self, block_run: BlockRun, attempt: int, lines: Sequence[Line]) -> None:
        for line in lines:
            self.print_line(block_run, line["m"], LEVEL_STYLES.get(line["l"], ""))

    def print_line(self, block_run: BlockRun, text: str, style: str) -> None:
        line = Text.assemble((f"{block_run.block_uuid} ", "dim"), Text.from_ansi(text, style=style))
        self.console.print(line, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.console.print(Text(text, style="yellow"))

    def close(self) -> None:
        self.live.vertical_overflow = "visible"  # the last picture stays, whole
        self.live.stop()

    def picture(self, run: PipelineRun, moment: datetime) -> RenderableType:
        worth_a_line = with_a_line(self.block_runs, run)
        room = len(worth_a_line) if run.is_finished else max(3, self.console.height - 4)
        shown = most_telling(worth_a_line, room)
        members = members_done(self.block_runs)
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True, overflow="ellipsis")
        for block_run in shown:
            sign, style = self.signs[BlockStatus(block_run.status)]
            if block_run.status == BlockStatus.RUNNING:
                sign = sign[int(time.monotonic() * 10) % len(sign)]
            words = in_words(block_run, moment, members.get(block_run.pk, ""))
            table.add_row(Text.assemble((sign, style), " ", block_run.block_uuid), Text(words, style))
        hidden = [block_run for block_run in worth_a_line if block_run not in shown]
        rows: list[RenderableType] = [table]
        if hidden:
            counts = Counter(block_run.status for block_run in hidden)
            rows.append(Text("  … " + ", ".join(f"{count} more {status}" for status, count in counts.items()), "dim"))
        return Group(*rows, Text(run_in_words(run, moment), RUN_STYLES.get(RunStatus(run.status), "")))


UNICODE_SIGNS = {
    BlockStatus.RUNNING: ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "cyan"),
    BlockStatus.QUEUED: ("·", "dim"),
    BlockStatus.INITIAL: ("·", "dim"),
    BlockStatus.WAITING: ("◷", "yellow"),
    BlockStatus.COMPLETED: ("✓", "green"),
    BlockStatus.FAILED: ("✗", "red"),
    BlockStatus.CANCELLED: ("✗", "yellow"),
    BlockStatus.UPSTREAM_FAILED: ("✗", "dim"),
    BlockStatus.CONDITION_FAILED: ("–", "dim"),
}
ASCII_SIGNS = {
    **{status: (".", style) for status, (_, style) in UNICODE_SIGNS.items()},
    BlockStatus.RUNNING: ("-\\|/", "cyan"),
    BlockStatus.COMPLETED: ("+", "green"),
    BlockStatus.FAILED: ("x", "red"),
}
RUN_STYLES = {RunStatus.COMPLETED: "bold green", RunStatus.FAILED: "bold red", RunStatus.CANCELLED: "bold yellow"}
LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}
TELLING = (
    BlockStatus.RUNNING,
    BlockStatus.FAILED,
    BlockStatus.WAITING,
    BlockStatus.QUEUED,
    BlockStatus.INITIAL,
    BlockStatus.CANCELLED,
    BlockStatus.UPSTREAM_FAILED,
    BlockStatus.CONDITION_FAILED,
    BlockStatus.COMPLETED,
)


def most_telling(block_runs: Sequence[BlockRun], room: int) -> list[BlockRun]:
    """Return, in their order, as many as there is room for: what goes on and what failed before what is done."""
    ranked = sorted(block_runs, key=lambda block_run: TELLING.index(BlockStatus(block_run.status)))
    chosen = {block_run.pk for block_run in ranked[:room]}
    return [block_run for block_run in block_runs if block_run.pk in chosen]


def with_a_line(block_runs: Sequence[BlockRun], run: PipelineRun) -> list[BlockRun]:
    """Leave out the members of which there may be thousands: all but some that failed, and those at work."""
    told = [row for row in block_runs if row.role == Role.MEMBER and row.status == BlockStatus.FAILED][:MOST_FAILED]
    chosen = {row.pk for row in told}
    return [
        row
        for row in block_runs
        if row.role != Role.MEMBER or row.pk in chosen or (row.status == BlockStatus.RUNNING and not run.is_finished)
    ]


def members_done(block_runs: Sequence[BlockRun]) -> dict[int, str]:
    """Say of each block that runs many times how many of those are done: "12 of 1,000"."""
    done = Counter(row.parent_id for row in block_runs if row.role == Role.MEMBER and row.is_finished)
    expanded = [row for row in block_runs if row.members_total is not None]
    return {row.pk: f"{done[row.pk]:,} of {row.members_total:,}" for row in expanded}


def run_in_words(run: PipelineRun, moment: datetime | None = None) -> str:
    words = {RunStatus.INITIAL: "is accepted", RunStatus.RUNNING: "is running"}.get(RunStatus(run.status), run.status)
    if run.started_at and (end := run.completed_at or moment):
        words += f" {'in' if run.is_finished else 'for'} {duration(end - run.started_at)}"
    return f"run {run.pk} of {run.pipeline.uuid} {words}" + (f": {run.reason}" if run.reason else "")


def in_words(block_run: BlockRun, moment: datetime | None = None, members: str = "") -> str:
    """Say how a block run stands: "completed in 0.8 s, 1,461 rows"; `members`: how many of its members are done."""
    if block_run.members_total is not None:
        return in_words_of_many(block_run, moment, members or f"{block_run.members_total:,}")
    words = "" if block_run.status == BlockStatus.INITIAL else block_run.status.replace("_", " ")
    end = block_run.completed_at or moment
    if block_run.started_at and end and block_run.status not in (*STILL, BlockStatus.WAITING):
        words += f" {'in' if block_run.is_finished else 'for'} {duration(end - block_run.started_at)}"
    if block_run.attempt > 1 and block_run.status == BlockStatus.RUNNING:
        words += f" (attempt {block_run.attempt})"
    detail = {
        BlockStatus.COMPLETED: result_in_words(block_run),
        BlockStatus.FAILED: error_in_words(block_run),
        BlockStatus.WAITING: wait_in_words(block_run),
    }.get(BlockStatus(block_run.status), block_run.reason)
    return f"{words}, {detail}" if detail else words


def in_words_of_many(block_run: BlockRun, moment: datetime | None, members: str) -> str:
    end = block_run.completed_at or moment
    took = ""
    if block_run.started_at and end:
        took = f" {'in' if block_run.is_finished else 'for'} {duration(end - block_run.started_at)}"
    state = block_run.status.replace("_", " ") if block_run.is_finished else "running"
    return f"{state}{took}, {members} items" + (f", {block_run.reason}" if block_run.reason else "")


def result_in_words(block_run: BlockRun) -> str:
    rows = [output["rows"] for output in block_run.output if output.get("rows") is not None]
    return ", ".join(f"{count:,} row{'' if count == 1 else 's'}" for count in rows[:3])


def error_in_words(block_run: BlockRun) -> str:
    message = str(block_run.error.get("message", "")).strip().partition("\n")[0]
    return f"{block_run.error.get('type', 'Failure')}: {message}"


def wait_in_words(block_run: BlockRun) -> str:
    if not block_run.next_attempt_at:
        return block_run.reason
    error = f" ({error_in_words(block_run)})" if block_run.error else ""
    return f"{block_run.reason}{error} at {block_run.next_attempt_at:%H:%M:%S} UTC"


def traceback_lines(block_run: BlockRun) -> list[str]:
    text = block_run.error.get("traceback", "") if block_run.status == BlockStatus.FAILED else ""
    return str(text).rstrip().splitlines()


def duration(length: timedelta) -> str:
    """Write a length of time as people say it: 0.8 s, 2 min 3 s, 1 h 5 min."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def say_beside(text: str) -> None:
    """Write a line to stderr, where it disturbs no one who reads the output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
