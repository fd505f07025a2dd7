"""An RRULE in words that people use: "every month on the last Friday of the month, at 18:00". Pure."""

import calendar
from collections.abc import Sequence

from schedules.rules.cron_words import listed, ordinal, spans
from schedules.rules.recurrences import WITHIN_A_DAY, Recurrence

MOST_TIMES = 6


def describe_recurrence(rule: Recurrence) -> str:
    unit = rule.frequency.unit
    pace = f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"
    days = " and ".join(days_in_words(rule))
    first = " ".join(part for part in (pace, days, months_in_words(rule)) if part)
    return ", ".join(part for part in (first, times_in_words(rule), positions_in_words(rule), bounds(rule)) if part)


def days_in_words(rule: Recurrence) -> list[str]:
    days = rule.days
    whole = "year" if days.counts_within_year and not days.months else "month"
    names = spans(days.weekdays, lambda day: calendar.day_name[day]) + [
        f"{nth_in_words(n)} {calendar.day_name[day]} of the {whole}" for day, n in days.nth_weekdays
    ]
    words = [f"on {listed(names)}"] if names else []
    if days.month_days and len(days.month_days) < 31:
        words.append(f"on {listed([nth_in_words(day, 'day') for day in days.month_days])} of the month")
    if days.year_days:
        words.append(f"on {listed([nth_in_words(day, 'day') for day in days.year_days])} of the year")
    if days.weeks:
        words.append(f"in {listed([nth_in_words(week, 'week') for week in days.weeks])} of the year")
    return words


def nth_in_words(number: int, name: str = "") -> str:
    """Return "the 2nd", "the last" or "the 3rd last"; with the name of what is counted where that is needed."""
    if number > 0:
        return f"the {ordinal(number)}" + (f" {name}" if name == "week" else "")
    last = "the last" if number == -1 else f"the {ordinal(-number)} last"
    return f"{last} {name}".strip()


def months_in_words(rule: Recurrence) -> str:
    months = rule.days.months
    return f"in {listed(spans(months, lambda month: calendar.month_name[month]))}" if months else ""


def times_in_words(rule: Recurrence) -> str:
    if rule.frequency not in WITHIN_A_DAY:
        times = [f"{time // 60:02d}:{time % 60:02d}" for time in rule.times]
        if len(times) > MOST_TIMES:
            return f"{len(times)} times from {times[0]} to {times[-1]}"
        return f"at {listed(times)}"
    words = []
    if len(rule.minutes) < 60:
        words.append(f"at minute {numbers_in_words(rule.minutes)}")
    if len(rule.hours) < 24:
        words.append(f"in the hour{'s' if len(rule.hours) > 1 else ''} {numbers_in_words(rule.hours)}")
    return " ".join(words)


def numbers_in_words(numbers: Sequence[int]) -> str:
    return listed(spans(numbers, lambda number: f"{number:02d}"))


def positions_in_words(rule: Recurrence) -> str:
    if not rule.positions:
        return ""
    places = listed([nth_in_words(place) for place in rule.positions])
    return f"of these only {places} of each {rule.frequency.unit}"


def bounds(rule: Recurrence) -> str:
    """Say from where the rule counts, where that matters, and where it ends."""
    words = []
    if rule.count:
        words.append("once" if rule.count == 1 else f"{rule.count} times")
    if rule.interval > 1 or rule.count:
        words.append(f"counted from {rule.start:%Y-%m-%d %H:%M}")
    if rule.until and not rule.count:
        words.append(f"until {rule.until:%Y-%m-%d %H:%M}")
    return " ".join(words)
