"""What is due now, a batch at a time: decided, written into the ledger, started. One transaction per batch.

The occurrence's unique constraint makes a double firing impossible: a run is created only for an occurrence that this
very transaction has written. Row locks (Postgres) or the write lock (SQLite) only keep schedulers out of each other's
way.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import OperationalError, transaction

from pipelines.refusal import Refusal
from runs import lifecycle
from runs.models import Origin, PipelineRun
from runs.planning import RunSettings
from schedules.decisions import decide
from schedules.models import PIPELINE_GONE, Decision, Occurrence, PipelineSchedule
from schedules.policies import Settings
from schedules.timetable import Instant, Kind

logger = logging.getLogger(__name__)
BATCH = 200
LISTED_AT_MOST = 101  # overdue moments of one schedule: the latest and a hundred missed ones
LOOK_AGAIN = timedelta(seconds=10)  # at an @always_on schedule; also the least time between two of its runs
TICK = timedelta(microseconds=1)


@dataclass
class Case:
    """A due schedule on its way through a batch."""

    schedule: PipelineSchedule
    settings: Settings = field(default_factory=Settings)
    moments: Sequence[Instant] = ()  # due and undecided, in order
    following: Instant | None = None  # the first one that is not due yet
    unlisted_since: datetime | None = None
    starts_when_idle: bool = False


@dataclass(frozen=True)
class Batch:
    """What one transaction did. `lag` is how late the latest moments were when they were started."""

    looked_at: int = 0
    fired: int = 0
    lag: timedelta | None = None


def fire_batch(moment: datetime) -> Batch:
    """Decide up to 200 due schedules and start their runs; a bad one is set aside and harms no other."""
    with transaction.atomic():
        schedules = list(
            PipelineSchedule.objects.due(moment).claimed().prefetch_related("pipeline__current_version")[:BATCH]
        )
        before = {schedule.pk: (schedule.problem, schedule.is_active) for schedule in schedules}
        cases = [case for schedule in schedules if (case := look_at(schedule, moment))]
        claims = claim(cases, unfinished_runs(cases), moment)
        started = [occurrence for case, occurrence in claims if start(case, occurrence, moment)]
        refused = [occurrence for _, occurrence in claims if occurrence.decision != Decision.STARTED]
        # Few columns at a time: bulk_update is the dear part of a batch.
        Occurrence.objects.bulk_update(started, ["pipeline_run"])
        Occurrence.objects.bulk_update(refused, ["decision", "reason"])
        PipelineSchedule.objects.bulk_update(schedules, ["next_due_at"])
        told = [schedule for schedule in schedules if before[schedule.pk] != (schedule.problem, schedule.is_active)]
        PipelineSchedule.objects.bulk_update(told, ["problem", "is_active"])
    lag = max((moment - occurrence.scheduled_for for occurrence in started), default=None)
    return Batch(len(schedules), len(started), lag)


def look_at(schedule: PipelineSchedule, moment: datetime) -> Case | None:
    """Find the due moments of a schedule and set when it is due next; set it aside when that cannot be said."""
    try:
        return find_moments(schedule, moment)
    except Refusal as refusal:
        set_aside(schedule, str(refusal))
    except Exception as error:  # one schedule of a batch: the others go on
        logger.exception("schedule %s could not be read", schedule.pk)
        set_aside(schedule, f"This schedule could not be read ({type(error).__name__}).")
    return None


def set_aside(schedule: PipelineSchedule, problem: str) -> None:
    schedule.next_due_at, schedule.problem = None, problem[:500]


def find_moments(schedule: PipelineSchedule, moment: datetime) -> Case:
    if not schedule.pipeline.is_present:
        raise Refusal(PIPELINE_GONE)
    timetable, settings, first = schedule.timetable(), schedule.checked_settings(), schedule.next_due_at
    assert first is not None
    schedule.problem = ""
    if timetable.kind is Kind.ALWAYS_ON:
        schedule.next_due_at = None if timetable.is_over(moment) else moment + LOOK_AGAIN
        moments = [] if timetable.is_over(moment) else [timetable.at(moment)]
        return Case(schedule, settings, moments, starts_when_idle=True)
    if timetable.kind is Kind.ONCE:
        schedule.next_due_at, schedule.is_active = None, False
        return Case(schedule, settings, [timetable.at(first)])
    following = timetable.next_after(moment)
    schedule.next_due_at = following.utc if following else None
    moments = timetable.between(first - TICK, moment, LISTED_AT_MOST)
    if len(moments) < LISTED_AT_MOST:
        return Case(schedule, settings, moments, following)
    return Case(schedule, settings, timetable.latest(first - TICK, moment, LISTED_AT_MOST), following, first)


def unfinished_runs(cases: Sequence[Case]) -> dict[int, list[int]]:
    """Return the unfinished runs, oldest first, of the schedules whose decision depends on them."""
    asking = [
        case.schedule.pk
        for case in cases
        if case.starts_when_idle or case.settings.skip_if_previous_running or case.settings.pipeline_run_limit
    ]
    found: dict[int, list[int]] = {}
    if asking:
        runs = PipelineRun.objects.unfinished().filter(trigger_id__in=asking).order_by("id")
        for schedule_id, run_id in runs.values_list("trigger_id", "id"):
            found.setdefault(schedule_id or 0, []).append(run_id)
    return found


def claim(
    cases: Sequence[Case], unfinished: Mapping[int, list[int]], moment: datetime
) -> list[tuple[Case, Occurrence]]:
    """Write what was decided into the ledger; return the occurrences to start, those that were not there before."""
    entries: list[Occurrence] = []
    for case in cases:
        running = unfinished.get(case.schedule.pk, [])
        if not (case.starts_when_idle and running):
            entries += ledger_entries(case, running, moment)
    to_start = {entry.schedule_id or 0: entry.scheduled_for for entry in entries if entry.decision == Decision.STARTED}
    if not entries:
        return []
    Occurrence.objects.bulk_create(entries, ignore_conflicts=True)
    written = Occurrence.objects.filter(
        schedule__in=to_start,
        scheduled_for__in=set(to_start.values()),
        decision=Decision.STARTED,
        decided_at=moment,
        pipeline_run=None,
    )
    by_schedule = {case.schedule.pk: case for case in cases}
    return [(by_schedule[row.schedule_id or 0], row) for row in written.order_by("scheduled_for", "id")]


def ledger_entries(case: Case, running: Sequence[int], moment: datetime) -> list[Occurrence]:
    rulings = decide(
        [instant.utc for instant in case.moments], case.settings, running, unlisted_since=case.unlisted_since
    )
    return [
        Occurrence(
            pipeline=case.schedule.pipeline,
            schedule=case.schedule,
            scheduled_for=instant.utc,
            local_time=instant.local.isoformat(),
            decision=ruling.decision,
            reason=" ".join(filter(None, [ruling.reason, instant.note]))[:500],
            blocker_run_id=ruling.blocker_run_id,
            decided_at=moment,
        )
        for instant, ruling in zip(case.moments, rulings, strict=True)
    ]


def start(case: Case, occurrence: Occurrence, moment: datetime) -> bool:
    """Create the occurrence's run; where that is refused, the ledger and the schedule say why."""
    try:
        with transaction.atomic():
            occurrence.pipeline_run = lifecycle.create_run(
                case.schedule.pipeline,
                moment=moment,
                origin=Origin.SCHEDULE,
                execution_date=occurrence.scheduled_for,
                interval_end=case.following.utc if case.following else None,
                settings=run_settings(case.schedule, case.settings),
            )
        return True
    except Refusal as refusal:
        problem = str(refusal)
    except OperationalError:
        raise  # the database, not this schedule
    except Exception as error:  # likewise
        logger.exception("the run of schedule %s could not be created", case.schedule.pk)
        problem = f"The run could not be created ({type(error).__name__})."
    occurrence.decision, occurrence.reason = Decision.SKIPPED, problem[:500]
    case.schedule.problem = problem[:500]
    return False


def run_settings(schedule: PipelineSchedule, settings: Settings) -> RunSettings:
    """Return what a run takes over from its schedule."""
    if not isinstance(schedule.variables, dict):
        raise Refusal("Variables must be a JSON object.", field="variables", hint='For example {"day": "2025-03-02"}.')
    return RunSettings(
        trigger_id=schedule.pk,
        trigger_name=schedule.name,
        variables=schedule.variables,
        allow_blocks_to_fail=settings.allow_blocks_to_fail,
        timeout=settings.timeout,
        timeout_status=settings.timeout_status,
        sla=schedule.sla,
        retry_config=settings.retry_config,
    )
