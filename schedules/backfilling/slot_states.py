"""How the slots of a backfill stand: what the pipeline's runs and the ledger say of each, and which are to be run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from runs.models import PipelineRun
from runs.states import RUN_FINISHED, RunStatus
from schedules.backfilling.slots import Slot
from schedules.models import Backfill, Decision, Occurrence, OccurrenceQuerySet, Which

CHUNK = 2000  # slots asked for in one query
# In this order on pages. "removed": it was run, and that run has been deleted since.
STATES = ("missing", "completed", "failed", "cancelled", "removed", "running", "waiting")
# A slot that is running or waiting is never run once more.
CHOSEN = {
    Which.MISSING: ("missing", "cancelled"),
    Which.FAILED: ("failed",),
    Which.ALL: ("missing", "completed", "failed", "cancelled", "removed"),
}
WORDS = {RunStatus.INITIAL: "waiting", RunStatus.RUNNING: "running"}


class Entry(NamedTuple):
    """The ledger's row of a slot, as far as it matters here."""

    pk: int
    decision: str
    reason: str
    interval_end: datetime | None
    run_id: int | None
    run_status: str | None
    backfill_id: int | None
    backfill_ended: datetime | None
    backfill_cancelled: datetime | None

    @property
    def belongs_to_an_open_backfill(self) -> bool:
        return self.backfill_id is not None and not (self.backfill_ended or self.backfill_cancelled)

    @property
    def is_unfinished(self) -> bool:
        has_run = self.run_status is not None and self.run_status not in RUN_FINISHED
        return has_run or self.decision == Decision.WAITING


class Run(NamedTuple):
    pk: int
    status: str


@dataclass(frozen=True, slots=True)
class PlannedSlot:
    """A slot, its present state, and whether the backfill will run it."""

    slot: Slot
    state: str
    run_id: int | None
    is_chosen: bool
    entry: Entry | None

    @property
    def decision(self) -> str:
        """What the ledger says where no run does: missed, skipped, held, …"""
        return self.entry.decision if self.entry and self.run_id is None else ""


@dataclass(frozen=True)
class Plan:
    """Every slot of a backfill, in order."""

    slots: Sequence[PlannedSlot]

    @property
    def chosen(self) -> list[PlannedSlot]:
        return [planned for planned in self.slots if planned.is_chosen]

    @property
    def counts(self) -> dict[str, int]:
        """How many slots are in which state; states that none is in are left out."""
        found = Counter(planned.state for planned in self.slots)
        return {state: found[state] for state in STATES if found[state]}


def judge(backfill: Backfill, slots: Sequence[Slot]) -> Plan:
    """Look at what there is of each slot. Two queries per 2000 slots, and one more."""
    elsewhere = waiting_elsewhere(backfill, slots)
    planned: list[PlannedSlot] = []
    for begin in range(0, len(slots), CHUNK):
        chunk = slots[begin : begin + CHUNK]
        moments = [slot.at for slot in chunk]
        runs, entries = runs_of(backfill, moments), entries_of(backfill, moments)
        planned += [judge_slot(slot, runs, entries, elsewhere, backfill.which) for slot in chunk]
    return Plan(planned)


def judge_slot(
    slot: Slot, runs: dict[datetime, Run], entries: dict[datetime, Entry], elsewhere: set[datetime], which: str
) -> PlannedSlot:
    run, entry = runs.get(slot.at), entries.get(slot.at)
    if entry and entry.run_id and entry.is_unfinished:
        run = Run(entry.run_id, entry.run_status or "")
    state = state_of(run, entry, is_awaited=slot.at in elsewhere)
    is_taken = entry is not None and (entry.belongs_to_an_open_backfill or entry.is_unfinished)
    is_chosen = state in CHOSEN[Which(which)] and not is_taken
    return PlannedSlot(slot, state, run.pk if run else None, is_chosen, entry)


def state_of(run: Run | None, entry: Entry | None, *, is_awaited: bool) -> str:
    """Return the state of a slot: what still goes on counts first, then the newest run, then the ledger."""
    if run and run.status not in RUN_FINISHED:
        return WORDS[RunStatus(run.status)]
    if is_awaited or (entry and entry.decision == Decision.WAITING):
        return "waiting"
    if run:
        return run.status
    return "removed" if entry and entry.decision == Decision.STARTED else "missing"


def runs_of(backfill: Backfill, moments: Sequence[datetime]) -> dict[datetime, Run]:
    """Return the newest run of each moment, whatever started it; one that goes on before any that is finished."""
    found: dict[datetime, Run] = {}
    runs = PipelineRun.objects.filter(pipeline_id=backfill.pipeline_id, execution_date__in=moments)
    for at, pk, status in runs.order_by("id").values_list("execution_date", "id", "status"):
        if at not in found or found[at].status in RUN_FINISHED:
            found[at] = Run(pk, status)
    return found


def entries_of(backfill: Backfill, moments: Sequence[datetime]) -> dict[datetime, Entry]:
    """Return the ledger's rows that this backfill's would collide with."""
    rows = own_rows(backfill).filter(scheduled_for__in=moments)
    fields = ("decision", "reason", "interval_end", "pipeline_run_id", "pipeline_run__status", "backfill_id")
    ends = ("backfill__completed_at", "backfill__cancelled_at")
    return {row[0]: Entry(*row[1:]) for row in rows.values_list("scheduled_for", "id", *fields, *ends).iterator()}


def own_rows(backfill: Backfill) -> OccurrenceQuerySet:
    """The ledger of the backfill's trigger; of its pipeline without trigger, if it follows none."""
    if backfill.schedule_id:
        return Occurrence.objects.filter(schedule_id=backfill.schedule_id)
    return Occurrence.objects.filter(pipeline_id=backfill.pipeline_id, schedule=None)


def waiting_elsewhere(backfill: Backfill, slots: Sequence[Slot]) -> set[datetime]:
    """Return the moments for which a run waits under another trigger of the pipeline, or under none."""
    if not slots:
        return set()
    waiting = Occurrence.objects.filter(
        pipeline_id=backfill.pipeline_id, decision=Decision.WAITING, scheduled_for__range=(slots[0].at, slots[-1].at)
    )
    others = waiting.exclude(pk__in=own_rows(backfill).filter(decision=Decision.WAITING).values("pk"))
    return set(others.values_list("scheduled_for", flat=True))
