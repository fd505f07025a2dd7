"""Backfills: planned, started, paused, cancelled, tried again. Here the slots become rows of the ledger that wait; the
scheduler starts them in turn like any other moment that waits.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat

from pipelines import catalog
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import events
from runs.models import Origin
from runs.states import RUN_FINISHED, RunStatus
from schedules.backfilling.slot_states import CHUNK, Plan, PlannedSlot, judge
from schedules.backfilling.slots import Slot, read_range
from schedules.models import Backfill, Decision, IntervalType, Occurrence, PipelineSchedule, ScheduleType, Which
from schedules.timetable import Timetable

MOST_AT_A_TIME = 1000
PRIORITIES = (-1000, 1000)
CHANGEABLE = ("name", "run_limit", "priority")


# --- planned --------------------------------------------------------------------------------------------------------


def draft(pipeline: Pipeline, schedule: PipelineSchedule | None, fields: Mapping[str, Any]) -> Backfill:
    """Return a backfill as it was asked for, not stored and not checked.

    What `fields` leave out comes from the trigger, if there is one: its moments and its zone; else days, in UTC.
    """
    interval, zone = (IntervalType.SCHEDULE, schedule.timezone) if schedule else (IntervalType.DAY, "UTC")
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    return Backfill(
        pipeline=pipeline, schedule=schedule, **{"interval_type": interval.value, "timezone": zone, **given}
    )


def find_schedule(pipeline: Pipeline, **wanted: Any) -> PipelineSchedule:
    """Return the pipeline's trigger with this `name` or `pk`; refuse with the names that there are."""
    found = pipeline.schedules.select_related("pipeline").filter(**wanted).first()
    if found is None:
        names = ", ".join(pipeline.schedules.order_by("name").values_list("name", flat=True)[:20])
        raise Refusal(
            f"The pipeline {pipeline.uuid} has no trigger {ascii(str(next(iter(wanted.values())))[:80])}.",
            field="schedule",
            hint=f"It has: {names}." if names else "It has none.",
            code="unknown_schedule",
        )
    return found


def plan(backfill: Backfill, moment: datetime) -> Plan:
    """Return every slot of a backfill that is not stored yet, and its state; writes nothing.

    Raises `Refusal` for whatever of it does not make sense.
    """
    return judge(backfill, slots_of(backfill, moment))


def slots_of(backfill: Backfill, moment: datetime) -> list[Slot]:
    check(backfill)
    cut = read_range(
        backfill.start_at,
        backfill.end_at,
        backfill.interval_type,
        backfill.interval_units,
        backfill.timezone,
        moment=moment,
        limit=settings.BACKFILL_MOST_SLOTS,
        timetable=timetable_of(backfill),
    )
    return cut.slots()


def check(backfill: Backfill) -> None:
    """Raise `Refusal` for the first thing beside its range that is wrong with a backfill."""
    schedule = backfill.schedule
    if schedule is not None and schedule.pipeline_id != backfill.pipeline_id:
        raise Refusal(
            f"The trigger {schedule.name!r} is of another pipeline, {schedule.pipeline.uuid}.",
            field="schedule",
            hint=f"Choose a trigger of {backfill.pipeline.uuid}, or none.",
            code="contradiction",
        )
    if backfill.which not in Which.values:
        hint = f"Use one of: {', '.join(Which.values)}."
        raise Refusal(f"{ascii(backfill.which[:80])} is not known.", field="which", hint=hint, code="invalid_choice")
    if not isinstance(backfill.variables, Mapping):
        raise Refusal("Variables must be a JSON object.", field="variables", hint='For example {"full": true}.')
    check_limits(backfill)


def check_limits(backfill: Backfill) -> None:
    """Raise `Refusal` for a name, a limit or a priority that cannot be: what may be changed later, too."""
    if len(backfill.name) > 200 or any(ord(letter) < 32 for letter in backfill.name):
        raise Refusal("Name: at most 200 characters, on one line.", field="name", code="invalid_name")
    if not 1 <= backfill.run_limit <= MOST_AT_A_TIME:
        raise Refusal(
            f"Limit must be at least 1 and at most {MOST_AT_A_TIME}.",
            field="run_limit",
            hint="It is how many of its runs go on at a time.",
            code="out_of_range",
        )
    if not PRIORITIES[0] <= backfill.priority <= PRIORITIES[1]:
        raise Refusal(
            f"Priority must be from {PRIORITIES[0]} to {PRIORITIES[1]}.",
            field="priority",
            hint="Lower starts first; live runs have 0, backfills 50.",
            code="out_of_range",
        )


