"""When each block of a run waited, started and ran, and which chain of them decided how long the run took.

Places are hundredths of the width, so that a drawing is as wide as there is room for.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runs.drawing.axis import MINUTE, Axis, Tick, round_step, step_for

WHOLE = 100.0
LEAST = 0.4  # hundredths: what is shorter is seen all the same
MARKS = 6
WAITING, STARTING, RUNNING = "waiting", "starting", "running"


@dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt at a block. `starting`: seconds that its process took to begin; `ended_as` is "" while it goes on."""

    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    starting: float = 0.0
    ended_as: str = ""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A block as a run has it. `tries` in order, none while it has not been ready; `ended_at` also if it was skipped.

    `note` stands for what its bar cannot say: how many members it has.
    """

    uuid: str
    name: str = ""
    status: str = ""
    upstream: Sequence[str] = ()
    tries: Sequence[Try] = ()
    ended_at: datetime | None = None
    note: str = ""

    @property
    def ready_at(self) -> datetime | None:
        first = self.tries[0] if self.tries else None
        return (first.queued_at or first.started_at) if first else self.ended_at

    @property
    def has_begun(self) -> bool:
        return any(each.started_at for each in self.tries)


@dataclass(frozen=True)
class Part:
    """A piece of a bar: what was going on, from `x` on, `width` wide, and for how many seconds."""

    kind: str
    x: float
    width: float
    seconds: float
    number: int  # of the attempt, among those that are drawn
    ended_as: str = ""


@dataclass(frozen=True)
class Row:
    """The bar of one block. `lead` is where what it waited for upstream ended: its line begins at 0."""

    work: Work
    parts: Sequence[Part]
    lead: float
    is_critical: bool

    def seconds(self, kind: str) -> float:
        return sum(part.seconds for part in self.parts if part.kind == kind)

    @property
    def waited(self) -> float:
        return self.seconds(WAITING)

    @property
    def started(self) -> float:
        return self.seconds(STARTING)

    @property
    def ran(self) -> float:
        return self.seconds(RUNNING)

    @property
    def failed_ends(self) -> list[float]:
        """Where attempts end that were followed by another."""
        last = max((part.number for part in self.parts), default=0)
        ends = {part.number: part.x + part.width for part in self.parts}
        return [x for number, x in ends.items() if number < last]


@dataclass(frozen=True)
class Path:
    """The chain of blocks, each of which waited for the one before, that ends with the last. Seconds of all of it."""

    blocks: Sequence[str] = ()
    waiting: float = 0.0
    starting: float = 0.0
    running: float = 0.0
    between: float = 0.0  # what no block of it accounts for: retries' delays, and what the orchestrator took


@dataclass(frozen=True)
class Gantt:
    rows: Sequence[Row]
    ticks: Sequence[Tick]
    path: Path
    seconds: float

    @property
    def chain(self) -> list[str]:
        """The blocks on the way that decided."""
        return [row.work.uuid for row in self.rows if row.is_critical]

    def only(self, uuids: Collection[str]) -> "Gantt":
        """The same drawing with the bars of some blocks."""
        return replace(self, rows=[row for row in self.rows if row.work.uuid in uuids])


def gantt(works: Sequence[Work], start: datetime, end: datetime) -> Gantt:
    """Draw blocks from the start of their run to its end, or to now while it goes on."""
    axis = Axis(start, max(start, end), WHOLE)
    blocks = critical(works)
    on_it = set(blocks)
    rows = [row_of(work, axis, work.uuid in on_it) for work in works]
    seconds = (axis.end - start).total_seconds()
    return Gantt(rows, list(relative(seconds)), path_of(blocks, rows, seconds), seconds)


def row_of(work: Work, axis: Axis, is_critical: bool) -> Row:
    parts = [part for number, each in enumerate(work.tries) for part in parts_of(each, number, axis)]
    ready = work.ready_at
    lead = axis.x(ready) if ready and (parts or work.has_begun) else 0.0
    return Row(work, parts, lead if ready and ready >= axis.start else 0.0, is_critical)


def parts_of(each: Try, number: int, axis: Axis) -> Iterator[Part]:
    """Yield what of an attempt lies in the drawing: what ended before, in an earlier attempt at the run, does not."""
    end = each.ended_at or axis.end
    if end < axis.start:
        return
    began = each.started_at
    if each.queued_at and each.queued_at <= (began or end):
        yield part(WAITING, each.queued_at, began or end, number, each, axis)
    if began:
        took = max((end - began).total_seconds(), 0.0)
        starting = min(max(each.starting, 0.0), took)
        from_then = began + (end - began) * (starting / took if took else 0)
        if starting:
            yield part(STARTING, began, from_then, number, each, axis)
        yield part(RUNNING, from_then, max(end, from_then), number, each, axis)


def part(kind: str, begin: datetime, end: datetime, number: int, each: Try, axis: Axis) -> Part:
    x, width = axis.span(begin, end, LEAST if kind == RUNNING else 0.0)
    x = min(x, WHOLE - width)
    return Part(kind, round(x, 2), width, (end - begin).total_seconds(), number, each.ended_as)


def relative(seconds: float) -> Iterator[Tick]:
    """Yield marks at round spans since the start: 0.2 s, 10 s, 5 min, 2 h."""
    step = round_step(seconds / MARKS) if seconds < MINUTE else float(step_for(seconds / MARKS))
    for index in range(1, int(seconds / step) + 1 if step else 0):
        if (x := round(WHOLE * index * step / seconds, 2)) <= WHOLE - 3:  # its label has room
            yield Tick(x, span_label(index * step))


def span_label(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    if seconds < 60 * MINUTE:
        return f"{seconds / MINUTE:.3g} min"
    return f"{seconds / 3600:.3g} h"


# --- the chain that decided -----------------------------------------------------------------------------------------


def critical(works: Sequence[Work]) -> list[str]:
    """Return the blocks, first to last, of which each was ready when the one before ended, up to the last to end.

    While the run goes on, up to the one that has been at it longest of those that have not ended.
    """
    by_uuid = {work.uuid: work for work in works}
    last = last_of(works)
    chain: dict[str, None] = {}  # in order
    while last is not None and last.uuid not in chain:
        if last.has_begun:
            chain[last.uuid] = None
        last = decisive(last, by_uuid)
    return list(chain)[::-1]


def last_of(works: Sequence[Work]) -> Work | None:
    begun = [work for work in works if work.has_begun]
    going_on = [work for work in begun if work.ended_at is None and work.ready_at]
    if going_on:
        return min(going_on, key=lambda work: (work.ready_at, work.uuid))
    return max(begun, key=lambda work: (work.ended_at, work.uuid), default=None)


def decisive(work: Work, by_uuid: Mapping[str, Work]) -> Work | None:
    """Return the upstream block that ended last: the block was ready then."""
    ended = [by_uuid[uuid] for uuid in work.upstream if uuid in by_uuid and by_uuid[uuid].ended_at]
    return max(ended, key=lambda each: (each.ended_at, each.uuid), default=None)


def path_of(blocks: Sequence[str], rows: Sequence[Row], seconds: float) -> Path:
    on_it = [row for row in rows if row.is_critical and row.parts]
    waiting, starting, running = (sum(row.seconds(kind) for row in on_it) for kind in (WAITING, STARTING, RUNNING))
    between = max(0.0, seconds - waiting - starting - running)
    drawn = {row.work.uuid for row in on_it}
    return Path([uuid for uuid in blocks if uuid in drawn], waiting, starting, running, between)
