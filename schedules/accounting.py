"""What of a schedule is due and undecided, as rows of the ledger with what is decided about each: nothing is stored.

Whether a row that says "started" may really start now is for `starting` to find out.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipelines.refusal import Refusal
from runs.models import Origin
from schedules.days.calendars import Shelf
from schedules.models import PIPELINE_GONE, Decision, Occurrence, PipelineSchedule
from schedules.policies import Settings
from schedules.reckoning import Reckoning, expiry, reckon
from schedules.rules.clock_changes import Repeated
from schedules.simulating.remembering import Almanac
from schedules.timetable import Instant
from schedules.timing import Timing


@dataclass
class Case:
    """A due schedule on its way through a batch."""

    schedule: PipelineSchedule
    settings: Settings = field(default_factory=Settings)
    entries: list[Occurrence] = field(default_factory=list)
    starts_when_idle: bool = False
    names_times_once: bool = False  # a local time that it names is one moment, however often clocks show it


def account(
    schedule: PipelineSchedule,
    settings: Settings,
    moment: datetime,
    lead: timedelta,
    shelf: Shelf | None = None,
    *,
    is_edited: bool = False,
    almanac: Almanac | None = None,
) -> Case:
    """Rule on every moment of the schedule that is due by now, and move on its plan. Raises `Refusal`.

    A `shelf` and an `almanac` are shared by a batch.
    """
    if not schedule.pipeline.is_present:
        raise Refusal(PIPELINE_GONE)
    timing = schedule.timing(lead, shelf)
    begun, planned = schedule.decided_until or moment, schedule.next_due_at
    timing = almanac.remember(timing, begun) if almanac else timing
    found = reckon(timing, settings, begun, moment, planned=planned, is_edited=is_edited)
    schedule.problem = ""
    schedule.decided_until, schedule.next_due_at = found.decided_until, found.next_due
    schedule.is_active = schedule.is_active and not found.is_spent
    rows = entries(schedule, settings, timing, found, moment)
    once = not timing.timetable.is_elastic and timing.timetable.dst.repeated is not Repeated.BOTH
    return Case(schedule, settings, rows, found.starts_when_idle, names_times_once=once)


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
            start_after=entry.due.due_at if entry.due.due_at > moment else None,
            expires_at=expiry(entry.due.due_at, settings),
            decided_at=moment,
        )
        for entry, end in zip(found.entries, following, strict=True)
    ]


def end_after(timing: Timing, instant: Instant) -> datetime | None:
    following = None if timing.timetable.rule is None else timing.timetable.next_after(instant.utc)
    return following.utc if following else None
