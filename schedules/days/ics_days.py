"""Days from an iCalendar file (.ics): its events, repeating ones included. Pure: no Django, no clock.

A file is read once, when it is given; what is kept are its events as JSON:
{"name", "start": "2025-12-25T00:00:00", "days": 2, "rrule": "FREQ=YEARLY", "also": [starts], "except": [days]}.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from schedules.days.day_sets import LONGEST_NAME, YEARS, InvalidCalendar
from schedules.rules.cron_fields import InvalidSchedule
from schedules.rules.day_expressions import Days
from schedules.rules.recurrence_text import read_recurrence
from schedules.rules.recurrences import Recurrence

MOST_BYTES = 1_000_000
MOST_EVENTS, MOST_REPEATING, MOST_DAYS = 5000, 300, 366
DAY = timedelta(days=1)
UTC_ZONE = ZoneInfo("UTC")
HINT = "Give the text of an iCalendar file, BEGIN:VCALENDAR … END:VCALENDAR, as calendars export it."
Event = dict[str, Any]


def read_ics(text: str) -> list[Event]:
    """Return the events of a file; raise `InvalidCalendar` for what is too large or cannot be read."""
    if len(text.encode()) > MOST_BYTES:
        raise refuse(f"The file has {len(text.encode()):,} bytes; the limit is {MOST_BYTES:,}.", "Leave old years out.")
    if "\x00" in text:
        raise refuse("The file contains a character that cannot be stored.")
    if not text.lstrip("\ufeff \r\n").upper().startswith("BEGIN:VCALENDAR"):
        raise refuse("This is not an iCalendar file.", HINT)
    if len(re.findall(r"^BEGIN:", text, re.IGNORECASE | re.MULTILINE)) > 3 * MOST_EVENTS:
        raise refuse(f"The file has more parts than {MOST_EVENTS} events have.")
    import icalendar  # dear, and needed here only

    try:
        calendar = icalendar.Calendar.from_ical(text.lstrip("\ufeff \r\n"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise refuse(f"The file cannot be read: {str(error)[:200]}.", HINT) from None
    components = [each for each in calendar.subcomponents if each.name == "VEVENT"]
    if not 1 <= len(components) <= MOST_EVENTS:
        raise refuse(f"The file has {len(components)} events; 1 to {MOST_EVENTS} are wanted.")
    overridden = [(str(each.get("UID", "")), day_of(each["RECURRENCE-ID"])) for each in components if is_override(each)]
    events = [
        read_event(number, each) for number, each in enumerate(components, 1) if each.get("STATUS") != "CANCELLED"
    ]
    for event in events:
        if event.get("rrule"):
            event["except"] += [day.isoformat() for uid, day in overridden if uid == event["uid"]]
        del event["uid"]
    if sum("rrule" in event for event in events) > MOST_REPEATING:
        raise refuse(f"More than {MOST_REPEATING} events repeat.", "Leave some out.")
    days_of(events)  # every rule is one that can be read
    return events


def is_override(component: Any) -> bool:
    return "RECURRENCE-ID" in component


def day_of(prop: Any) -> date:
    return naive(prop.dt).date()


def read_event(number: int, component: Any) -> Event:
    name = " ".join(str(component.get("SUMMARY", "")).split())[:LONGEST_NAME] or "Event"
    where = f"event {number} ({name})"
    if wrong := component.errors:
        raise refuse(f"{where}, {wrong[0][0]}: {wrong[0][1]}"[:300] + ".")
    begin = component.get("DTSTART")
    if begin is None or not isinstance(begin.dt, date) or begin.dt.year not in YEARS:
        raise refuse(f"{where} has no DTSTART, or one outside the years {YEARS[0]} to {YEARS[-1]}.")
    rules = as_list(component.get("RRULE"))
    if len(rules) > 1 or "EXRULE" in component:
        raise refuse(f"{where} has several rules; one RRULE is understood.")
    return {
        "uid": str(component.get("UID", "")),
        "name": name if name.isprintable() else "Event",
        "start": naive(begin.dt).isoformat(),
        "days": length_of(component, begin.dt, where),
        "also": [naive(first(each.dt)).isoformat() for each in listed(component, "RDATE")],
        "except": [naive(each.dt).date().isoformat() for each in listed(component, "EXDATE")],
        **({"rrule": rule_text(rules[0], zone_of(begin.dt))} if rules else {}),
    }


def length_of(component: Any, begin: date, where: str) -> int:
    """Return how many days an event touches; DTEND is the first moment after it."""
    start, end = naive(begin), component.get("DTEND")
    if end is not None:
        finish = naive(end.dt.astimezone(zone_of(begin)) if zone_of(end.dt) and zone_of(begin) else end.dt)
    elif "DURATION" in component:
        finish = start + component["DURATION"].dt
    else:
        finish = start
    days = ((finish - timedelta(microseconds=1)).date() - start.date()).days + 1 if finish > start else 1
    if not 1 <= days <= MOST_DAYS:
        raise refuse(f"{where} is {days} days long; the limit is {MOST_DAYS}.")
    return days


def rule_text(rule: Any, zone: tzinfo | None) -> str:
    """Return the rule as text, its UNTIL as a local time of the event."""
    parts = dict(rule)
    if until := parts.get("UNTIL"):
        last = until[0]
        parts["UNTIL"] = [naive(last.astimezone(zone)) if zone_of(last) and zone else last]
    return bytes(type(rule)(parts).to_ical()).decode()


def as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def listed(component: Any, name: str) -> Iterator[Any]:
    for prop in as_list(component.get(name)):
        yield from prop.dts


def first(value: Any) -> Any:
    """The start of a period, or the moment itself."""
    return value[0] if isinstance(value, tuple) else value


def naive(value: Any) -> datetime:
    """Return a date or moment as the local time of its own zone."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None, fold=0)
    return datetime.combine(value, time())


