"""Charts of runs over time: how long each took, and when each landed. Numbers in, places on a drawing out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from runs.drawing.axis import DAY, MINUTE, Axis, Scale, Tick, step_for
from runs.zones import UTC

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1000.0, 70.0, 14.0, 14.0, 24.0
WINDOW = 9  # runs whose median is one point of the line


class Timed(NamedTuple):
    """A run that has ended: when it began and how long it took."""

    run: int
    status: str
    at: datetime
    seconds: float
    version: int


class Dot(NamedTuple):
    """A run at its place; `kind` says its shape: a state, or how it landed."""

    run: int
    x: float
    y: float
    kind: str
    value: float
    at: datetime


class Turn(NamedTuple):
    """Where another version begins."""

    x: float
    before: int
    after: int


class Mark(NamedTuple):
    """A round number of the axis at the left."""

    y: float
    value: float


@dataclass(frozen=True)
class Chart:
    """Dots over time between two axes; `line` is the `d` of a path."""

    height: float
    dots: Sequence[Dot]
    line: str
    ticks: Sequence[Tick]
    marks: Sequence[Mark]
    turns: Sequence[Turn] = ()
    width: float = WIDTH
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP

    @property
    def bottom(self) -> float:
        return self.height - BOTTOM


def axis_of(moments: Sequence[datetime]) -> Axis:
    first, last = min(moments), max(moments)
    spare = max((last - first) * 0.01, timedelta(minutes=1))
    return Axis(first - spare, last + spare, WIDTH - LEFT - RIGHT, LEFT)


def path_of(points: Iterable[tuple[float, float]]) -> str:
    return "".join(f"{'L' if place else 'M'}{x:g} {y:g}" for place, (x, y) in enumerate(points))


# --- how long -----------------------------------------------------------------------------------------------------


def durations(runs: Sequence[Timed], height: float = 240.0, zone: ZoneInfo = UTC) -> Chart | None:
    """Draw how long runs took, given with the oldest first; None of none."""
    if not runs:
        return None
    axis = axis_of([run.at for run in runs])
    scale = Scale(max(run.seconds for run in runs) or 1.0, height - TOP - BOTTOM)
    dots = [
        Dot(run.run, axis.x(run.at), round(TOP + scale.y(run.seconds), 2), run.status, run.seconds, run.at)
        for run in runs
    ]
    usual = [dot for dot in dots if dot.kind == "completed"]
    return Chart(
        height=height,
        dots=dots,
        line=path_of(running_median(usual)) if len(usual) >= WINDOW else "",
        ticks=axis.ticks(10, zone),
        marks=[Mark(round(TOP + scale.y(value), 2), value) for value in round_values(scale)],
        turns=turns_of(runs, dots),
    )


def round_values(scale: Scale) -> list[float]:
    """Return numbers that people read: of minutes and hours, where it takes as long."""
    if scale.top < 20:
        return scale.ticks()
    step = step_for(scale.top / 4)
    return [float(step * place) for place in range(int(scale.top // step) + 1)]


def running_median(dots: Sequence[Dot]) -> list[tuple[float, float]]:
    """Return for each dot the median height of it and those around it."""
    half = WINDOW // 2
    around = [dots[max(0, place - half) : place + half + 1] for place in range(len(dots))]
    return [(dot.x, round(median(each.y for each in near), 2)) for dot, near in zip(dots, around, strict=True)]


def turns_of(runs: Sequence[Timed], dots: Sequence[Dot]) -> list[Turn]:
    pairs = zip(runs, runs[1:], dots[1:], strict=False)
    return [Turn(dot.x, old.version, new.version) for old, new, dot in pairs if old.version != new.version]


# --- when they landed -----------------------------------------------------------------------------------------------


class Landing(NamedTuple):
    """A run of a trigger: the moment it was for, when it ended, and by when it should have."""

    run: int
    status: str
    due: datetime
    ended: datetime
    target: datetime | None

    @property
    def kind(self) -> str:
        """Say how it landed: on_time, late, failed, or just landed where nothing was asked of it."""
        if self.status != "completed":
            return "failed"
        if self.target is None:
            return "landed"
        return "on_time" if self.ended <= self.target else "late"


def clock_of(moment: datetime, due: datetime, zone: ZoneInfo) -> float:
    """Return the time of day in seconds, of the day on which it was due: more than a day's for the night after."""
    local, day = moment.astimezone(zone), due.astimezone(zone).date()
    return (local.date() - day).days * DAY + local.hour * 3600 + local.minute * 60 + local.second


def delay_of(moment: datetime, due: datetime, zone: ZoneInfo) -> float:
    return (moment - due).total_seconds()


MEASURES = {"clock": clock_of, "delay": delay_of}


def landings(runs: Sequence[Landing], by: str, zone: ZoneInfo, height: float = 280.0) -> Chart | None:
    """Draw when runs ended, given with the oldest first, as a time of day or as a delay; None of none."""
    if not runs:
        return None
    measure = MEASURES[by]
    ended = [measure(run.ended, run.due, zone) for run in runs]
    targets = [measure(run.target, run.due, zone) if run.target else None for run in runs]
    low, high = bounds_of([*ended, *(target for target in targets if target is not None)])
    axis, room = axis_of([run.due for run in runs]), height - TOP - BOTTOM

    def y(value: float) -> float:
        return round(TOP + room * (high - value) / (high - low), 2)

    step = max(step_for((high - low) / 6), MINUTE if by == "clock" else 1)  # a time of day has no seconds here
    first = -(-low // step)
    return Chart(
        height=height,
        dots=[
            Dot(run.run, axis.x(run.due), y(value), run.kind, value, run.ended)
            for run, value in zip(runs, ended, strict=True)
        ],
        line=targets_of([(axis.x(run.due), y(t)) for run, t in zip(runs, targets, strict=True) if t is not None]),
        ticks=axis.ticks(10, zone),
        marks=[Mark(y(step * n), step * n) for n in range(int(first), int(high // step) + 1)],
    )


def bounds_of(values: Sequence[float]) -> tuple[float, float]:
    """Return what the axis at the left spans: all the values, with a little room around."""
    low, high = min(values), max(values)
    spare = max((high - low) * 0.08, 30.0)
    return low - spare, high + spare


def targets_of(points: Iterable[tuple[float, float]]) -> str:
    """Return a stroke at each target: a line, where they are near to each other and the same."""
    return "".join(f"M{x - 5:g} {y:g}h10" for x, y in points)
