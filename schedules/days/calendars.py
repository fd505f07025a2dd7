"""Calendars: named sets of days that triggers keep clear of. What their days are is told by `day_sets`, `ics_days`."""

from collections.abc import Mapping
from datetime import date
from functools import cached_property

from django.db import models

from schedules.days import day_sets, ics_days
from schedules.policies import Settings
from schedules.rules.day_expressions import Days
from schedules.rules.day_rules import DayRule, read_day_rule


class CalendarKind(models.TextChoices):
    HOLIDAYS = "holidays", "public holidays"
    WEEKDAYS = "weekdays", "days of the week"
    DATES = "dates", "a list of dates"
    ICS = "ics", "an iCalendar file"


class Calendar(models.Model):
    """A set of days with names. Which fields count depends on its kind; the others are empty."""

    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=CalendarKind.choices)
    country = models.CharField(max_length=10, blank=True)  # ISO 3166, "DE"
    subdivision = models.CharField(max_length=40, blank=True)  # "BY"
    weekdays = models.JSONField(default=list, blank=True)  # ["saturday", "sunday"]
    dates = models.JSONField(default=list, blank=True)  # [{"date": "2026-12-24" or "12-24", "name": "Christmas Eve"}]
    ics = models.TextField(blank=True)  # the file as it was given
    events = models.JSONField(default=list, blank=True, editable=False)  # read from it
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name

    def days(self) -> Days:
        """Return what each day of it is called; raises `InvalidCalendar` naming the field that is wrong."""
        match self.kind:
            case CalendarKind.HOLIDAYS:
                return day_sets.read_holidays(self.country, self.subdivision)
            case CalendarKind.WEEKDAYS:
                return day_sets.read_weekdays(self.weekdays)
            case CalendarKind.DATES:
                return day_sets.read_dates(self.dates)
            case CalendarKind.ICS:
                return ics_days.days_of(self.events)
        raise day_sets.InvalidCalendar("kind", f"{self.kind[:80]!r} is no kind of calendar.")

    def describe(self) -> str:
        match self.kind:
            case CalendarKind.HOLIDAYS:
                return f"public holidays of {'-'.join(filter(None, [self.country, self.subdivision]))}"
            case CalendarKind.WEEKDAYS:
                return ", ".join(name.capitalize() for name in self.weekdays)
            case CalendarKind.DATES:
                return f"{len(self.dates)} date{'s' * (len(self.dates) != 1)}"
            case _:
                return f"{len(self.events)} event{'s' * (len(self.events) != 1)} of an iCalendar file"


class Shelf:
    """All calendars, read in one query when the first is asked for. One is made for each batch or request."""

    @cached_property
    def calendars(self) -> Mapping[str, Days]:
        rows = Calendar.objects.defer("ics", "description")
        return {row.name: Lazy(row) for row in rows}

    def day_rule(self, settings: Settings) -> DayRule | None:
        """Return the rule of a trigger's `calendar`, None without one; raises `InvalidDays`."""
        if not settings.calendar:
            return None
        return read_day_rule(settings.calendar, self.calendars, settings.on_calendar_hit)


class Lazy:
    """The days of a calendar, worked out when the first is asked for."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar

    @cached_property
    def days(self) -> Days:
        return self.calendar.days()

    def __call__(self, day: date) -> str | None:
        return self.days(day)
