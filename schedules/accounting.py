"""What of a schedule is due and undecided, as rows of the ledger with what is decided about each: nothing is stored.

Whether a row that says "started" may really start now is for `starting` to find out.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipelines.refusal import Refusal
from runs.models import Origin
from schedules.calendars import Shelf
from schedules.models import PIPELINE_GONE, Decision, Occurrence, PipelineSchedule
from schedules.policies import Settings
from schedules.reckoning import Reckoning, expiry, reckon
from schedules.timetable import Instant
from schedules.timing import Timing


@dataclass
class Case:
    """A due schedule on its way through a batch."""

    schedule: PipelineSchedule
    settings: Settings = field(default_factory=Settings)
    entries: list[Occurrence] = field(default_factory=list)
    starts_when_idle: bool = False


def account(
    schedule: PipelineSchedule, settings: Settings, moment: datetime, lead: timedelta, shelf: Shelf | None = None
) -> Case:
    """Rule on every moment of the schedule that is due by now, and move on its plan. Raises `Refusal`."""
    if not schedule.pipeline.is_present:
        raise Refusal(PIPELINE_GONE)
    timing = schedule.timing(lead, shelf)
    found = reckon(timing, settings, schedule.decided_until or moment, moment)
    schedule.problem = ""
    schedule.decided_until, schedule.next_due_at = found.decided_until, found.next_due
    schedule.is_active = schedule.is_active and not found.is_spent
    return Case(schedule, settings, entries(schedule, settings, timing, found, moment), found.starts_when_idle)


def entries(
    schedule: PipelineSchedule, settings: Settings, timing: Timing, found: Reckoning, moment: datetime
) -> list[Occurrence]:
    """Return a row for each moment."""
    following: list[datetime | None] = [entry.instant.utc for entry in found.entries[1:]]
    following += [end_after(timing, found.entries[-1].instant)] if found.entries else []
    return [
        Occurrence(
            pipeline=schedule.pipeline,
            schedule=schedule,
            origin=Origin.SCHEDULE,
            scheduled_for=entry.instant.utc,
            local_time=entry.instant.local.isoformat(),
            interval_end=end,
            decision=Decision(entry.ruling.verdict),
            reason=" ".join(filter(None, [entry.ruling.reason, entry.instant.note]))[:500],
            priority=settings.priority,
            expires_at=expiry(entry.due.due_at, settings),
            decided_at=moment,
        )
        for entry, end in zip(found.entries, following, strict=True)
    ]


def end_after(timing: Timing, instant: Instant) -> datetime | None:
    following = None if timing.timetable.rule is None else timing.timetable.next_after(instant.utc)
    return following.utc if following else None
