"""The days of one calendar: public holidays, weekdays, a list of one's own. Pure: no Django, no clock.

Each reader checks what people wrote and returns a function from a day to what it is called, or None.
"""

import calendar
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

from pipelines.refusal import Refusal
from schedules.rules.day_expressions import Days, did_you_mean

WEEKDAYS = tuple(name.lower() for name in calendar.day_name)
MOST_DATES = 2000
LONGEST_NAME = 100
YEARS = range(1970, 2201)
DATE_HINT = "Write 2026-12-24, or 12-24 for that day of every year."
DATE = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})", re.ASCII)


class InvalidCalendar(Refusal):
    """Something about a calendar that does not make sense."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message, field=field, hint=hint, code="invalid_calendar")


# --- public holidays --------------------------------------------------------------------------------------------------


def read_holidays(country: str, subdivision: str) -> Days:
    """Return the public holidays of a country ("DE") and, if given, of a part of it ("BY")."""
    countries = countries_known()
    if country not in countries:
        raise InvalidCalendar(
            "country",
            f"There are no holidays of {country[:80]!r}." if country else "Which country's holidays?",
            did_you_mean(country.upper(), countries) or "Use a code of ISO 3166 such as DE, US or IN.",
        )
    parts = countries[country]
    if subdivision and subdivision not in parts:
        hint = f"Use one of {', '.join(parts)}, or leave it empty." if parts else "Leave it empty."
        raise InvalidCalendar("subdivision", f"{country} has no part {subdivision[:80]!r} with holidays.", hint)

    def named(day: date) -> str | None:
        return holidays_of(country, subdivision, day.year).get(day)

    return named


@lru_cache(maxsize=1)
def countries_known() -> Mapping[str, Sequence[str]]:
    import holidays  # dear, and needed only where there is such a calendar

    return holidays.list_supported_countries(include_aliases=False)


@lru_cache(maxsize=2048)
def holidays_of(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    import holidays  # likewise

    found = holidays.country_holidays(country, subdiv=subdivision or None, years=year, language="en_US")
    return {day: name for day, name in found.items() if day.year == year}


# --- weekdays ---------------------------------------------------------------------------------------------------------


def read_weekdays(names: Sequence[object]) -> Days:
    """Return these days of every week; `names` are "monday" to "sunday"."""
    for name in names:
        if name not in WEEKDAYS:
            raise InvalidCalendar(
                "weekdays",
                f"{str(name)[:80]!r} is not a weekday.",
                did_you_mean(str(name).lower(), WEEKDAYS) or f"Use {', '.join(WEEKDAYS)}.",
            )
    numbers = {WEEKDAYS.index(str(name)) for name in names}
    if not 1 <= len(numbers) <= 6:
        raise InvalidCalendar("weekdays", "Choose 1 to 6 weekdays.")

    def named(day: date) -> str | None:
        return calendar.day_name[day.weekday()] if day.weekday() in numbers else None

    return named


# --- one's own list ---------------------------------------------------------------------------------------------------


def read_dates(entries: Sequence[object]) -> Days:
    """Return the listed days. An entry is {"date": "2026-12-24" or "12-24" for every year, "name": "Christmas Eve"}."""
    if not 1 <= len(entries) <= MOST_DATES:
        raise InvalidCalendar("dates", f"List 1 to {MOST_DATES} dates; these are {len(entries)}.", DATE_HINT)
    single: dict[date, str] = {}
    yearly: dict[tuple[int, int], str] = {}
    for number, entry in enumerate(entries, 1):
        year, month, day, name = read_entry(number, entry)
        if year is None:
            yearly.setdefault((month, day), name)
        else:
            single.setdefault(date(year, month, day), name)

    def named(day: date) -> str | None:
        return single.get(day) or yearly.get((day.month, day.day))

    return named


def read_entry(number: int, entry: object) -> tuple[int | None, int, int, str]:
    if not isinstance(entry, Mapping) or entry.keys() - {"date", "name"}:
        raise InvalidCalendar("dates", f"Date {number} is not made of date and name.", DATE_HINT)
    text, name = entry.get("date"), entry.get("name", "")
    match = DATE.fullmatch(text.strip()) if isinstance(text, str) else None
    try:
        # 29 February comes every year that has one.
        found = date(int(match[1] or 2000), int(match[2]), int(match[3])) if match else None
    except ValueError:
        found = None
    if match is None or found is None or found.year not in YEARS:
        raise InvalidCalendar("dates", f"Date {number}, {str(text)[:80]!r}, is not a date.", DATE_HINT)
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidCalendar("dates", f"The name of date {number} is text of at most {LONGEST_NAME} characters.")
    return (found.year if match[1] else None), found.month, found.day, name.strip() or "Listed day"


def entries_of(text: str) -> list[dict[str, str]]:
    """Return the entries in lines of "2026-12-24 Christmas Eve", unchecked."""
    lines = (line.strip() for line in text.splitlines())
    parted = (line.partition(" ") for line in lines if line)
    return [{"date": day, "name": name.strip()} for day, _, name in parted]


def lines_of(entries: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(f"{entry['date']} {entry.get('name', '')}".strip() for entry in entries)
