"""What of a schedule is due and undecided, as rows of the ledger with what is decided about each: nothing is stored.

Whether a row that says "started" may really start now is for `starting` to find out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipelines.refusal import Refusal
from runs.models import Origin
from schedules.calendars import Shelf
from schedules.decisions import Due, rule
from schedules.models import PIPELINE_GONE, Decision, Occurrence, PipelineSchedule
from schedules.policies import Settings
from schedules.timetable import Instant, Kind
from schedules.timing import Timing

TICK = timedelta(microseconds=1)
LISTED_AT_MOST = 101  # overdue moments of one schedule: a hundred, and one that stands for the rest


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
    schedule.problem = ""
    begun = schedule.decided_until or moment
    if timing.timetable.kind is Kind.ALWAYS_ON:
        schedule.decided_until = moment + TICK  # past the first look, which is at once
        schedule.next_due_at = timing.next_due(schedule.decided_until)
        is_open = timing.timetable.is_open(moment) and not timing.timetable.is_over(moment)
        instants = [timing.timetable.at(moment)] if is_open else []
        return Case(schedule, settings, entries(schedule, settings, timing, instants, moment), starts_when_idle=True)
    limit = max(LISTED_AT_MOST, settings.catchup_max + 1)
    instants = timing.due(begun, moment, limit)
    unlisted_since = first_of(timing, begun) if len(instants) == limit else None
    found = entries(schedule, settings, timing, instants, moment, unlisted_since)
    schedule.decided_until = timing.decided_by(begun, moment)
    schedule.next_due_at = timing.next_due(schedule.decided_until)
    if timing.timetable.kind is Kind.ONCE and found:
        schedule.next_due_at, schedule.is_active = None, False
    return Case(schedule, settings, found)


def first_of(timing: Timing, begun: datetime) -> datetime | None:
    first = timing.next_after(begun)
    return first.utc if first else None


def entries(
    schedule: PipelineSchedule,
    settings: Settings,
    timing: Timing,
    instants: Sequence[Instant],
    moment: datetime,
    unlisted_since: datetime | None = None,
) -> list[Occurrence]:
    """Return a row for each instant."""
    due = [Due(instant.utc, instant.utc + timing.shift, instant.hit) for instant in instants]
    rulings = rule(due, settings, moment, paused_until=schedule.last_enabled_at, unlisted_since=unlisted_since)
    ends: list[datetime | None] = [instant.utc for instant in instants[1:]]
    ends += [end_after(timing, instants[-1])] if instants else []
    return [
        Occurrence(
            pipeline=schedule.pipeline,
            schedule=schedule,
            origin=Origin.SCHEDULE,
            scheduled_for=instant.utc,
            local_time=instant.local.isoformat(),
            interval_end=end,
            decision=Decision(ruling.verdict),
            reason=" ".join(filter(None, [ruling.reason, instant.note]))[:500],
            priority=settings.priority,
            expires_at=each.due_at + settings.start_deadline if settings.start_deadline else None,
            decided_at=moment,
        )
        for instant, each, ruling, end in zip(instants, due, rulings, ends, strict=True)
    ]


def end_after(timing: Timing, instant: Instant) -> datetime | None:
    following = None if timing.timetable.rule is None else timing.timetable.next_after(instant.utc)
    return following.utc if following else None
