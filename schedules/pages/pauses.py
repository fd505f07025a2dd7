"""How long a pause lasts, as people say it: checked, and read from the buttons of the pages."""

from datetime import datetime, time, timedelta

from django import forms

from pipelines.refusal import Refusal
from schedules.forms import instant_of
from schedules.models import PipelineSchedule
from schedules.pages.form_fields import wall_clock
from schedules.timetable import read_zone

LONGEST = timedelta(days=366)
MORNING = time(8)


def check_until(until: datetime | None, moment: datetime) -> datetime | None:
    """Return when a pause ends, None for never; raise `Refusal` for a time that makes no sense."""
    if until is None:
        return None
    example = f"For example {moment + timedelta(hours=1):%Y-%m-%dT%H:%MZ}."
    if until <= moment:
        raise Refusal("A pause ends in the future.", field="until", hint=example, code="invalid_until")
    if until > moment + LONGEST:
        raise Refusal(
            f"A pause that ends by itself lasts at most {LONGEST.days} days.",
            field="until",
            hint="Leave its end out to pause for longer.",
            code="invalid_until",
        )
    return until


def read_until(how: str, typed: str, schedule: PipelineSchedule, moment: datetime) -> datetime | None:
    """Return when the pause of a button ends.

    `how`: "" (when someone resumes it), "hour", "morning" (of the next day), or "time": `typed`, a local time of the
    schedule's zone. Raises `Refusal`.
    """
    match how:
        case "":
            return None
        case "hour":
            return moment + timedelta(hours=1)
        case "morning":
            return next_morning(schedule, moment)
        case "time":
            return check_until(typed_time(typed, schedule), moment)
    raise Refusal("Choose how long it is paused.", field="how", hint="For an hour, until the morning or until a time.")


def next_morning(schedule: PipelineSchedule, moment: datetime) -> datetime:
    zone = read_zone(schedule.timezone)
    tomorrow = moment.astimezone(zone).date() + timedelta(days=1)
    return instant_of(datetime.combine(tomorrow, MORNING), zone)


def typed_time(typed: str, schedule: PipelineSchedule) -> datetime:
    try:
        wall = wall_clock("Until").clean(typed)
    except forms.ValidationError:
        wall = None
    if wall is None:
        raise Refusal("Until when?", field="until", hint="Use a date and a time, for example 2025-03-02 06:00.")
    return instant_of(wall, read_zone(schedule.timezone))
