"""On which days to come triggers are due: asked day by day, however many moments a day has."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipelines.refusal import Refusal
from schedules.days.calendars import Shelf
from schedules.models import PipelineSchedule
from schedules.timetable import Timetable

JUST_BEFORE = timedelta(microseconds=1)


def planned_days(schedules: Iterable[PipelineSchedule], moment: datetime, until: datetime, zone: ZoneInfo) -> set[date]:
    """Return the days of the zone after `moment`, up to `until`, on which any of these time triggers is due."""
    found: set[date] = set()
    shelf = Shelf()
    for schedule in schedules:
        try:
            found |= days_of(schedule.timetable(shelf), moment, until, zone)
        except Refusal:  # it cannot fire as it is written, which its page says
            continue
    return found


def days_of(timetable: Timetable, moment: datetime, until: datetime, zone: ZoneInfo) -> set[date]:
    found: set[date] = set()
    at = moment
    while (instant := timetable.next_after(at)) is not None and instant.utc <= until:
        day = instant.utc.astimezone(zone).date()
        found.add(day)
        at = max(instant.utc, datetime.combine(day + timedelta(days=1), time(), zone) - JUST_BEFORE)
    return found
