"""A year as a calendar: a square for each day, a column for each week, colored and shaped by how its runs ended."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil
from typing import NamedTuple
from zoneinfo import ZoneInfo

from runs.zones import UTC

SIZE, STEP = 13, 16  # of a square; from one to the next
LEFT, TOP = 34, 18  # room for the names of weekdays and months
BOUNDS = (1, 4, 12, 40)  # so many runs a day and more are drawn with more color, step by step
LEAST = 4.0  # how much of a square one failure takes, however many runs there are
WEEKDAYS = ("Mon", "", "Wed", "", "Fri", "", "")
Counts = Mapping[str, int]  # how many runs are in which state


class Day(NamedTuple):
    """A square. `kind` says what is drawn: nothing, good, bad (any failed), off, open, planned, ahead."""

    date: date
    x: int
    y: int
    kind: str
    level: int
    failed_height: float
    counts: Counts

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        return self.counts.get("failed", 0)

    @property
    def is_mostly_bad(self) -> bool:
        return 2 * self.failed > self.total

    @property
    def failed_y(self) -> float:
        return self.y + SIZE - self.failed_height


class Label(NamedTuple):
    """A name at a place."""

    x: int
    y: int
    text: str


@dataclass(frozen=True)
class Year:
    """The days of a year with the names beside them."""

    year: int
    days: Sequence[Day]
    labels: Sequence[Label]
    width: int
    height: int = TOP + 7 * STEP


def lay_out(year: int, counts: Mapping[date, Counts], planned: Collection[date], today: date) -> Year:
    """Draw a year's days, those to come with what is planned."""
    first = date(year, 1, 1)
    dates = [first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days)]
    days = [day_of(each, first, counts.get(each, {}), each in planned, today) for each in dates]
    months = [Label(day.x, TOP - 6, f"{day.date:%b}") for day in days if day.date.day == 1]
    weekdays = [Label(0, TOP + row * STEP + SIZE - 2, name) for row, name in enumerate(WEEKDAYS) if name]
    return Year(year, days, [*months, *weekdays], days[-1].x + SIZE + 1)


def day_of(day: date, first: date, counts: Counts, is_planned: bool, today: date) -> Day:
    week = (day.timetuple().tm_yday - 1 + first.weekday()) // 7
    total, failed = sum(counts.values()), counts.get("failed", 0)
    height = max(LEAST, SIZE * failed / total) if failed else 0.0
    kind = kind_of(counts) if total else "planned" if is_planned else "ahead" if day > today else "none"
    x, y = LEFT + week * STEP, TOP + day.weekday() * STEP
    return Day(day, x, y, kind, sum(total >= bound for bound in BOUNDS), round(height, 2), counts)


def kind_of(counts: Counts) -> str:
    """Say how a day's runs ended, the worst first: a failure, then what goes on, then what was cancelled alone."""
    if counts.get("failed"):
        return "bad"
    if counts.get("running") or counts.get("initial"):
        return "open"
    return "good" if counts.get("completed") else "off"


class Hour(NamedTuple):
    """The bar of an hour: its parts from the bottom up, each (state, count, y, height)."""

    label: str
    words: str  # the same in full, and in UTC
    x: int
    counts: Counts
    parts: Sequence[tuple[str, int, float, float]]


HOUR_STEP, HOUR_HEIGHT = 30, 72
STACK = ("completed", "cancelled", "running", "initial", "failed")


def hours_of(day: date, zone: ZoneInfo, counts: Mapping[int, Counts]) -> list[Hour]:
    """Draw the hours of a day by the zone's clocks, 23 to 25 of them, the fullest as high as there is room."""
    begin, end = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    most = max((sum(each.values()) for each in counts.values()), default=0) or 1
    hours = []
    for hour in range(ceil((end - begin) / timedelta(hours=1))):
        here, parts, y = counts.get(hour, {}), [], float(HOUR_HEIGHT)
        for state in STACK:
            if count := here.get(state, 0):
                height = round(HOUR_HEIGHT * count / most, 2)
                y = round(y - height, 2)
                parts.append((state, count, y, height))
        at = (begin + timedelta(hours=hour)).astimezone(zone)
        hours.append(Hour(f"{at:%H}", clock(at), hour * HOUR_STEP, here, parts))
    return hours


def clock(at: datetime) -> str:
    return f"{at:%H:%M %Z}" + (f" ({at.astimezone(UTC):%H:%M} UTC)" if at.utcoffset() else "")


class Month(NamedTuple):
    """The sums of a month."""

    month: date
    counts: Counts

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def failed_share(self) -> float:
        return self.counts.get("failed", 0) / self.total if self.total else 0.0


def months_of(year: int, counts: Mapping[date, Counts]) -> list[Month]:
    """Return the months of a year that had runs."""
    sums: dict[int, dict[str, int]] = {}
    for day, here in counts.items():
        for state, count in here.items():
            month = sums.setdefault(day.month, {})
            month[state] = month.get(state, 0) + count
    return [Month(date(year, number, 1), sums[number]) for number in sorted(sums)]
