"""Why is this trigger, or this moment of it, not running? Every condition of a start, as if it came now.

Nothing is stored.
"""

import copy
from collections.abc import Sequence
from datetime import datetime

from django.urls import reverse

from pipelines.refusal import Refusal
from runs import admission
from runs.models import Origin, PipelineRun
from runs.planning import Draft, draft_run
from runs.reasons.explanations import Check, Explanation, Link, at, counted, first_shut, listed, pipeline_link, run_link
from runs.reasons.presence import executor_check, scheduler_check, worker_check
from runs.reasons.why import gate_checks
from runs.reasons.why import why as why_run
from schedules import starting
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.policies import Settings
from schedules.reasons import why_conditions as conditions
from schedules.timetable import Kind

# What is found on the way may be true of a trigger that is well: these say so only if nothing else is in the way.
TIMELY = ("due", "worker")


def why_schedule(schedule: PipelineSchedule, moment: datetime, *, is_fresh: bool = False) -> Explanation:
    """Say what a trigger's next start has to pass, and where it stands. Raises nothing for a broken one.

    `is_fresh`: it was read just now, `ready_to_start`; otherwise it is read again.
    """
    if not is_fresh:
        schedule = PipelineSchedule.objects.ready_to_start().get(pk=schedule.pk)
    runs = PipelineRun.objects.unfinished().filter(trigger_id=schedule.pk, backfill_id=None)
    going_on = list(runs.select_related("pipeline").order_by("id")[: conditions.NAMED + 1])
    checks = tuple(checks_of(schedule, moment))
    if going_on:
        return of_runs(going_on, checks, moment)
    shut = [check for check in checks if check.passed is False]
    telling = next((check for check in shut if check.name not in TIMELY), shut[0] if shut else None)
    if telling is not None:
        return Explanation(summary=telling.detail, checks=checks)
    if schedule.schedule_type != ScheduleType.TIME:
        told = next(check.detail for check in checks if check.name == "due")
        return Explanation(summary=f"Nothing stands in its way. {told}", checks=checks)
    return Explanation(summary="Nothing stands in its way: it starts within seconds.", checks=checks)


def of_runs(runs: Sequence[PipelineRun], checks: tuple[Check, ...], moment: datetime) -> Explanation:
    """Tell of the runs that go on; of a single one, how it comes along."""
    if len(runs) == 1:
        told = why_run(runs[0], moment)
        summary = f"Run {runs[0].pk} is under way. {told.summary}"
        return Explanation(summary=summary, checks=checks, is_running=told.is_running)
    many = f"More than {conditions.NAMED}" if len(runs) > conditions.NAMED else str(len(runs))
    summary = f"{many} runs are under way: {listed([str(run.pk) for run in runs[: conditions.NAMED]])}."
    return Explanation(summary=summary, checks=checks, is_running=True)


def checks_of(schedule: PipelineSchedule, moment: datetime) -> list[Check]:
    """Return the conditions in their order; what cannot be read hides those that depend on it."""
    checks = [conditions.enabled(schedule), conditions.well(schedule), conditions.begun(schedule, moment)]
    try:
        settings = schedule.checked_settings()
    except Refusal as refusal:
        return [*checks, Check(name="settings", passed=False, detail=str(refusal))]
    draft, written = draft_of(schedule, settings, moment)
    checks.append(written)
    gates = gate_checks(admission.gates_of(draft.run, moment, is_new=True), moment) if draft else ()
    held = next((number for number, gate in enumerate(gates) if gate.name == "overlap"), 0)
    checks += gates[:held]
    if schedule.schedule_type == ScheduleType.TIME:
        try:
            timing = schedule.timing()
            checks += [conditions.hours(timing, moment), conditions.calendar(timing, schedule, moment)]
            checks += [conditions.back_off(schedule, moment)] if timing.timetable.kind is Kind.ALWAYS_ON else []
        except Refusal as refusal:
            checks.append(Check(name="interval", passed=False, detail=str(refusal)))
    checks += [
        scheduler_check(moment),
        conditions.due(schedule, settings, moment),
        conditions.catch_up(schedule, settings, moment),
        conditions.queue(schedule),
        *gates[held:],
        conditions.ahead(schedule.pipeline_id, settings.priority),
        executor_check(executors_of(draft)),
        worker_check(moment),
    ]
    return checks


def draft_of(schedule: PipelineSchedule, settings: Settings, moment: datetime) -> tuple[Draft | None, Check]:
    """Return the run that would be made now, or what keeps it from being made."""
    link = (pipeline_link(schedule.pipeline.uuid),)
    if not schedule.pipeline.is_present:
        detail = f"The pipeline {schedule.pipeline.uuid} is no longer in the project."
        return None, Check(name="pipeline", passed=False, detail=detail)
    try:
        draft = draft_run(
            schedule.pipeline,
            starting.run_settings(schedule, settings),
            None,
            moment=moment,
            origin=Origin.SCHEDULE,
            execution_date=schedule.next_due_at or moment,
        )
    except Refusal as refusal:
        return None, Check(name="pipeline", passed=False, detail=str(refusal), blockers=link)
    return draft, Check(name="pipeline", passed=True, detail=f"The pipeline {schedule.pipeline.uuid} is valid.")


