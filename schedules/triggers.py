"""Writing down triggers: made, changed, deleted by people and programs, checked by one set of rules."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from pipelines import catalog
from pipelines.refusal import Refusal
from schedules import firing, scheduler, timetable
from schedules.models import PipelineSchedule, ScheduleType, Source
from schedules.policies import Settings

NAME = re.compile(r"[\w -]{1,100}")
# A change of these moves the next moment.
TIMING = frozenset({"schedule_type", "schedule_interval", "timezone", "start_time", "end_time", "settings"})


class DuplicateName(Refusal):
    """The pipeline has a trigger of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"A trigger named {name} exists already.", field="name", hint="Choose another name.", code="duplicate_name"
        )


def create(
    pipeline_uuid: str, fields: Mapping[str, Any], *, is_active: bool, source: Source, moment: datetime
) -> tuple[PipelineSchedule, str]:
    """Write down a trigger; return it and, for an API trigger, its token in clear: the only time that it is known.

    `fields` are those of the model. Raises `Refusal` for whatever does not make sense; then nothing is kept.
    """
    schedule = PipelineSchedule(pipeline=catalog.find(pipeline_uuid), source=source, **fields)
    check(schedule)
    with transaction.atomic():
        save(schedule)
        token = schedule.rotate_token() if schedule.schedule_type == ScheduleType.API else ""
        if is_active:
            schedule.resume(moment)
    return schedule, token


def change(schedule: PipelineSchedule, fields: Mapping[str, Any], *, is_active: bool | None, moment: datetime) -> None:
    """Give a trigger other values, and pause or resume it if `is_active` says so."""
    changed = [name for name, value in fields.items() if getattr(schedule, name) != value]
    if changed:
        check_not_in_code(schedule)
    for name in changed:
        setattr(schedule, name, fields[name])
    check(schedule)
    # A save starts nothing, also one that switches on: what passed until now is accounted for and not made up.
    is_replanned = bool(TIMING & set(changed)) or (is_active is True and not schedule.is_active)
    with transaction.atomic():
        if is_replanned:
            firing.settle(schedule.pk, moment)
            schedule.decided_until = moment
        if changed:
            save(schedule, update_fields=[*changed, "decided_until", "updated_at"])
        if is_active is not None and is_active != schedule.is_active:
            schedule.resume(moment) if is_active else schedule.pause(moment)
        elif is_replanned:
            scheduler.plan_next(schedule, moment)


def delete(schedule: PipelineSchedule) -> None:
    """Remove a trigger and its occurrences; its runs stay."""
    check_not_in_code(schedule)
    schedule.delete()


def check(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` for the first thing that is wrong with a trigger as it stands."""
    if not NAME.fullmatch(schedule.name) or not schedule.name.strip():
        raise Refusal(
            "Name: 1–100 letters, digits, _ - and space.",
            field="name",
            hint="For example “daily”.",
            code="invalid_name",
        )
    Settings.from_json(schedule.settings)
    if schedule.schedule_type == ScheduleType.TIME:
        schedule.timetable()
        return
    timetable.read_zone(schedule.timezone)
    if schedule.schedule_interval:
        raise Refusal(
            f"A trigger of type {schedule.schedule_type} has no interval.",
            field="schedule_interval",
            hint="Leave it out, or make it a time trigger.",
            code="contradiction",
        )


def check_not_in_code(schedule: PipelineSchedule) -> None:
    if schedule.source == Source.CODE:
        raise Refusal(
            f"The trigger {schedule.name!r} is written in pipelines/{schedule.pipeline.uuid}/triggers.yaml.",
            hint="Change it there; here it can be paused and resumed.",
            code="conflict",
        )


def save(schedule: PipelineSchedule, update_fields: list[str] | None = None) -> None:
    """Save; the one constraint a trigger can break is its name's."""
    try:
        with transaction.atomic():
            schedule.save(update_fields=update_fields)
    except IntegrityError:
        raise DuplicateName(schedule.name) from None