def zone_of(value: Any) -> tzinfo | None:
    return value.tzinfo if isinstance(value, datetime) else None


def refuse(message: str, hint: str = "") -> InvalidCalendar:
    return InvalidCalendar("ics", message[:1].upper() + message[1:], hint)


# --- their days -------------------------------------------------------------------------------------------------------


def days_of(events: Sequence[Event]) -> Days:
    """Return the days that the events touch, named by the first of each."""
    rules = [(event, rule_of(event)) for event in events]
    years: dict[int, Mapping[date, str]] = {}

    def named(day: date) -> str | None:
        if day.year not in years:
            years[day.year] = days_of_year(rules, day.year)
        return years[day.year].get(day)

    return named


def rule_of(event: Event) -> Recurrence | None:
    if "rrule" not in event:
        return None
    start = datetime.fromisoformat(event["start"])
    try:
        return read_recurrence(event["rrule"], UTC_ZONE, start.replace(tzinfo=UTC), start)
    except InvalidSchedule as refusal:
        raise refuse(f"event {event['name']}: {refusal.message}", refusal.hint) from None


def days_of_year(rules: Sequence[tuple[Event, Recurrence | None]], year: int) -> Mapping[date, str]:
    found: dict[date, str] = {}
    for event, rule in rules:
        for begin in starts_of(event, rule, date(year, 1, 1) - event["days"] * DAY, date(year, 12, 31)):
            for number in range(event["days"]):
                found.setdefault(begin + number * DAY, event["name"])
    return {day: name for day, name in found.items() if day.year == year}


def starts_of(event: Event, rule: Recurrence | None, since: date, until: date) -> Iterator[date]:
    """Yield the days of `since` <= day <= `until` on which an event begins."""
    excepted = set(event["except"])
    for text in (event["start"], *event["also"]):
        begin = datetime.fromisoformat(text).date()
        if since <= begin <= until and begin.isoformat() not in excepted:
            yield begin
    if rule is None:
        return
    after = partial(datetime.combine, time=time())
    moment = rule.first_from(after(since))
    while moment and moment.date() <= until:
        if moment.date().isoformat() not in excepted:
            yield moment.date()
        moment = rule.first_from(after(moment.date() + DAY))