def executors_of(draft: Draft | None) -> list[str]:
    return [draft.run.executor, *(row.executor for row in draft.block_runs)] if draft else []


# --- one moment -----------------------------------------------------------------------------------------------------


def why_occurrence(row: Occurrence, moment: datetime) -> Explanation:
    """Say what became of a moment and, while it waits or its run goes on, what stands in its way now."""
    match row.decision:
        case Decision.STARTED:
            return why_started(row, moment)
        case Decision.WAITING:
            return why_waiting(row, moment)
    blockers = tuple(map(run_link, filter(None, [row.blocker_run_id])))
    if row.decision == Decision.HELD:
        blockers += (Link("page", "held", "what is held", reverse("schedules:held")),)
    said = {Decision.HELD: "It is held until someone releases or drops it."}.get(
        Decision(row.decision), f"It was {row.decision} at {at(row.decided_at)}."
    )
    summary = f"{said} {row.reason}".strip()
    return Explanation(
        summary=summary, checks=(Check(name="decision", passed=False, detail=summary, blockers=blockers),)
    )


def why_started(row: Occurrence, moment: datetime) -> Explanation:
    run = row.pipeline_run
    if run is None:
        summary = f"It was started at {at(row.decided_at)}; its run has been removed since."
        return Explanation(summary=summary, checks=(Check(name="decision", passed=True, detail=summary),))
    told = why_run(run, moment)
    detail = f"It was started at {at(row.decided_at)} as run {run.pk}. {row.reason}".strip()
    decision = Check(name="decision", passed=True, detail=detail, blockers=(run_link(run.pk),))
    summary = f"It was started as run {run.pk}. {told.summary}"
    return Explanation(summary=summary, checks=(decision, *told.checks), is_running=told.is_running)


def why_waiting(row: Occurrence, moment: datetime) -> Explanation:
    """Say what a moment that waits would meet if the scheduler looked at it now."""
    checks = [still_wanted(row), in_time(row, moment), not_before(row, moment)]
    row = copy.copy(row)  # it is told, and its schedule, what is wrong with it
    row.schedule = copy.copy(row.schedule)
    draft = starting.draft_of(row, moment)
    if draft is None:
        checks.append(Check(name="pipeline", passed=False, detail=row.reason))
    else:
        checks += gate_checks(admission.gates_of(draft.run, moment, is_new=False), moment)
    checks += [
        conditions.ahead(row.pipeline_id, row.priority, but=row),
        executor_check(executors_of(draft)),
        scheduler_check(moment),
        worker_check(moment),
    ]
    shut = first_shut(check for check in checks if check.name not in TIMELY)
    summary = shut.detail if shut else "Nothing stands in its way: the scheduler starts it within seconds."
    return Explanation(summary=f"It waits. {summary}", checks=tuple(checks))


def still_wanted(row: Occurrence) -> Check:
    """Is what asked for it still switched on?"""
    if row.backfill is not None:
        is_paused, url = row.backfill.paused_at is not None, reverse("backfills:detail", args=[row.backfill.pk])
        detail = f"Its backfill, {row.backfill.pk}, is {'' if is_paused else 'not '}paused."
        link = Link("backfill", row.backfill.pk, f"backfill {row.backfill.pk}", url)
        return Check(name="enabled", passed=not is_paused, detail=detail, blockers=(link,))
    if row.schedule is None:
        return Check(name="enabled", passed=True, detail="It belongs to no trigger.")
    found = conditions.enabled(row.schedule)
    if found.passed or "@once" in row.schedule.schedule_interval.lower():
        return Check(name="enabled", passed=True, detail="Its trigger lets it start.")
    detail = f"What waits is kept while its trigger is off. {found.detail}"
    links = (conditions.schedule_link(row.schedule),)
    return Check(name="enabled", passed=False, detail=detail, blockers=links, clears_at=found.clears_at)


def in_time(row: Occurrence, moment: datetime) -> Check:
    if row.expires_at is None:
        return Check(name="deadline", passed=True, detail="It may wait as long as it takes.")
    if row.expires_at <= moment:
        detail = f"Its start deadline passed at {at(row.expires_at)}: the scheduler's next look ends it."
        return Check(name="deadline", passed=False, detail=detail)
    left = counted(int((row.expires_at - moment).total_seconds()), "second")
    return Check(name="deadline", passed=True, detail=f"It has to start by {at(row.expires_at)}: {left} are left.")


def not_before(row: Occurrence, moment: datetime) -> Check:
    after = row.start_after
    if after and after > moment:
        detail = f"It is not looked at before {at(after)}. {row.reason}".strip()
        return Check(name="not before", passed=False, detail=detail, clears_at=after)
    return Check(name="not before", passed=True, detail="Nothing holds it until a given time.")
