"""Runs that blocks start by the settings of a trigger: `trigger_pipeline(…, schedule_name=…)`."""

from datetime import datetime
from typing import Any

from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun
from schedules import scheduler, triggers
from schedules.mage_trigger import check_active
from schedules.models import PipelineSchedule, ScheduleType, Source


def start(pipeline_uuid: str, name: str, *, moment: datetime, origin: Origin, **fields: Any) -> PipelineRun:
    """Start a run with the settings of the API trigger of that name, which is made if the pipeline has none.

    `fields` are those of `lifecycle.create_run`. Refuses an inactive trigger, and one of another type.
    """
    schedule = find(pipeline_uuid, name) or make(pipeline_uuid, name, moment)
    if schedule.schedule_type != ScheduleType.API:
        raise Refusal(
            f"The trigger {name!r} of {pipeline_uuid} is of type {schedule.schedule_type}, not api.",
            field="schedule_name",
            hint="Name an API trigger, or leave schedule_name out.",
            code="conflict",
        )
    check_active(schedule)
    return scheduler.start_now(schedule, moment=moment, origin=origin, **fields)


def find(pipeline_uuid: str, name: str) -> PipelineSchedule | None:
    return PipelineSchedule.objects.ready_to_start().filter(pipeline__uuid=pipeline_uuid, name=name).first()


def make(pipeline_uuid: str, name: str, moment: datetime) -> PipelineSchedule:
    """Write the trigger down, active; if another block has just done so, take that one."""
    fields = {"name": name, "schedule_type": ScheduleType.API, "description": "Made by a block that asked for it."}
    try:
        triggers.create(pipeline_uuid, fields, is_active=True, source=Source.API, moment=moment)
    except triggers.DuplicateName:
        pass
    except Refusal as refusal:  # it speaks of a form's fields, which whoever calls a function has not seen
        message = f"No trigger {name[:80]!r} can be made for {pipeline_uuid}: {refusal.message}"
        raise Refusal(message, field="schedule_name", hint=refusal.hint, code=refusal.code) from None
    schedule = find(pipeline_uuid, name)
    if schedule is None:
        raise Refusal(f"The trigger {name!r} of {pipeline_uuid} is gone.", field="schedule_name", code="conflict")
    return schedule
