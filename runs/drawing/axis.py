"""Where things stand on a drawing: moments on an axis of time, numbers on a scale, and the marks between them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from runs.zones import UTC

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400
# Seconds between two marks that people can count by.
STEPS = (
    *(SECOND * each for each in (1, 2, 5, 10, 15, 30)),
    *(MINUTE * each for each in (1, 2, 5, 10, 15, 30)),
    *(HOUR * each for each in (1, 2, 3, 6, 12)),
    *(DAY * each for each in (1, 2, 7, 14, 28, 91, 182, 364)),
)


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where it stands, and what is written there. `is_major`: a new day, or a round number."""

    x: float
    label: str
    moment: datetime | None = None
    is_major: bool = False


@dataclass(frozen=True)
class Axis:
    """Time from `start` to `end` (aware), drawn from `left` on, `width` units wide."""

    start: datetime
    end: datetime
    width: float
    left: float = 0.0

    def x(self, moment: datetime) -> float:
        """Return where a moment stands; what is outside stands at the nearer end."""
        whole = (self.end - self.start).total_seconds() or 1.0
        share = (moment - self.start).total_seconds() / whole
        return round(self.left + self.width * min(max(share, 0.0), 1.0), 2)

    def span(self, begin: datetime, end: datetime, least: float = 1.0) -> tuple[float, float]:
        """Return where a span begins and how wide it is, at least `least`: short things are to be seen, too."""
        x = self.x(begin)
        return x, round(max(self.x(end) - x, least), 2)

    def shows(self, begin: datetime, end: datetime) -> bool:
        """Tell whether any of a span lies on the axis."""
        return begin <= self.end and end >= self.start

    def ticks(self, most: int = 12, zone: ZoneInfo = UTC) -> list[Tick]:
        """Return at most about `most` marks at round times of the zone's clock."""
        step = step_for((self.end - self.start).total_seconds() / max(most, 1))
        return list(self.marks(step, zone))

    def marks(self, step: int, zone: ZoneInfo) -> Iterator[Tick]:
        for moment, is_new_day in round_moments(self.start, self.end, step, zone):
            label = f"{moment:%H:%M:%S}" if step < MINUTE else f"{moment:%H:%M}"
            if is_new_day:
                label = f"{moment:%a} {moment.day} {moment:%b}"
            yield Tick(self.x(moment), label, moment, is_new_day)


def step_for(seconds: float) -> int:
    """Return the shortest step that is at least so many seconds long."""
    return next((step for step in STEPS if step >= seconds), STEPS[-1])


def round_moments(start: datetime, end: datetime, step: int, zone: ZoneInfo) -> Iterator[tuple[datetime, bool]]:
    """Yield the moments from `start` to `end` at which the zone's clocks are at a multiple of `step`, in order, and
    whether a day begins there.

    A day of 23 hours has a mark less, one of 25 an hour twice, as far as marks are that near to each other.
    """
    low, high = start.astimezone(UTC), end.astimezone(UTC)
    local, last = (moment.astimezone(zone).replace(tzinfo=None, fold=0) for moment in (low, high))
    if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
        local, last = local - timedelta(seconds=HOUR), last + timedelta(seconds=HOUR)  # of an hour that comes twice
    local = rounded(local, step)
    found: dict[datetime, bool] = {}
    while local <= last:
        is_midnight = (local.hour, local.minute, local.second) == (0, 0, 0)
        for moment in instants_of(local, zone, twice=step <= HOUR, made_up=is_midnight):
            if low <= moment <= high:
                found.setdefault(moment, is_midnight)
        local += timedelta(seconds=step)
    days = {moment.astimezone(zone).date(): moment for moment in sorted(found, reverse=True) if found[moment]}
    for moment in sorted(found):
        there = moment.astimezone(zone)
        yield there, days.get(there.date()) == moment


def rounded(local: datetime, step: int) -> datetime:
    """Return the last multiple of `step` that is not after a local time."""
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= DAY:
        return midnight - timedelta(days=(midnight.toordinal() - 1) % (step // DAY))
    return midnight + (local - midnight) // timedelta(seconds=step) * timedelta(seconds=step)


def instants_of(local: datetime, zone: ZoneInfo, *, twice: bool, made_up: bool) -> list[datetime]:
    """Return when a zone's clocks show a local time: also the second time if `twice`. One that they skip has none,
    unless it is to be `made_up`: then the moment at which they skip it.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return [first, second] if twice and second > first else [first]
    return [first] if made_up else []


@dataclass(frozen=True)
class Scale:
    """Numbers from 0 to `top`, drawn `height` units high, zero at the bottom."""

    top: float
    height: float

    def y(self, value: float) -> float:
        """Return where a number stands, counted from above."""
        return round(self.height - self.length(value), 2)

    def length(self, value: float) -> float:
        share = value / self.top if self.top > 0 else 0.0
        return round(self.height * min(max(share, 0.0), 1.0), 2)

    def ticks(self, most: int = 4) -> list[float]:
        """Return at most about `most` round numbers of the scale, the smallest first, zero among them."""
        step = round_step(self.top / max(most, 1))
        return [step * index for index in range(int(self.top / step + 1e-9) + 1)] if step else [0.0]


def round_step(size: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `size`; 0 for none."""
    if size <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(size))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= size * (1 - 1e-9))
