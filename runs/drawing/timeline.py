"""The runs of many pipelines on one axis of time: bars in three parts, and cells where there are too many for bars.

Places are hundredths of the width. What is drawn is bounded: a lane has so many bars at most, then cells instead;
marks that would touch are drawn as one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runs.drawing.axis import MINUTE, Axis, step_for
from runs.states import RunStatus

WHOLE = 100.0
LEAST, THIN = 0.3, 0.05  # hundredths: of a bar, of one of its parts
TOUCHING = 0.35  # hundredths between two marks that are drawn as one
TRACKS = 3  # runs beside each other in a lane
ELEMENTS = 2000  # of all runs, and
MARK_ELEMENTS = 1000  # of all moments without a run: about 3,000 together, whatever there is to draw
PER_BAR, PER_CELL, PER_MARK = 4.5, 3, 3  # elements that one is made of, on average
FEWEST_BARS, MOST_BARS = 8, 150  # of one lane
FEWEST_CELLS, MOST_CELLS = 12, 48
FEWEST_MARKS, MOST_MARKS = 4, 100
BAD = (RunStatus.FAILED,)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run. `due` is when it should have begun, `began` when its first block did; `ended` None while it goes on."""

    id: int
    status: str
    due: datetime
    started: datetime | None = None
    began: datetime | None = None
    ended: datetime | None = None
    is_late: bool = False  # it passed its SLA

    def spans(self, now: datetime) -> list[tuple[str, datetime, datetime]]:
        """Return its three stretches: waiting until it was started, starting until a block began, running."""
        end = self.ended or now
        started = min(self.started or end, end)
        began = min(max(self.began or (started if self.ended else end), started), end)
        found = [("waiting", self.due, started), ("starting", started, began), ("running", began, end)]
        return [(kind, begin, until) for kind, begin, until in found if until > begin]


@dataclass(frozen=True)
class Part:
    kind: str
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """A run; it lies in one of so many `tracks` of the lane, beside others of the same time."""

    run: Ran
    parts: tuple[Part, ...]
    track: int = 0
    tracks: int = 1


