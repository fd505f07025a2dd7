"""A cron expression as checked sets of minutes, days and months. Pure: no Django, no clock, no time zone.

Accepted: exactly five fields of numbers, names, ranges, steps and lists, `L` (last) in both day fields and `#` (nth
weekday). Everything is checked here first; croniter then only expands what is known to be harmless, because by itself
it also takes random fields, ranges that run backwards, and dates that never come.
"""

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from functools import lru_cache
from itertools import product

from croniter import CroniterError, croniter

from pipelines.refusal import Refusal

LONGEST = 256
HORIZON_YEARS = 50
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",  # Sunday
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
LAST = -1  # the "n" of "the last Friday of the month"


class InvalidSchedule(Refusal):
    """A schedule that cannot be kept: unreadable, or with no moment at all."""

    def __init__(self, message: str, *, hint: str = "", field: str = "schedule_interval", code: str = "") -> None:
        super().__init__(message, field=field, hint=hint, code=code or "invalid_cron")


@dataclass(frozen=True)
class Cron:
    """The expanded fields. Weekdays count from Sunday = 0; `times` are minutes after midnight, sorted."""

    expression: str
    times: tuple[int, ...]
    days: frozenset[int]
    months: tuple[int, ...]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]  # (weekday, n), n from 1, or LAST
    has_last_day: bool
    needs_both_days: bool  # a day must suit both day fields, because one of them begins with *
    is_elastic: bool  # follows real time through clock changes; a fixed one keeps each named time once
    layouts: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def covers_every_hour(self) -> bool:
        return len({time // 60 for time in self.times}) == 24

    def first_from(self, local: datetime) -> datetime | None:
        """Return the first matching wall-clock minute at or after `local` (naive, on a whole minute)."""
        today = local.date()
        for day in self.days_from(today):
            minute = local.hour * 60 + local.minute if day == today else 0
            position = bisect_left(self.times, minute)
            if position < len(self.times):
                return datetime.combine(day, time(*divmod(self.times[position], 60)))
        return None

    def days_from(self, first: date) -> Iterator[date]:
        """Yield the matching days from `first` on, for fifty years."""
        for year in range(first.year, min(first.year + HORIZON_YEARS + 1, 9999)):
            for month in self.months:
                if (year, month) < (first.year, first.month):
                    continue
                for day in self.days_of(year, month):
                    if day >= first.day or (year, month) != (first.year, first.month):
                        yield date(year, month, day)

    def days_of(self, year: int, month: int) -> tuple[int, ...]:
        """Return the matching days of one month. Months come in 28 layouts: each is worked out once."""
        layout = calendar.monthrange(year, month)
        if layout not in self.layouts:
            monday_first, length = layout
            days = range(1, length + 1)
            self.layouts[layout] = tuple(day for day in days if self.has_day(day, (monday_first + day) % 7, length))
        return self.layouts[layout]

    def has_day(self, day: int, weekday: int, length: int) -> bool:
        by_date = day in self.days or (self.has_last_day and day == length)
        nth = (day - 1) // 7 + 1
        by_weekday = (
            weekday in self.weekdays
            or (weekday, nth) in self.nth_weekdays
            or (day + 7 > length and (weekday, LAST) in self.nth_weekdays)
        )
        return (by_date and by_weekday) if self.needs_both_days else (by_date or by_weekday)


@lru_cache(maxsize=4096)
def read_cron(expression: str) -> Cron:
    """Check and expand an expression or one of its nicknames (`@daily`); raise `InvalidSchedule` naming the field."""
    texts = split_fields(expression)
    checked = [spec.check(text) for spec, text in zip(FIELDS, texts, strict=True)]
    try:
        expanded, nth = croniter.expand(" ".join(checked))
    except CroniterError as error:
        raise InvalidSchedule("This cron expression is not understood.", hint=str(error)[:200]) from error
    minutes, hours, days, months, weekdays = (
        spec.numbers(values) for spec, values in zip(FIELDS, expanded, strict=True)
    )
    cron = Cron(
        expression=" ".join(texts),
        times=tuple(hour * 60 + minute for hour, minute in product(hours, minutes)),
        days=frozenset(days),
        months=months,
        weekdays=frozenset(weekdays) - nth.keys(),
        nth_weekdays=frozenset((int(day), LAST if str(n) == "l" else int(n)) for day, ns in nth.items() for n in ns),
        has_last_day="l" in expanded[2],
        needs_both_days=texts[2].startswith("*") or texts[4].startswith("*"),
        is_elastic=texts[0].startswith("*") or texts[1].startswith("*") or len(hours) == 24,
    )
    if next(cron.days_from(date(2000, 1, 1)), None) is None:
        raise InvalidSchedule(f"This schedule never fires (no date in the next {HORIZON_YEARS} years).")
    return cron


def split_fields(expression: str) -> list[str]:
    """Return the five fields; refuse what is not even the shape of a cron expression."""
    if len(expression) > LONGEST:
        raise InvalidSchedule(f"A cron expression has at most {LONGEST} characters; this one has {len(expression)}.")
    if re.search(r"[\r\n]", expression.strip()):
        raise InvalidSchedule("A cron expression is one line.", hint="Make a trigger for each.")
    if strange := re.search(r"[^\t\x20-\x7e]", expression.strip()):
        raise InvalidSchedule(
            f"A cron expression is written in plain ASCII; {ascii(strange.group())} is not.",
            hint="Use the digits 0-9 and English names such as mon or jan.",
        )
    text = expression.strip()
    if not text:
        raise InvalidSchedule("A schedule interval is required.", hint=HINT, code="required")
    if text.startswith("@"):
        return read_nickname(text).split()
    fields = text.split()
    if len(fields) == 1 and f"@{text.lower()}" in MACROS:
        raise InvalidSchedule(f"{shown(text)} is not known.", hint=f"Write @{text.lower()}.")
    if len(fields) != len(FIELDS):
        more = "Seconds and years are not supported: write" if len(fields) > len(FIELDS) else "Write"
        raise InvalidSchedule(
            f"A cron expression has exactly 5 fields; {shown(text)} has {len(fields)}.",
            hint=f"{more} minute, hour, day of month, month, day of week, for example 30 6 * * 1-5.",
        )
    return fields


def read_nickname(text: str) -> str:
    if text.lower() in MACROS:
        return MACROS[text.lower()]
    near = get_close_matches(text.lower(), ["@once", *MACROS, "@always_on"], n=1, cutoff=0.8)
    hint = f"Did you mean {near[0]}?" if near else f"Known are @once, {', '.join(MACROS)} and @always_on."
    if every := re.fullmatch(r"@every\s+(\d{1,2})m(?:in)?", text, re.IGNORECASE):
        minutes = int(every.group(1))
        plain = f"*/{minutes} * * * *" if minutes and not 60 % minutes and minutes < 60 else f"every {minutes} minutes"
        hint = f"Write {plain}." if minutes else hint
    raise InvalidSchedule(f"{shown(text)} is not known.", hint=hint)


@dataclass(frozen=True)
class FieldSpec:
    """One of the five fields: what it may hold, and how to say so."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_weekday(self) -> bool:
        return self.high == 7

    def check(self, text: str) -> str:
        """Return the field with numbers for names; refuse anything else that is not plainly right."""
        items = [self.check_item(item) for item in text.lower().split(",")]
        special = [item for item in items if self.is_weekday and ("#" in item or "l" in item)]
        if special and len(special) < len(items):
            raise self.refuse(f"{shown(text)} mixes plain days with # or L days.", "Use only one kind in a list.")
        return ",".join(items)

    def check_item(self, item: str) -> str:
        if re.match(r"[hr](\(|/|-|$)", item):
            raise self.refuse(f"{item[0].upper()} (a random or hashed value) is not supported.", "Write a fixed value.")
        if item == "l" and self.name == "Day of month":
            return item
        if item == "?":
            raise self.refuse("? is not supported.", "Write * instead.")
        if self.is_weekday and (special := self.check_special_weekday(item)):
            return special
        match = re.fullmatch(r"(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([0-9]+))?", item)
        if not match:
            raise self.refuse(f"{shown(item)} is not understood.", self.allowed())
        star, first, last, step = match.groups()
        body = star or self.check_range(item, first, last)
        pace = f"/{self.check_step(step)}" if step else ""
        # "5-5/2" is 5 alone; croniter reads "5-5" as the whole field and "5/2" as every second value from 5 on.
        return body if last and "-" not in body else body + pace

    def check_range(self, item: str, first: str, last: str | None) -> str:
        low = self.check_value(first)
        if last is None:
            return str(low)
        high = self.check_value(last)
        if low > high:
            if high == 0 and self.is_weekday:
                hint = f"Write {low}-7: Sunday is 7 at the end of a range."
            else:
                hint = f"Write {span(low, self.high - self.is_weekday)},{span(self.low, high)}."
            raise self.refuse(f"the range {shown(item)} runs backwards.", hint)
        return span(low, high)

    def check_special_weekday(self, item: str) -> str:
        """Return `5#2` and `L5` (also written `5L`) in croniter's spelling, or "" for a plain weekday."""
        if match := re.fullmatch(r"([a-z0-9]+)#([a-z0-9]+)", item):
            day, nth = self.check_value(match.group(1)) % 7, match.group(2)
            if nth == "l":
                return f"l{day}"
            if nth not in {"1", "2", "3", "4", "5"}:
                raise self.refuse(
                    f"#{nth} in {shown(item)} is outside #1–#5.", "mon#2 is the second Monday, 5L the last Friday."
                )
            return f"{day}#{nth}"
        if match := re.fullmatch(r"l([0-9]|[a-z]{3})|([0-9]|[a-z]{3})l", item):
            return f"l{self.check_value(match.group(1) or match.group(2)) % 7}"
        return ""

    def check_value(self, text: str) -> int:
        if text in self.names:
            return self.names[text]
        if not text.isdigit():
            raise self.refuse(f"{shown(text)} is not understood.", self.allowed())
        if not self.low <= int(text) <= self.high:
            raise self.refuse(f"{int(text)} is outside {self.low}–{self.high}.")
        return int(text)

    def check_step(self, text: str) -> int:
        if not 1 <= int(text) <= self.high:
            raise self.refuse(f"the step {int(text)} is outside 1–{self.high}.")
        return int(text)

    def numbers(self, values: Sequence[int | str]) -> tuple[int, ...]:
        """Return the sorted numbers of an expanded field; `l` is told elsewhere, and 7 is Sunday."""
        if "*" in values:
            return tuple(range(self.low, self.high + (not self.is_weekday)))
        return tuple(sorted({int(value) for value in values if value != "l"}))

    def allowed(self) -> str:
        names = f" or names ({', '.join(self.names)})" if self.names else ""
        return f"Use numbers {self.low}–{self.high}{names}, ranges (1-5), steps (*/2) and lists (1,3)."

    def refuse(self, problem: str, hint: str = "") -> InvalidSchedule:
        return InvalidSchedule(f"{self.name}: {problem}", hint=hint)


def span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def shown(text: str) -> str:
    """Return a value as it may be repeated to the person who typed it: short and in quotes."""
    return ascii(text if len(text) <= 80 else text[:79] + "…").replace("\\u2026", "…")


FIELDS = (
    FieldSpec("Minute", 0, 59),
    FieldSpec("Hour", 0, 23),
    FieldSpec("Day of month", 1, 31),
    FieldSpec("Month", 1, 12, MONTHS),
    FieldSpec("Day of week", 0, 7, WEEKDAYS),
)
HINT = "Use @daily, a cron expression such as 30 6 * * 1-5, or words such as every 90 minutes from 06:00."
