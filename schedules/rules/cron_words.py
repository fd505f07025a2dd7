"""A cron rule in words that people use: "every 15 minutes", "at 06:00 on Monday to Friday". Pure."""

import calendar
from collections.abc import Callable, Sequence

from schedules.rules.cron_fields import LAST, Cron

DAYS = ("Sunday", *calendar.day_name[:6])
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", LAST: "last"}


def describe_cron(cron: Cron) -> str:
    times, days = times_in_words(cron), days_in_words(cron)
    if not days and times.startswith("at ") and ":" in times:
        days = "every day"
    return " ".join(part for part in (times, days, months_in_words(cron)) if part)


def times_in_words(cron: Cron) -> str:
    hours = sorted({time // 60 for time in cron.times})
    minutes = sorted({time % 60 for time in cron.times})
    if len(hours) < 24 and len(cron.times) <= 6:
        return f"at {listed([f'{time // 60:02d}:{time % 60:02d}' for time in cron.times])}"
    if len(minutes) == 60:
        pace = "every minute"
    elif (step := pace_of(minutes, 60)) and minutes[0] == 0:
        pace = f"every {step} minutes"
    elif len(hours) == 24 and minutes == [0]:
        return "every hour"
    else:
        pace = f"at minute {listed(spans(minutes, str))}"
        return pace + (" of every hour" if len(hours) == 24 else hours_in_words(hours))
    return pace + ("" if len(hours) == 24 else hours_in_words(hours))


def hours_in_words(hours: list[int]) -> str:
    if (step := pace_of(hours, 24)) and hours[0] == 0:
        return f" of every {ordinal(step)} hour"
    if len(hours) > 1 and hours == list(range(hours[0], hours[-1] + 1)):
        return f" from {hours[0]:02d}:00 to {hours[-1]:02d}:59"
    return f" in the hour{'s' if len(hours) > 1 else ''} {listed([f'{hour:02d}' for hour in hours])}"


def days_in_words(cron: Cron) -> str:
    any_date, any_weekday = len(cron.days) == 31, len(cron.weekdays) == 7
    if not cron.needs_both_days and (any_date or any_weekday):
        return ""
    dates = [f"the {ordinal(day)}" for day in sorted(cron.days)] + ["the last day"] * cron.has_last_day
    by_date = "" if any_date else f"on {listed(dates)} of the month"
    by_weekday = "" if any_weekday else f"on {listed(weekdays_in_words(cron))}"
    if by_date and by_weekday:
        return f"{by_date}, only if {by_weekday}" if cron.needs_both_days else f"{by_date} and also {by_weekday}"
    return by_date or by_weekday


def weekdays_in_words(cron: Cron) -> list[str]:
    nth = [f"the {ORDINALS[n]} {DAYS[day]} of the month" for day, n in sorted(cron.nth_weekdays)]
    monday_first = sorted((day + 6) % 7 for day in cron.weekdays)
    return spans(monday_first, lambda day: calendar.day_name[day]) + nth


def months_in_words(cron: Cron) -> str:
    if len(cron.months) == 12:
        return ""
    return f"in {listed(spans(cron.months, lambda month: calendar.month_name[month]))}"


def pace_of(values: Sequence[int], whole: int) -> int:
    """Return the step of values that go round evenly (0, 15, 30, 45), or 0."""
    step = whole // len(values)
    even = whole % len(values) == 0 and list(values) == list(range(values[0], whole, step))
    return step if even and 1 < step < whole else 0


def spans(values: Sequence[int], name: Callable[[int], str]) -> list[str]:
    """Name single values and runs of three and more ("Monday to Friday")."""
    found: list[str] = []
    rest = list(values)
    while rest:
        length = next((at for at, value in enumerate(rest) if value != rest[0] + at), len(rest))
        run, rest = (rest[:length], rest[length:]) if length > 2 else (rest[:1], rest[1:])
        found.append(name(run[0]) if len(run) == 1 else f"{name(run[0])} to {name(run[-1])}")
    return found


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
