"""Fixed intervals, "every 90 minutes from 06:00": equal steps of real time from one instant. Pure.

A change of the clock does not change the spacing; what it changes is what the clocks show.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schedules.rules.clock_changes import does_exist, instant_of
from schedules.rules.cron_fields import InvalidSchedule, shown
from schedules.rules.local_times import read_local

LONGEST_DAYS = 18_250  # fifty years
UNITS = {"minute": 1, "min": 1, "m": 1, "hour": 60, "h": 60, "day": 1440, "d": 1440, "week": 10_080, "w": 10_080}
UNEQUAL = {"month": "MONTHLY", "year": "YEARLY"}
HINT = "Write every 90 minutes, every 2 hours from 06:00, or every 10 days from 2026-01-05T06:00."
LAST_YEAR = 9998
BEGINNING = datetime.combine(date(1970, 1, 1), time())  # a local time


@dataclass(frozen=True)
class Interval:
    """Steps of real time from `anchor` (aware, UTC) on, the anchor included."""

    step: timedelta
    anchor: datetime
    origin: str  # "2026-01-05 06:00", or that and where it comes from

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first instant after `moment`, or None at the end of the calendar."""
        count = max((moment - self.anchor) // self.step + 1, 0)
        if (datetime(LAST_YEAR, 12, 31, tzinfo=UTC) - self.anchor) // self.step < count:
            return None
        return self.anchor + count * self.step

    def describe(self) -> str:
        return f"every {span_in_words(self.step)}, counted in real time from {self.origin}"


def read_interval(text: str, zone: ZoneInfo, start: datetime | None) -> Interval:
    """Read "every SPAN [from ANCHOR]"; raise `InvalidSchedule`.

    The anchor is a local time: with a date; or without one, on the day of `start`; or, when there is none at all,
    `start` itself. 1970-01-01 stands for a missing start.
    """
    match = re.fullmatch(r"every\s*(.*?)(?:\s*\bfrom\b\s*(.*))?", text.strip(), re.IGNORECASE)
    assert match
    step = read_span(match[1])
    if match[2] is None and start:
        return Interval(step, start.astimezone(UTC), f"its start, {start.astimezone(zone):%Y-%m-%d %H:%M}")
    local = BEGINNING if match[2] is None else read_anchor(match[2], start.astimezone(zone) if start else BEGINNING)
    there = local.replace(tzinfo=zone)
    instant = instant_of(local, zone)
    if not does_exist(there) or instant is None:
        later = f"Use {instant.astimezone(zone):%H:%M}." if instant else "Use another day."
        problem = f"{local:%Y-%m-%d %H:%M} does not exist in {zone.key}: clocks go forward."
        raise InvalidSchedule(problem, hint=later, code="invalid_interval")
    return Interval(step, instant, f"{local:%Y-%m-%d %H:%M}")


def read_anchor(text: str, day: datetime) -> datetime:
    """Return "06:00" on the given day, or a local date and time, naive."""
    if not text.strip():
        raise InvalidSchedule("There is no time after from.", hint=HINT, code="invalid_interval")
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII):
        return day.replace(tzinfo=None, fold=0, hour=int(text[:2]), minute=int(text[3:]), second=0, microsecond=0)
    if re.fullmatch(r"[\d:]{1,8}", text, re.ASCII):
        problem = f"{shown(text)} is not a time of day on a whole minute."
        raise InvalidSchedule(problem, hint="Write 06:00.", code="invalid_interval")
    return read_local(text)


def read_span(text: str) -> timedelta:
    """Return "90 minutes", "hour" or "1 hour 30 minutes"; whole minutes, from one to fifty years."""
    minutes = 0
    parts = re.findall(r"([^\sa-z]*)\s*([a-z]*)\s*", text.lower())[:-1]
    if not parts:
        raise refuse("There is no span after every.")
    for number, unit in parts:
        minutes += read_part(number, unit, is_alone=len(parts) == 1)
    if not 1 <= minutes <= LONGEST_DAYS * 1440:
        raise refuse("An interval is from 1 minute to 50 years long.")
    return timedelta(minutes=minutes)


def read_part(number: str, unit: str, *, is_alone: bool) -> int:
    if not unit:
        raise refuse(f"The unit is missing after {shown(number)}.")
    singular = unit.removesuffix("s") if len(unit) > 1 else unit
    if singular in UNEQUAL:
        hint = f"They are not equally long; write RRULE:FREQ={UNEQUAL[singular]};INTERVAL={number or 1}."
        raise refuse(f"An interval is not counted in {singular}s.", hint)
    if singular in ("second", "sec", "s"):
        raise refuse("An interval is whole minutes, at least 1.")
    if singular not in UNITS:
        raise refuse(f"{shown(unit)} is not a unit of time.", "Use minutes, hours, days or weeks.")
    if not number and not is_alone:
        raise refuse(f"The number is missing before {shown(unit)}.")
    if number and not (number.isascii() and number.isdigit()):
        raise refuse(f"{shown(number)} is not a whole number.")
    return int(number[:12] or 1) * UNITS[singular]


def refuse(problem: str, hint: str = HINT) -> InvalidSchedule:
    return InvalidSchedule(problem, hint=hint, code="invalid_interval")


def span_in_words(span: timedelta) -> str:
    minutes = span // timedelta(minutes=1)
    name, size = next((name, UNITS[name]) for name in ("week", "day", "hour", "minute") if not minutes % UNITS[name])
    return name if minutes == size else f"{minutes // size} {name}s"
