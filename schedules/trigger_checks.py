"""What must be right about a trigger, wherever it is written down."""

import re

from pipelines.graph import nearest
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from schedules import chains, timetable
from schedules.days.calendars import Shelf
from schedules.models import Backfill, PipelineSchedule, ScheduleType
from schedules.policies import Settings

NAME = re.compile(r"[\w -]{1,100}")


def check(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` for the first thing that is wrong with a trigger as it stands, but for its name."""
    check_rules(schedule)
    check_followed(schedule)
    if schedule.schedule_type != ScheduleType.TIME and schedule.schedule_interval:
        raise Refusal(
            f"A trigger of type {schedule.schedule_type} has no interval.",
            field="schedule_interval",
            hint="Leave it out, or make it a time trigger.",
            code="contradiction",
        )


def check_rules(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` for what cannot be kept to; an interval that means nothing is let pass, as Mage writes them."""
    settings = Settings.from_json(schedule.settings)
    after = settings.after
    if after and schedule.schedule_type != ScheduleType.EVENT:
        raise Refusal(
            f"A trigger of type {schedule.schedule_type} follows no other pipelines.",
            field="settings.after",
            hint="Make it an event trigger, or leave after out.",
            code="contradiction",
        )
    if after:
        chains.check_no_loop(schedule, after)
    if schedule.schedule_type == ScheduleType.TIME:
        schedule.timetable()
        return
    timetable.read_zone(schedule.timezone)
    Shelf().day_rule(settings)


def check_followed(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` for a chain after what is no pipeline; one that has gone may stay where it was."""
    after = Settings.from_json(schedule.settings).after
    if not after:
        return
    known = set(Pipeline.objects.present().filter(uuid__in=after.pipelines).values_list("uuid", flat=True))
    if schedule.pk:
        known |= set(schedule.links.values_list("pipeline_uuid", flat=True))
    if wrong := next((uuid for uuid in after.pipelines if uuid not in known), None):
        present = Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:2000]
        hint = nearest(wrong, present) or "Its folder must be in the project."
        message = f"There is no pipeline named {wrong[:80]}."
        raise Refusal(message, field="settings.after.pipelines", hint=hint, code="unknown_pipeline")


def check_name(name: str) -> None:
    if not NAME.fullmatch(name) or not name.strip():
        raise Refusal(
            "Name: 1–100 letters, digits, _ - and space.",
            field="name",
            hint="For example “daily”.",
            code="invalid_name",
        )


def check_may_go(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` for a trigger whose occurrences are slots of a backfill that is not over."""
    if unfinished := Backfill.objects.open().filter(schedule=schedule).first():
        hint = "Cancel it, or wait until it is over."
        raise Refusal(f"The backfill {unfinished.name!r} of this trigger is not over.", hint=hint, code="conflict")
