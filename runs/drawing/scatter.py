"""How long runs took, over time: a mark for each, whose shape says how it ended. Durations on a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from runs.drawing.axis import Axis, Tick
from runs.zones import UTC

HEIGHT = 132.0
TOP, BOTTOM = 10.0, 112.0
LEFT, WIDE = 5.0, 94.0  # hundredths of the width
MARKS = (
    (0.1, "0.1 s"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3600.0, "1 h"),
    (36_000.0, "10 h"),
    (86_400.0, "1 d"),
    (864_000.0, "10 d"),
)
LEAST = 0.05  # seconds: what is shorter stands at the bottom


@dataclass(frozen=True)
class Dot:
    """A run: when it started, how long it took (or has so far), how it stands, and what is said of it."""

    run_id: int
    at: datetime
    seconds: float
    status: str
    words: str


@dataclass(frozen=True)
class Placed:
    dot: Dot
    x: float  # hundredths of the width
    y: float


@dataclass(frozen=True)
class Level:
    """A duration that people can go by, and where it stands."""

    y: float
    label: str


@dataclass(frozen=True)
class Scatter:
    dots: Sequence[Placed]
    ticks: Sequence[Tick]
    levels: Sequence[Level]
    height: float = HEIGHT
    floor: float = BOTTOM


def scatter(dots: Sequence[Dot], zone: ZoneInfo = UTC) -> Scatter | None:
    """Draw runs; None for fewer than two, of which there is nothing to see."""
    if len(dots) < 2:
        return None
    first, last = min(dot.at for dot in dots), max(dot.at for dot in dots)
    axis = Axis(first, max(last, first + timedelta(seconds=1)), WIDE, LEFT)
    lengths = [max(dot.seconds, LEAST) for dot in dots]
    low, high = math.log10(min(lengths)), math.log10(max(lengths))
    if high - low < 0.5:  # all much the same: room above and below
        low, high = low - 0.25, high + 0.25

    def y(seconds: float) -> float:
        share = (math.log10(max(seconds, LEAST)) - low) / (high - low)
        return round(BOTTOM - (BOTTOM - TOP) * share, 1)

    placed = [Placed(dot, axis.x(dot.at), y(dot.seconds)) for dot in dots]
    levels = [Level(y(seconds), label) for seconds, label in MARKS if low <= math.log10(seconds) <= high]
    ticks = [tick for tick in axis.ticks(6, zone) if LEFT + 3 <= tick.x <= LEFT + WIDE - 4]
    return Scatter(placed, ticks, levels)