def timetable_of(backfill: Backfill) -> Timetable | None:
    """Return the timetable whose moments are the slots, if that is asked for."""
    schedule = backfill.schedule
    if backfill.interval_type != IntervalType.SCHEDULE or schedule is None:
        return None
    if schedule.schedule_type != ScheduleType.TIME:
        raise Refusal(
            f"The trigger {schedule.name!r} has no timetable: it is of type {schedule.schedule_type}.",
            field="schedule",
            hint="Choose a time trigger, or another interval.",
            code="contradiction",
        )
    return schedule.timetable()


# --- started --------------------------------------------------------------------------------------------------------


def start(backfill: Backfill, moment: datetime) -> Plan:
    """Store a backfill and let its chosen slots wait for their turn; return what was planned at that moment.

    Holds the trigger and the pipeline until the commit, so that neither the scheduler nor another backfill takes one
    of these slots meanwhile. Raises `Refusal`, also when nothing is left to run, and then keeps nothing;
    `IntegrityError` for an idempotency key that is taken.
    """
    slots = slots_of(backfill, moment)
    with transaction.atomic():
        hold(backfill)
        planned = judge(backfill, slots)
        if not planned.chosen:
            raise nothing_to_run(backfill, planned)
        backfill.name = backfill.name.strip() or named(backfill)
        backfill.created_at = backfill.started_at = moment
        backfill.save(force_insert=True)
        write(backfill, planned.chosen, moment)
        events.publish_timer()
    return planned


def hold(backfill: Backfill) -> None:
    """Read again, under lock, what the backfill belongs to; refuse if it is gone or cannot run."""
    if backfill.schedule_id:
        kept = PipelineSchedule.objects.select_for_update(no_key=True).filter(pk=backfill.schedule_id)
        if not kept.values_list("pk").first():
            raise Refusal("The trigger has been deleted meanwhile.", field="schedule", code="unknown_schedule")
    pipelines = Pipeline.objects.select_for_update(no_key=True, of=("self",)).select_related("current_version")
    pipeline = pipelines.defer("current_version__files").get(pk=backfill.pipeline_id)
    if not pipeline.is_present:
        raise Refusal(f"The pipeline {pipeline.uuid} is no longer in the project.", field="pipeline_uuid")
    catalog.runnable_version(pipeline)


def nothing_to_run(backfill: Backfill, planned: Plan) -> Refusal:
    counts = ", ".join(f"{count} {state}" for state, count in planned.counts.items())
    hint = (
        "Ask for all to run them once more." if backfill.which != Which.ALL else "Wait for what goes on, or cancel it."
    )
    return Refusal(
        f"Nothing of this range is to be run: {counts}; wanted: {backfill.which}.",
        field="which",
        hint=hint,
        code="nothing_to_run",
    )


def named(backfill: Backfill) -> str:
    start, end = backfill.local_ends
    return f"{backfill.pipeline.uuid[:150]} {start:%Y-%m-%d} – {end:%Y-%m-%d}"


def write(backfill: Backfill, chosen: Sequence[PlannedSlot], moment: datetime) -> None:
    """Make a waiting row of the ledger of each slot: a new one, or the one that is there."""
    fields: dict[str, Any] = {"backfill": backfill, "priority": backfill.priority, "decided_at": moment} | WAITING
    Occurrence.objects.bulk_create(
        [
            Occurrence(
                pipeline_id=backfill.pipeline_id,
                schedule_id=backfill.schedule_id,
                scheduled_for=planned.slot.at,
                local_time=planned.slot.local_time,
                interval_end=planned.slot.end,
                **fields,
            )
            for planned in chosen
            if planned.entry is None
        ],
        batch_size=CHUNK,
    )
    taken = sorted(
        ((planned.entry.decision, planned.entry.pk) for planned in chosen if planned.entry), key=lambda each: each[0]
    )
    for decision, group in groupby(taken, key=lambda each: each[0]):
        ids = [pk for _, pk in group]
        for begin in range(0, len(ids), CHUNK):
            take_over(ids[begin : begin + CHUNK], decision, fields)
    ends = [
        Occurrence(pk=planned.entry.pk, interval_end=planned.slot.end)
        for planned in chosen
        if planned.entry and planned.entry.interval_end != planned.slot.end
    ]
    Occurrence.objects.filter(backfill=backfill).bulk_update(ends, ["interval_end"], batch_size=CHUNK)


