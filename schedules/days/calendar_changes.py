"""Calendars are made, changed, deleted: checked by one set of rules, and the triggers that use them planned anew."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from pipelines.refusal import Refusal
from schedules import firing, scheduler
from schedules.days.calendars import Calendar, CalendarKind
from schedules.days.day_sets import InvalidCalendar
from schedules.days.ics_days import read_ics
from schedules.models import PipelineSchedule, ScheduleType
from schedules.rules.day_expressions import BUILTIN, WORDS, InvalidDays, did_you_mean, read_expression

NAME = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
LONGEST_DESCRIPTION = 10_000
FIELDS_OF_KIND: Mapping[str, tuple[str, ...]] = {
    CalendarKind.HOLIDAYS: ("country", "subdivision"),
    CalendarKind.WEEKDAYS: ("weekdays",),
    CalendarKind.DATES: ("dates",),
    CalendarKind.ICS: ("ics",),
}
EMPTY: Mapping[str, Any] = {"country": "", "subdivision": "", "weekdays": [], "dates": [], "ics": ""}


class CalendarInUse(Refusal):
    """Triggers name the calendar: it can be neither deleted nor renamed."""

    def __init__(self, calendar: str, users: list[PipelineSchedule], what: str) -> None:
        named = ", ".join(f"{user.name} of {user.pipeline.uuid}" for user in users[:5])
        more = f" and {len(users) - 5} more" if len(users) > 5 else ""
        super().__init__(
            f"The calendar {calendar} is used by {named}{more}, and cannot be {what}.",
            field="name" if what == "renamed" else "",
            hint="Take it out of their setting calendar first.",
            code="conflict",
        )


def create(fields: Mapping[str, Any], moment: datetime) -> Calendar:
    """Write down a calendar; raise `Refusal` for whatever does not make sense, and keep nothing then."""
    calendar = Calendar(**fields)
    check(calendar)
    save(calendar, moment)
    return calendar


def change(calendar: Calendar, fields: Mapping[str, Any], moment: datetime) -> None:
    """Give a calendar other values; what belongs to its former kind is emptied."""
    before = calendar.name
    give(calendar, fields)
    check(calendar)
    if calendar.name != before and (found := users_of(before)):
        raise CalendarInUse(before, found, "renamed")
    save(calendar, moment)


def give(calendar: Calendar, fields: Mapping[str, Any]) -> None:
    """Set, without saving, what is given."""
    if fields.get("kind", calendar.kind) != calendar.kind:
        fields = {**EMPTY, **fields}
    for name, value in fields.items():
        setattr(calendar, name, value)


def delete(calendar: Calendar) -> None:
    """Remove a calendar that no trigger uses."""
    if found := users_of(calendar.name):
        raise CalendarInUse(calendar.name, found, "deleted")
    calendar.delete()


def check(calendar: Calendar) -> None:
    for mistake in mistakes(calendar):
        raise mistake


def mistakes(calendar: Calendar) -> list[Refusal]:
    """Return what is wrong with a calendar as it stands, one entry for each field; reads its iCalendar file anew."""
    found: list[Refusal] = []
    name = calendar.name
    if not NAME.fullmatch(name):
        hint = "For example de_holidays."
        found.append(InvalidCalendar("name", "Name: 1–64 of the letters a–z, digits, _ and -.", hint))
    elif name in BUILTIN or name in WORDS:
        found.append(InvalidCalendar("name", f"{name} has a meaning of its own.", "Choose another name."))
    elif Calendar.objects.filter(name=name).exclude(pk=calendar.pk).exists():
        found.append(duplicate(name))
    if len(calendar.description) > LONGEST_DESCRIPTION or "\x00" in calendar.description:
        found.append(
            InvalidCalendar(
                "description", f"Description: at most {LONGEST_DESCRIPTION:,} characters, none of them NUL."
            )
        )
    if calendar.kind not in FIELDS_OF_KIND:
        kinds = ", ".join(FIELDS_OF_KIND)
        hint = did_you_mean(str(calendar.kind), FIELDS_OF_KIND) or f"Use {kinds}."
        return [*found, InvalidCalendar("kind", f"{str(calendar.kind)[:80]!r} is no kind of calendar.", hint)]
    for field, empty in EMPTY.items():
        if getattr(calendar, field) != empty and field not in FIELDS_OF_KIND[calendar.kind]:
            found.append(InvalidCalendar(field, f"A calendar of kind {calendar.kind} has no {field}.", "Leave it out."))
    try:
        calendar.events = read_ics(calendar.ics) if calendar.kind == CalendarKind.ICS else []
        calendar.days()
    except InvalidCalendar as mistake:
        found.append(mistake)
    return found


def duplicate(name: str) -> Refusal:
    return Refusal(
        f"A calendar named {name} exists already.", field="name", hint="Choose another name.", code="duplicate_name"
    )


def save(calendar: Calendar, moment: datetime) -> None:
    """Save, and plan the triggers that use it anew: what was due by its old days is accounted for first."""
    with transaction.atomic():
        timed = [user.pk for user in users_of(calendar.name) if user.schedule_type == ScheduleType.TIME]
        for schedule_id in timed:
            firing.settle(schedule_id, moment)
        try:
            with transaction.atomic():
                calendar.save()
        except IntegrityError:  # made by another request at the same time
            raise duplicate(calendar.name) from None
        for schedule in PipelineSchedule.objects.filter(pk__in=timed, is_active=True):
            scheduler.plan_next(schedule, moment)


def users_of(name: str) -> list[PipelineSchedule]:
    """Return the triggers whose setting `calendar` names this one."""
    return users().get(name, [])


def users() -> dict[str, list[PipelineSchedule]]:
    """Return the triggers that use each calendar, by its name; one query."""
    found: dict[str, list[PipelineSchedule]] = {}
    for schedule in PipelineSchedule.objects.filter(settings__has_key="calendar").for_list():
        for name in names_in(schedule.settings.get("calendar")):
            found.setdefault(name, []).append(schedule)
    return found


def names_in(text: object) -> set[str]:
    try:
        return set(read_expression(text).names()) if isinstance(text, str) else set()
    except InvalidDays:  # nothing that could be followed
        return set()
