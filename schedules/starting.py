"""From rows of the ledger that are to start to runs: admitted one after the other, stored all at once.

Called within the transaction that writes the rows. What may not start now waits or is skipped, and its row says why.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DatabaseError, OperationalError, transaction

from pipelines.refusal import Refusal
from runs import lifecycle
from runs.admission import Answer, Door
from runs.limits import Gate, Limits
from runs.models import Origin
from runs.planning import Draft, RunSettings, draft_run
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.policies import Settings
from schedules.queueing import behind, limits_of

logger = logging.getLogger(__name__)


@dataclass
class Queue:
    """How many rows of each schedule wait already: what comes later does not overtake them."""

    waiting: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, schedule_ids: Sequence[int]) -> "Queue":
        rows = Occurrence.objects.filter(decision=Decision.WAITING, backfill=None, schedule__in=schedule_ids)
        found: dict[int, int] = {}
        for schedule_id in rows.values_list("schedule_id", flat=True) if schedule_ids else ():
            found[schedule_id or 0] = found.get(schedule_id or 0, 0) + 1
        return cls(found)


def start_all(rows: Sequence[Occurrence], moment: datetime, *, queue: Queue | None = None) -> list[Occurrence]:
    """Make the runs of rows that say "started", in order; return those that really did. The rows are not stored here.

    `queue` is given for rows that are new: they come after those that wait.
    """
    drafts = [(row, draft) for row in rows if (draft := draft_of(row, moment))]
    door = Door.open([draft.run for _, draft in drafts], moment)
    admitted: list[tuple[Occurrence, Draft]] = []
    for row, draft in drafts:
        gate = in_line(row, draft, queue) or door.admit(draft.run, is_new=queue is not None)
        if gate.is_open:
            lifecycle.cancel_for(draft.run, gate, moment)
            admitted.append((row, draft))
        else:
            hold_back(row, draft, gate, queue)
    store(admitted, moment)
    for row, draft in admitted:
        if row.decision == Decision.STARTED:
            row.pipeline_run, row.start_after, row.blocker_run_id = draft.run, None, None
    return [row for row, _ in admitted if row.decision == Decision.STARTED]


def draft_of(row: Occurrence, moment: datetime) -> Draft | None:
    """Make the run that a row asks for; None, and the row says why, where that is impossible."""
    schedule, backfill = row.schedule, row.backfill
    try:
        settings = schedule.checked_settings() if schedule else Settings()
        return draft_run(
            row.pipeline,
            run_settings(schedule, settings, row),
            backfill.variables if backfill else None,
            moment=moment,
            origin=Origin.BACKFILL if backfill else row.origin,
            execution_date=row.scheduled_for,
            interval_end=row.interval_end,
            event={"pipeline_run_id": row.cause_run_id} if row.cause_run_id else {},
        )
    except Refusal as refusal:
        refuse(row, str(refusal))
    except Exception as error:  # one row of a batch: the others go on
        logger.exception("the run of schedule %s could not be made", row.schedule_id)
        refuse(row, f"The run could not be created ({type(error).__name__}).")
    return None


def refuse(row: Occurrence, problem: str) -> None:
    row.decision, row.reason = Decision.SKIPPED, problem[:500]
    if row.schedule is not None:
        row.schedule.problem = problem[:500]


def in_line(row: Occurrence, draft: Draft, queue: Queue | None) -> Gate | None:
    """Return a shut gate for a new row whose schedule has rows that wait for their turn."""
    waiting = queue.waiting.get(row.schedule_id or 0, 0) if queue is not None else 0
    return behind(Limits.from_json(draft.run.limits), waiting) if waiting else None


def hold_back(row: Occurrence, draft: Draft, gate: Gate, queue: Queue | None) -> None:
    """Let a row wait, or be skipped, as the gate in front of it says."""
    # A slot of a backfill was asked for: it is never dropped for what else goes on.
    waits = gate.answer is Answer.WAIT or row.backfill_id is not None
    row.decision = Decision.WAITING if waits else Decision.SKIPPED
    row.reason = " ".join(filter(None, [gate.reason, row.reason if queue is not None else ""]))[:500]
    row.blocker_run_id, row.start_after = gate.blocker, gate.until
    if queue is not None and row.decision == Decision.WAITING:
        queue.waiting[row.schedule_id or 0] = queue.waiting.get(row.schedule_id or 0, 0) + 1


def store(admitted: Sequence[tuple[Occurrence, Draft]], moment: datetime) -> None:
    """Store the runs; if the database refuses one of them, find it and keep the others."""
    try:
        with transaction.atomic():
            lifecycle.accept([draft for _, draft in admitted], moment)
        return
    except OperationalError:
        raise  # the database, not these runs
    except (DatabaseError, ValueError) as error:
        if len(admitted) == 1:
            logger.warning("the run of schedule %s cannot be stored: %s", admitted[0][0].schedule_id, error)
            refuse(admitted[0][0], f"The run could not be stored ({type(error).__name__}).")
            return
    for each in admitted:
        each[1].run.pk = None
        store([each], moment)


def run_settings(schedule: PipelineSchedule | None, settings: Settings, row: Occurrence | None = None) -> RunSettings:
    """Return what a run takes over from its schedule and, for a slot of a backfill, from that."""
    backfill = row.backfill if row else None
    variables = schedule.variables if schedule else {}
    if not isinstance(variables, dict):
        raise Refusal("Variables must be a JSON object.", field="variables", hint='For example {"day": "2025-03-02"}.')
    return RunSettings(
        trigger_id=schedule.pk if schedule else None,
        trigger_name=schedule.name if schedule else "",
        variables=variables,
        allow_blocks_to_fail=settings.allow_blocks_to_fail,
        timeout=settings.timeout,
        timeout_status=settings.timeout_status,
        sla=schedule.sla if schedule else None,
        retry_config=settings.retry_config,
        priority=row.priority if row else settings.priority,
        limits=Limits(run_limit=backfill.run_limit, on_limit="wait") if backfill else limits_of(settings),
        backfill_id=backfill.pk if backfill else None,
    )