WAITING: dict[str, Any] = {
    "origin": Origin.BACKFILL,
    "decision": Decision.WAITING,
    "blocker_run_id": None,
    "cause_run_id": None,
    "start_after": None,
    "expires_at": None,
    "pipeline_run": None,
}


def take_over(ids: Sequence[int], decision: str, fields: Mapping[str, Any]) -> int:
    """Let rows of the ledger wait again, as far as they still are what they were when they were looked at."""
    rows = Occurrence.objects.filter(pk__in=ids, decision=decision)
    if decision != Decision.STARTED:
        return rows.update(**fields, reason=f"Was {decision}; run by a backfill.")
    gone = rows.filter(pipeline_run=None).update(**fields, reason="Its run was deleted; run again by a backfill.")
    ended = rows.filter(pipeline_run__status__in=RUN_FINISHED)
    return gone + ended.update(**fields, reason=run_again(" was its run before; run again by a backfill."))


def run_again(words: str) -> Concat:
    """The reason of a row whose run is about to be taken off it: "Run 17 failed; tried again."."""
    return Concat(Value("Run "), Cast(F("pipeline_run_id"), CharField()), Value(words))


# --- under way ------------------------------------------------------------------------------------------------------


def pause(backfill: Backfill, moment: datetime) -> None:
    """Start nothing more of it until it is resumed; its runs under way go on. `Refusal` if it is not running."""
    if not Backfill.objects.open().filter(pk=backfill.pk, paused_at=None).update(paused_at=moment):
        raise conflict(backfill, "Only a running backfill can be paused.")
    backfill.refresh_from_db()
    events.publish_timer()


def resume(backfill: Backfill, moment: datetime) -> None:
    """Go on with a paused backfill. `Refusal` if it is not paused."""
    if not Backfill.objects.open().filter(pk=backfill.pk, paused_at__isnull=False).update(paused_at=None):
        raise conflict(backfill, "Only a paused backfill can be resumed.")
    backfill.refresh_from_db()
    events.publish_timer()


def change(backfill: Backfill, fields: Mapping[str, Any]) -> None:
    """Give an unfinished backfill another name, run limit or priority; takes effect at once."""
    fields = {**fields, "name": str(fields.get("name", backfill.name)).strip() or named(backfill)}
    changed = {name: value for name, value in fields.items() if getattr(backfill, name) != value}
    for name, value in changed.items():
        setattr(backfill, name, value)
    check_limits(backfill)
    if not changed:
        return
    with transaction.atomic():
        if not Backfill.objects.open().filter(pk=backfill.pk).update(**changed):
            raise conflict(backfill, "What is over is not changed any more.")
        if "priority" in changed:
            waiting = Occurrence.objects.filter(backfill=backfill, decision=Decision.WAITING)
            waiting.update(priority=backfill.priority)
        events.publish_timer()


def retry_failed(backfill: Backfill, moment: datetime) -> int:
    """Let the slots that failed, or that could not be started, wait for another run; return how many.

    Opens a finished backfill again. `Refusal` when it is cancelled or nothing of it failed.
    """
    with transaction.atomic():
        kept = Backfill.objects.select_for_update(no_key=True).filter(pk=backfill.pk, cancelled_at=None)
        if not kept.values_list("pk").first():
            raise conflict(backfill, "Plan a new one: it runs what is missing.")
        rows = Occurrence.objects.filter(backfill=backfill)
        fields = {**WAITING, "decided_at": moment, "priority": backfill.priority}
        failed = rows.filter(decision=Decision.STARTED, pipeline_run__status=RunStatus.FAILED)
        count = failed.update(**fields, reason=run_again(" failed; tried again."))
        for decision in NOT_STARTED:
            count += rows.filter(decision=decision).update(**fields, reason=f"Was {decision}; tried again.")
        if not count:
            raise conflict(backfill, "Nothing of it has failed.")
        kept.update(completed_at=None, failed_at=None)
        events.publish_timer()
    backfill.refresh_from_db()
    return count


NOT_STARTED = (Decision.SKIPPED, Decision.EXPIRED, Decision.MISSED)


def conflict(backfill: Backfill, hint: str) -> Refusal:
    backfill.refresh_from_db()
    return Refusal(f"Backfill {backfill.pk} is {backfill.state}.", hint=hint, code="conflict")
