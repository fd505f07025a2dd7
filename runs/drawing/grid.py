"""Runs beside blocks: a column for each run, as high as it took long, a row for each block, a cell for each of both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runs.drawing.axis import Scale

TALL, LOW = 56.0, 2.0  # the height of the longest run's bar, and of the shortest
MOST_ROWS = 300


class Run(NamedTuple):
    """What is drawn of a run; `seconds` is None while nobody can say."""

    pk: int
    status: str
    seconds: float | None
    version: int


class Cell(NamedTuple):
    """How a block did in a run. `members` is how often it ran if that was many times, `why` a few words."""

    run: int
    block: str
    status: str
    seconds: float | None = None
    attempt: int = 1
    members: int | None = None
    why: str = ""
    position: int = 0


class Column(NamedTuple):
    """A run as the head of its column; `before` is the version of the run before, if that was another one."""

    run: Run
    y: float
    height: float
    before: int | None


class Row(NamedTuple):
    """A block with a cell for each column, None where a run had no such block.

    `kind` is "new" for a block that the older runs did not have, "gone" for one that is not in the pipeline any more.
    """

    block: str
    kind: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Grid:
    """Columns with the newest last, rows in the order of the graph; `left_out` blocks are not drawn."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    longest: float
    left_out: int = 0

    @property
    def changes(self) -> int:
        return sum(column.before is not None for column in self.columns)


def lay_out(runs: Sequence[Run], cells: Iterable[Cell], blocks: Sequence[str]) -> Grid:
    """Draw runs, given with the oldest first, of a pipeline that has these blocks by now."""
    found: dict[str, dict[int, Cell]] = {block: {} for block in blocks}
    for cell in cells:
        found.setdefault(cell.block, {})[cell.run] = cell
    gone = sorted(found.keys() - set(blocks), key=lambda block: place_of(found[block]))
    names = [*blocks, *gone]
    longest = max((run.seconds or 0.0 for run in runs), default=0.0)
    rows = [row_of(block, found[block], runs, is_gone=block not in blocks) for block in names[:MOST_ROWS]]
    return Grid(columns_of(runs, longest), rows, longest, max(0, len(names) - MOST_ROWS))


def place_of(cells: Mapping[int, Cell]) -> tuple[int, str]:
    """Return where a block stood in the newest run that had it."""
    newest = cells[max(cells)]
    return newest.position, newest.block


def columns_of(runs: Sequence[Run], longest: float) -> list[Column]:
    scale = Scale(longest, TALL - LOW)
    columns = []
    for place, run in enumerate(runs):
        height = LOW + scale.length(run.seconds or 0.0)
        before = runs[place - 1].version if place else run.version
        columns.append(Column(run, TALL - height, height, before if before != run.version else None))
    return columns


def row_of(block: str, cells: Mapping[int, Cell], runs: Sequence[Run], *, is_gone: bool) -> Row:
    in_order = [cells.get(run.pk) for run in runs]
    is_new = bool(cells) and in_order[0] is None and came_with_a_version(in_order, runs)
    return Row(block, "gone" if is_gone else "new" if is_new else "", in_order)


def came_with_a_version(cells: Sequence[Cell | None], runs: Sequence[Run]) -> bool:
    """Tell whether no run of the version of the oldest run had the block: that of one block alone says nothing."""
    return not any(cell for cell, run in zip(cells, runs, strict=True) if run.version == runs[0].version)
