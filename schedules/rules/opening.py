"""When an always-on schedule may run: within its hours, on days that are no hits. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.rules.active_hours import Hours
from schedules.rules.clock_changes import first_change
from schedules.rules.day_rules import DAY, DayRule
from schedules.rules.moved_days import midnight

SEARCHED_DAYS = 1100  # for a day that is no hit


def is_open(moment: datetime, zone: ZoneInfo, hours: Hours | None, days: DayRule | None) -> bool:
    local = moment.astimezone(zone)
    return (hours is None or hours.contain(local.time())) and not (days and days.is_hit(local.date()))


def opens_at(moment: datetime, zone: ZoneInfo, hours: Hours | None, days: DayRule | None) -> datetime | None:
    """Return the first moment at or after `moment` that is open, or None when there is none within three years."""
    if is_open(moment, zone, hours, days):
        return moment
    today = moment.astimezone(zone).date()
    for number in range(-1, SEARCHED_DAYS):
        day = today + number * DAY
        later = (each for each in turns_of(day, zone, hours) if each > moment and is_open(each, zone, hours, days))
        if found := min(later, default=None):
            return found
    return None


def turns_of(day: date, zone: ZoneInfo, hours: Hours | None) -> Iterator[datetime]:
    """Yield, in no order, when a schedule may turn from closed to open on a day, in UTC."""
    begins = [midnight(day), *([datetime.combine(day, hours.begin)] if hours else [])]
    for begin in begins:
        for fold in (0, 1):
            yield begin.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    low = midnight(day).replace(tzinfo=zone).astimezone(UTC)
    if change := first_change(zone, low, low + timedelta(hours=26)):
        yield change