@dataclass(frozen=True)
class Cell:
    """What ended in a stretch of time: how many of which state. `depth` is 1 to 4 by how many, `bad` a share."""

    begin: datetime
    end: datetime
    x: float
    width: float
    counts: Mapping[str, int]
    depth: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        return sum(self.counts.get(status, 0) for status in BAD)

    @property
    def bad_height(self) -> float:
        """Return how high of 16 the failed ones stand: one in a thousand is seen as well."""
        return round(max(4.0, 16 * self.failed / self.total), 1) if self.failed else 0.0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment without a run, or several that touch: expected, waiting or late, or missed, expired, skipped, held."""

    kind: str
    x: float
    width: float
    begin: datetime
    end: datetime
    count: int = 1
    note: str = ""
    link: int | None = None


def bars_of_a_lane(lanes: int) -> int:
    """Return how many bars each of so many lanes may have, so that all together stay bounded."""
    return within(ELEMENTS / PER_BAR / max(lanes, 1), FEWEST_BARS, MOST_BARS)


def cells_of_a_lane(lanes: int) -> int:
    return within(ELEMENTS / PER_CELL / max(lanes, 1), FEWEST_CELLS, MOST_CELLS)


def marks_of_a_lane(lanes: int) -> int:
    return within(MARK_ELEMENTS / PER_MARK / max(lanes, 1), FEWEST_MARKS, MOST_MARKS)


def marks_of_a_schedule(schedules: int) -> int:
    return within(MARK_ELEMENTS / PER_MARK / max(schedules, 1), FEWEST_MARKS, MOST_MARKS)


def within(number: float, low: int, high: int) -> int:
    return min(max(int(number), low), high)


# --- bars -------------------------------------------------------------------------------------------------------------


def bars(axis: Axis, runs: Iterable[Ran], now: datetime) -> list[Bar]:
    """Draw each run, those at the same time beside each other."""
    placed = [(run, parts) for run in runs if (parts := parts_of(axis, run, now))]
    placed.sort(key=lambda each: (each[1][0].x, each[0].id))
    found: list[Bar] = []
    crowd: list[Bar] = []  # those that overlap, each with the next
    ends: list[float] = []  # of the last bar of each track of the crowd
    for run, parts in placed:
        begin, end = parts[0].x, parts[-1].x + parts[-1].width
        if crowd and begin + THIN >= max(ends):
            found += spread(crowd, len(ends))
            crowd, ends = [], []
        track = next((number for number, taken in enumerate(ends) if taken <= begin + THIN), len(ends))
        if track == TRACKS:
            track = ends.index(min(ends))
        ends[track : track + 1] = [max(end, *ends[track : track + 1], 0.0)]
        crowd.append(Bar(run, parts, track))
    return found + spread(crowd, len(ends))


def spread(crowd: Iterable[Bar], tracks: int) -> list[Bar]:
    return [replace(bar, tracks=tracks) for bar in crowd]


def parts_of(axis: Axis, run: Ran, now: datetime) -> tuple[Part, ...]:
    """Return the stretches of a run that are wide enough to be seen, at least one; none for what is outside."""
    spans = [span for span in run.spans(now) if axis.shows(span[1], span[2])]
    if not spans:
        at = run.ended or run.started or run.due
        return (Part("running", *inside(axis, at, at)),) if axis.shows(at, at) else ()
    parts = [Part(kind, axis.x(begin), round(axis.x(end) - axis.x(begin), 2)) for kind, begin, end in spans]
    seen = [part for part in parts if part.width >= THIN]
    whole = parts[-1].x + parts[-1].width - parts[0].x
    if not seen or whole < LEAST:
        return (Part(spans[-1][0], *inside(axis, spans[0][1], spans[-1][2])),)
    return tuple(seen)


def inside(axis: Axis, begin: datetime, end: datetime, least: float = LEAST) -> tuple[float, float]:
    """Return where a short span lies, moved to the left where it would stick out at the end."""
    x, width = axis.span(begin, end, least)
    return round(min(x, axis.left + axis.width - width), 2), width


# --- cells ------------------------------------------------------------------------------------------------------------


def cell_length(axis: Axis, most: int) -> timedelta:
    """Return how long one cell is: a round time, so that there are at most about `most` of them."""
    return timedelta(seconds=max(MINUTE, step_for((axis.end - axis.start).total_seconds() / most)))


def cells(
    axis: Axis, counts: Mapping[int, Mapping[str, int]], length: timedelta, until: datetime | None = None
) -> list[Cell]:
    """Draw how many runs ended in each stretch: number of the cell → status → count; nothing later than `until`."""
    last = min(axis.end, until or axis.end)
    most = max((sum(each.values()) for each in counts.values()), default=0)
    found = []
    for number, each in sorted(counts.items()):
        begin = axis.start + number * length
        end = min(begin + length, last)
        total = sum(each.values())
        if total and begin < end and axis.shows(begin, end):
            x, width = axis.span(begin, end, LEAST)
            depth = 1 + min(3, int(4 * total / (most + 1)))
            found.append(Cell(begin, end, x, round(max(width - 0.12, LEAST), 2), Counter(each), depth))
    return found


# --- moments without a run --------------------------------------------------------------------------------------------


def marks(axis: Axis, moments: Sequence[Mark], most: int = MOST_MARKS) -> list[Mark]:
    """Place moments (their `x` and `width` are still to be said), those of one kind that touch as one mark.

    Where there are more than `most`, what is farther apart is one mark as well.
    """
    shown = (each for each in moments if axis.shows(each.begin, each.end))
    placed = [(each, *inside(axis, each.begin, each.end)) for each in sorted(shown, key=lambda each: each.begin)]
    found = [replace(each, x=x, width=width) for each, x, width in sorted(placed, key=lambda each: each[0].kind)]
    gap = TOUCHING
    found = joined(found, gap)
    while len(found) > most and gap < axis.width:
        gap *= 2
        found = joined(found, gap)
    return found


def joined(placed: Iterable[Mark], gap: float) -> list[Mark]:
    """Make one of those of one kind that are nearer to each other than `gap`; they come kind by kind, in order."""
    found: list[Mark] = []
    for each in placed:
        last = found[-1] if found else None
        if last and last.kind == each.kind and each.x - (last.x + last.width) < gap:
            width = round(max(last.x + last.width, each.x + each.width) - last.x, 2)
            found[-1] = replace(last, width=width, end=max(last.end, each.end), count=last.count + each.count)
        else:
            found.append(each)
    return found


def moment(kind: str, begin: datetime, end: datetime | None = None, *, note: str = "", link: int | None = None) -> Mark:
    """Return a moment that is not placed yet."""
    return Mark(kind=kind, x=0.0, width=0.0, begin=begin, end=end or begin, note=note, link=link)
