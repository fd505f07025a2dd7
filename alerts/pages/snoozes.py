"""How long a snooze lasts: for a while, until eight in the morning, or until a time, by the clocks of who looks."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.refusal import Refusal
from runs.viewer_zone import read_local, zone_of_form
from schedules.spans import read_span

LONGEST_SPAN = 366 * 86_400
MORNING = time(8)
SNOOZES = (
    ("1 h", "For an hour"),
    ("4 h", "For 4 hours"),
    ("morning", "Until the morning, 08:00"),
    ("monday", "Until Monday, 08:00"),
    ("1 d", "For a day"),
    ("7 d", "For a week"),
)


def read_until(sent: Mapping[str, Any], moment: datetime) -> datetime:
    """Return the end of a snooze: one of those above, after a span, or at a time by the clocks that the form names."""
    span, until, zone = sent.get("for", ""), sent.get("until", ""), zone_of_form(sent)
    if span in ("morning", "monday"):
        return next_morning(moment, zone, is_monday=span == "monday")
    if span:
        seconds = read_span(span)
        if seconds is None or not 0 < seconds <= LONGEST_SPAN:
            raise Refusal(f"{span[:80]!r} is no length of time.", field="for", hint="For example 4 h, or 2 days.")
        return moment + timedelta(seconds=seconds)
    found = read_local(until, zone)
    if found is None:
        raise Refusal(
            f"{until[:80]!r} is no time." if until else "Say until when.",
            field="until",
            hint=f"For example 2026-03-02 09:00, in {zone}; or for how long: 4 h.",
        )
    return found


def next_morning(moment: datetime, zone: ZoneInfo, *, is_monday: bool = False) -> datetime:
    """Return when it is eight next by the clocks of a zone, or next on a Monday."""
    day = moment.astimezone(zone).date()
    while (found := datetime.combine(day, MORNING, zone).astimezone(UTC)) <= moment or (is_monday and day.weekday()):
        day += timedelta(days=1)
    return found
