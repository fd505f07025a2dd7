"""When pipelines should run, the ledger of every moment one was due, and what shapes both."""

from schedules.days.calendars import Calendar
from schedules.days.maintenance import MaintenanceWindow
from schedules.models.backfill import BACKFILL_STATES, Backfill, BackfillQuerySet, IntervalType, Which
from schedules.models.occurrence import Decision, Occurrence, OccurrenceQuerySet
from schedules.models.schedule import (
    PIPELINE_GONE,
    PLANNED,
    ChainLink,
    PipelineSchedule,
    PipelineScheduleQuerySet,
    ScheduleType,
    Source,
    hash_of,
)

__all__ = [
    "BACKFILL_STATES",
    "PIPELINE_GONE",
    "PLANNED",
    "Backfill",
    "BackfillQuerySet",
    "Calendar",
    "ChainLink",
    "Decision",
    "IntervalType",
    "MaintenanceWindow",
    "Occurrence",
    "OccurrenceQuerySet",
    "PipelineSchedule",
    "PipelineScheduleQuerySet",
    "ScheduleType",
    "Source",
    "Which",
    "hash_of",
]
