"""SLAs of moments in the ledger: what waits, is held, was missed or expired passes its SLA too, though it never ran.

A run that did start says by an event that its SLA passed (runs/slas.py). Both are one breach, named by the moment.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from alerts.models import Kind
from alerts.watching.going_on import AT_ONCE, MOST_RUNS, WAITS_OR_HELD, subject_of
from alerts.watching.look import Look
from pipelines.models import Pipeline
from runs.models import Event
from schedules.models import Decision, Occurrence


def keys_of(passed: Sequence[Event]) -> dict[int, str]:
    """Return what names each passed SLA: the moment, for the first of a run that has one; else the event."""
    runs = {event.pipeline_run_id for event in passed if event.block_run_id is None}
    moments = dict(Occurrence.objects.filter(pipeline_run__in=runs).values_list("pipeline_run_id", "pk"))
    of_runs = Event.objects.filter(pipeline_run__in=moments, kind="sla_passed", block_run=None).order_by("-pk")
    first = dict(of_runs.values_list("pipeline_run_id", "pk"))
    return {
        event.pk: name_of(moments[event.pipeline_run_id])
        if first.get(event.pipeline_run_id) == event.pk
        else f"event {event.pk}"
        for event in passed
    }


def name_of(occurrence_id: int) -> str:
    return f"sla of occurrence {occurrence_id}"


def look_at(look: Look) -> None:
    """Find moments that wait, or are held, past the SLA of their trigger or pipeline."""
    if not look.has(Kind.SLA):
        return
    for decision in WAITS_OR_HELD:
        rows = Occurrence.objects.filter(decision=decision, backfill=None, scheduled_for__lt=look.moment)
        spans = ("schedule__sla", "pipeline__current_version__settings__sla")
        due = rows.order_by("scheduled_for").values_list("pk", "scheduled_for", *spans)[:MOST_RUNS]
        late = [pk for pk, at, sla, own in due if (end := end_of(at, sla, own)) and end < look.moment]
        new = [pk for pk in late if f"{name_of(pk)} {look.rules_key}" not in look.memory.said][:AT_ONCE]
        found = list(rows.filter(pk__in=new).select_related("pipeline", "schedule")) if new else []
        passed_by(look, found)
        for row in found:
            look.memory.knows(f"{name_of(row.pk)} {look.rules_key}")


def passed_by(look: Look, rows: Iterable[Occurrence]) -> None:
    """Write down that moments without a run passed their SLA; those that were skipped were not to run."""
    rows = [row for row in rows if row.decision != Decision.SKIPPED and row.backfill_id is None]
    if not rows or not look.has(Kind.SLA):
        return
    of_pipelines = Pipeline.objects.filter(pk__in={row.pipeline_id for row in rows})
    own = dict(of_pipelines.values_list("pk", "current_version__settings__sla"))
    for row in rows:
        end = end_of(row.scheduled_for, row.schedule.sla if row.schedule else None, own.get(row.pipeline_id))
        if end is not None:
            say(look, row, end)


def end_of(due: datetime, sla: timedelta | None, own: float | None) -> datetime | None:
    """Return when a moment should be finished: by the SLA of its trigger, else by that of its pipeline in seconds."""
    if sla is None and not own:
        return None
    return due + (sla if sla is not None else timedelta(seconds=own or 0))


def say(look: Look, row: Occurrence, end: datetime) -> None:
    subject = subject_of(row)
    was = "was" if row.decision in (Decision.MISSED, Decision.EXPIRED) else "is"
    message = (
        f"The moment {row.scheduled_for:%Y-%m-%d %H:%M} UTC should have been finished by {end:%Y-%m-%d %H:%M:%S} UTC; "
        f"it {was} {row.decision}: {row.reason}"
    )
    for watched in look.rules(Kind.SLA, subject):
        title = f"{subject.name} passed its SLA"
        at = min(end, look.moment)
        look.breaks(watched.rule, name_of(row.pk), subject, title=title, message=message.rstrip(": "), at=at)
