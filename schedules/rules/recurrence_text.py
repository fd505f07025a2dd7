"""Reading "RRULE:FREQ=…" as people type it: every part checked by name. Pure: no Django, no clock."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from schedules.rules.cron_fields import HORIZON_YEARS, InvalidSchedule, shown
from schedules.rules.recurrences import WITHIN_A_DAY, DayFilter, Frequency, Recurrence

WEEKDAYS = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
# name: largest value, and whether -1 (the last) and so on are allowed; 0 is a value only where negatives are not
NUMBERS = {
    "BYMONTH": (12, False),
    "BYMONTHDAY": (31, True),
    "BYYEARDAY": (366, True),
    "BYWEEKNO": (53, True),
    "BYHOUR": (23, False),
    "BYMINUTE": (59, False),
    "BYSETPOS": (366, True),
}
PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *NUMBERS)
LARGEST_STEP = 1000
HINT = "For example RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18;BYMINUTE=0."


@lru_cache(maxsize=4096)
def read_recurrence(text: str, zone: ZoneInfo, start: datetime | None, beginning: datetime) -> Recurrence:
    """Return the rule, counted from the local time of `start`, or from `beginning` (naive) without one.

    Raises `InvalidSchedule` naming the part that is wrong, also for a rule that has no moment at all.
    """
    parts = read_parts(text)
    frequency = read_frequency(parts)
    local = start.astimezone(zone).replace(tzinfo=None, fold=0, second=0, microsecond=0) if start else beginning
    rule = Recurrence(
        frequency=frequency,
        start=local,
        days=read_days(parts, frequency, local),
        hours=numbers(parts, "BYHOUR") or (tuple(range(24)) if frequency >= Frequency.HOURLY else (local.hour,)),
        minutes=numbers(parts, "BYMINUTE")
        or (tuple(range(60)) if frequency is Frequency.MINUTELY else (local.minute,)),
        interval=whole(parts, "INTERVAL") or 1,
        positions=numbers(parts, "BYSETPOS"),
        until=read_until(parts["UNTIL"], zone) if "UNTIL" in parts else None,
    )
    if rule.positions and frequency in WITHIN_A_DAY:
        raise refuse("BYSETPOS needs FREQ=DAILY, WEEKLY, MONTHLY or YEARLY.")
    if rule.first_from(local) is None:
        span = "until its UNTIL" if rule.until else f"in the {HORIZON_YEARS} years"
        raise InvalidSchedule(
            f"This schedule never fires (no date {span} from {local:%Y-%m-%d %H:%M}).", code="invalid_rrule"
        )
    if "COUNT" not in parts:
        return rule
    if start is None:
        raise refuse("COUNT counts from the start time, and there is none.", "Set start_time, or use UNTIL.")
    count = whole(parts, "COUNT")
    return replace(rule, count=count, until=rule.nth(count) or rule.until, residues={}, layouts={})


def read_parts(text: str) -> dict[str, str]:
    """Return the parts by name, in capitals; each is there once and is known."""
    body = text.strip().upper().removeprefix("RRULE:").strip()
    if "DTSTART" in body or "\n" in body or re.search(r"(EXDATE|RDATE|EXRULE)", body):
        raise refuse("Only the one RRULE line is read.", "DTSTART is the trigger's start_time; there are no EXDATEs.")
    parts: dict[str, str] = {}
    for part in body.removesuffix(";").split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise refuse(f"{shown(part)} is not NAME=VALUE.")
        if name == "BYSECOND" and value == "0":
            continue
        if name == "BYSECOND":
            raise refuse("BYSECOND is not supported: schedules have whole minutes.", "Leave it out.")
        if name not in PARTS:
            raise refuse(f"{shown(name)} is not known.", f"Known are {', '.join(PARTS)}.")
        if name in parts:
            raise refuse(f"{name} is there twice.", "Write its values in one list: BYHOUR=6,18.")
        parts[name] = value
    if "COUNT" in parts and "UNTIL" in parts:
        raise refuse("COUNT and UNTIL exclude each other.", "Keep one.")
    return parts


def read_frequency(parts: Mapping[str, str]) -> Frequency:
    known = ", ".join(each.name for each in Frequency)
    if "FREQ" not in parts:
        raise refuse("FREQ is missing.")
    if parts["FREQ"] == "SECONDLY":
        raise refuse("FREQ=SECONDLY is not supported: schedules have whole minutes.", f"Use {known}.")
    if parts["FREQ"] not in Frequency.__members__:
        raise refuse(f"FREQ: {shown(parts['FREQ'])} is not known.", f"Use {known}.")
    return Frequency[parts["FREQ"]]


def read_days(parts: Mapping[str, str], frequency: Frequency, start: datetime) -> DayFilter:
    """Return the days; where the rule names none, they are those like its start (RFC 5545)."""
    plain, nth = read_weekdays(parts, frequency)
    if "BYWEEKNO" in parts and frequency is not Frequency.YEARLY:
        raise refuse("BYWEEKNO needs FREQ=YEARLY.")
    if parts.get("WKST", "MO") not in WEEKDAYS:
        raise refuse(f"WKST: {shown(parts['WKST'])} is not a weekday.", f"Use {', '.join(WEEKDAYS)}.")
    days = DayFilter(
        months=numbers(parts, "BYMONTH"),
        month_days=numbers(parts, "BYMONTHDAY"),
        year_days=numbers(parts, "BYYEARDAY"),
        weeks=numbers(parts, "BYWEEKNO"),
        weekdays=plain,
        nth_weekdays=nth,
        counts_within_year=frequency is Frequency.YEARLY,
        week_start=WEEKDAYS[parts.get("WKST", "MO")],
    )
    if days.month_days or days.year_days or days.weeks or plain or nth:
        return days
    match frequency:
        case Frequency.YEARLY:
            return replace(days, months=days.months or (start.month,), month_days=(start.day,))
        case Frequency.MONTHLY:
            return replace(days, month_days=(start.day,))
        case Frequency.WEEKLY:
            return replace(days, weekdays=(start.weekday(),))
    return days


def read_weekdays(
    parts: Mapping[str, str], frequency: Frequency
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Return the plain weekdays, and those with a number: 2MO, -1FR."""
    plain, nth = set(), set()
    within_year = frequency is Frequency.YEARLY and "BYMONTH" not in parts
    for item in parts["BYDAY"].split(",") if "BYDAY" in parts else []:
        match = re.fullmatch(r"([+-]?\d{1,2})?([A-Z]{2})", item.strip(), re.ASCII)
        if not match or match[2] not in WEEKDAYS:
            raise refuse(f"BYDAY: {shown(item)} is not a weekday.", "Use MO, TU, WE, TH, FR, SA, SU; -1FR is the last.")
        if match[1] is None:
            plain.add(WEEKDAYS[match[2]])
            continue
        if frequency > Frequency.MONTHLY:
            raise refuse(f"BYDAY: {shown(item)} needs FREQ=MONTHLY or YEARLY.", f"Use {match[2]}.")
        if "BYWEEKNO" in parts:
            raise refuse(f"BYDAY: {shown(item)} has a number beside BYWEEKNO.", f"Use {match[2]}: a week has only one.")
        if not 1 <= abs(int(match[1])) <= (53 if within_year else 5):
            raise refuse(f"BYDAY: the number of {shown(item)} is outside 1–{53 if within_year else 5}.")
        nth.add((WEEKDAYS[match[2]], int(match[1])))
    return tuple(sorted(plain)), tuple(sorted(nth))


def read_until(text: str, zone: ZoneInfo) -> datetime:
    """Return the last local moment; a date alone means all of that day, a Z that it is UTC."""
    match = re.fullmatch(r"(\d{8})(?:T(\d{6})(Z)?)?", text, re.ASCII)
    try:
        if match is None:
            raise ValueError
        found = datetime.fromisoformat(match[1])
        clock = time.fromisoformat(match[2]) if match[2] else time(23, 59)
        local = datetime.combine(found, clock)
        return local.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0) if match[3] else local
    except (ValueError, OverflowError):
        hint = "Write UNTIL=20261231, UNTIL=20261231T180000 or, in UTC, UNTIL=20261231T170000Z."
        raise refuse(f"UNTIL: {shown(text)} is not a date.", hint) from None


def numbers(parts: Mapping[str, str], name: str) -> tuple[int, ...]:
    """Return the checked values of a list, sorted and each once; none if the part is not there."""
    largest, may_be_negative = NUMBERS[name]
    found = set()
    for item in parts[name].split(",") if name in parts else []:
        text = item.strip()
        if not re.fullmatch(r"[+-]?\d{1,4}", text, re.ASCII):
            raise refuse(f"{name}: {shown(text)} is not a number.")
        value, smallest = int(text), 0 if name in ("BYHOUR", "BYMINUTE") else 1
        if not smallest <= (abs(value) if may_be_negative else value) <= largest:
            ends = f"{smallest}–{largest}" + (f" and -{largest}–-1" if may_be_negative else "")
            raise refuse(f"{name}: {value} is outside {ends}.")
        found.add(value)
    return tuple(sorted(found))


def whole(parts: Mapping[str, str], name: str) -> int:
    """Return INTERVAL or COUNT, 0 if it is not there."""
    text = parts.get(name)
    if text is None:
        return 0
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= LARGEST_STEP:
        raise refuse(f"{name}: {shown(text)} is not a whole number from 1 to {LARGEST_STEP}.")
    return int(text)


def refuse(problem: str, hint: str = HINT) -> InvalidSchedule:
    return InvalidSchedule(f"RRULE: {problem}", hint=hint, code="invalid_rrule")
