"""The scheduler on a virtual clock: the same decisions on a world in memory. Pure: no Django, no clock, nothing stored.

What is due, what becomes of it, who may start and who goes first is asked of the functions that the scheduler asks
(`reckoning`, `runs.limits`, `queueing`); here are only the events between them: a moment is due, a run ends, a deadline
passes. Every run completes, after the time that is expected of it. A run needs one worker from its start to its end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import islice
from math import ceil
from typing import Any

from runs.limits import NO_LIMITS, Answer, Gate, Limits, Ongoing, Start, counts_all, enter, is_limited
from schedules.backoff import Trail
from schedules.decisions import Verdict
from schedules.policies import Settings
from schedules.queueing import HEADS, behind, in_turn, in_turn_of, keeps_a_queue
from schedules.reckoning import TICK, expiry, reckon
from schedules.simulating.remembering import Almanac
from schedules.timetable import Kind
from schedules.timing import LOOK_AGAIN, Timing

BATCH = 200  # schedules that are decided in one go
WAITING = "waiting"
OPEN = Gate("window")
Span = tuple[datetime, datetime]  # from, included, to, excluded


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A schedule as far as time goes. `duration` is what a run of it is expected to take on its worker."""

    pk: int
    name: str
    pipeline_id: int
    pipeline: str  # uuid
    timing: Timing
    duration: timedelta
    decided_until: datetime
    settings: Settings = field(default_factory=Settings)
    limits: Limits = NO_LIMITS
    config: Mapping[str, Any] = field(default_factory=dict)  # the pipeline's concurrency_config
    variables: Mapping[str, Any] = field(default_factory=dict)  # of its runs
    sla: timedelta | None = None


@dataclass(frozen=True)
class Hold:
    """A span in which a maintenance window keeps these triggers from starting."""

    begin: datetime
    end: datetime
    triggers: frozenset[int]
    reason: str = ""


@dataclass(slots=True, eq=False)
class Moment:
    """A row of the simulated ledger and, once it is `started`, its run."""

    trigger: Trigger
    scheduled_for: datetime
    due_at: datetime
    decision: str
    reason: str = ""
    expires_at: datetime | None = None
    start_after: datetime | None = None
    run_id: int | None = None
    started_at: datetime | None = None  # past every limit
    began_at: datetime | None = None  # on a worker
    ended_at: datetime | None = None
    is_cut: bool = False  # cancelled by a newer run, or timed out

    @property
    def priority(self) -> int:
        return self.trigger.settings.priority


@dataclass(frozen=True)
class Result:
    """The ledger of the span, in the order in which it was decided."""

    begin: datetime
    end: datetime
    workers: int | None
    triggers: Sequence[Trigger]
    moments: Sequence[Moment]


def simulate(
    triggers: Sequence[Trigger],
    begin: datetime,
    end: datetime,
    *,
    workers: int | None = None,
    holds: Sequence[Hold] = (),
    outages: Sequence[Span] = (),
    most: int | None = None,
) -> Result:
    """Play everything that happens in `begin` <= t < `end`. `workers`: runs that go on at a time, None: any number.

    In `outages` no scheduler runs; workers do. The end of a run that has begun is told even if it is later. After
    `most` moments it stops, and the result's end is there.
    """
    world = World(triggers, workers, holds, outages, begin)
    while (moment := world.next_event()) is not None and moment < end:
        world.finish(moment)
        if world.awake(moment) == moment:
            world.tick(moment)
        if most is not None and len(world.moments) > most:
            end = moment
            break
    return Result(begin, end, workers, triggers, world.moments)


class World:
    """What the database would hold."""

    def __init__(
        self,
        triggers: Sequence[Trigger],
        workers: int | None,
        holds: Sequence[Hold],
        outages: Sequence[Span],
        begin: datetime,
    ) -> None:
        since = min((trigger.decided_until for trigger in triggers), default=begin)
        almanac = Almanac()
        self.triggers = {each.pk: replace(each, timing=almanac.remember(each.timing, since)) for each in triggers}
        self.holds, self.outages = holds, sorted(outages)
        self.decided_until = {trigger.pk: trigger.decided_until for trigger in triggers}
        self.moments: list[Moment] = []
        # Heaps: schedules that are due, runs that end, other times at which to look, ends of waiting.
        dues = ((trigger.timing.next_due(trigger.decided_until), pk) for pk, trigger in self.triggers.items())
        self.due = [(max(due, begin), due, pk) for due, pk in dues if due]
        self.planned = {pk: due for _, due, pk in self.due}  # what is not of these in the heap was put forward
        self.ends: list[tuple[datetime, int]] = []
        self.timers = [begin, *(outage[1] for outage in outages)]
        self.expiries: list[tuple[datetime, int, int, Moment]] = []
        heapify(self.due)
        heapify(self.timers)
        # The unfinished runs that count for a trigger, oldest first: its own or its pipeline's. None: nobody counts.
        of_pipeline: dict[int, list[Ongoing]] = {}
        self.ongoing: dict[int, list[Ongoing] | None] = {}
        for each in triggers:
            if counts_all(each.config):
                self.ongoing[each.pk] = of_pipeline.setdefault(each.pipeline_id, [])
            else:
                self.ongoing[each.pk] = [] if is_limited(each.limits, each.config) else None
        self.runs: dict[int, Moment] = {}  # unfinished
        self.waiting: dict[int, dict[int, list[Moment]]] = {}  # by pipeline and trigger
        self.changed: set[int] = set()  # pipelines in which something that waits may start by now
        self.open: dict[int, int] = {}  # by trigger: its unfinished runs and the moments that wait
        self.parked: set[int] = set()  # always-on triggers that are not looked at while they are busy
        self.trails: dict[int, Trail] = {}  # of always-on triggers: their last run
        self.free = workers
        self.line: list[tuple[int, int]] = []  # a heap of (priority, run): those that want a worker
        self.last_run = 0

    # --- time

    def next_event(self) -> datetime | None:
        while self.due and self.planned.get(self.due[0][2]) != self.due[0][1]:
            heappop(self.due)
        found = [self.awake(self.due[0][0])] if self.due else []
        found += [self.awake(self.timers[0])] if self.timers else []
        while self.expiries and self.expiries[0][-1].decision != WAITING:
            heappop(self.expiries)
        found += [self.awake(self.expiries[0][0])] if self.expiries else []
        found += [self.ends[0][0]] if self.ends else []
        return min(found, default=None)

    def awake(self, moment: datetime) -> datetime:
        """Return the moment, or the end of the outage that it falls into."""
        for begin, end in self.outages:
            if begin <= moment < end:
                moment = end
        return moment

    def tick(self, moment: datetime) -> None:
        """Do what `scheduler.tick` does."""
        while self.timers and self.timers[0] <= moment:
            heappop(self.timers)
            self.changed |= self.waiting.keys()
        self.expire(moment)
        changed, self.changed = sorted(self.changed), set()
        for pipeline_id in changed:
            self.admit(pipeline_id, moment)
        while self.due and self.due[0][0] <= moment:
            self.fire(moment)

    # --- runs

    def finish(self, moment: datetime) -> None:
        """End the runs whose end has come, and give their workers to others."""
        while self.ends and self.ends[0][0] <= moment:
            at, run_id = heappop(self.ends)
            run = self.runs.get(run_id)
            if run is not None and (run.ended_at is None or run.ended_at <= at):
                self.end(run, at, is_cut=run.ended_at is None or run.is_cut)

    def end(self, run: Moment, at: datetime, *, is_cut: bool) -> None:
        assert run.run_id is not None
        del self.runs[run.run_id]
        run.ended_at, run.is_cut = at, is_cut
        if ongoing := self.ongoing[run.trigger.pk]:
            ongoing[:] = [other for other in ongoing if other.run_id != run.run_id]
        self.changed.add(run.trigger.pipeline_id)
        self.settle(run.trigger, at)
        if run.trigger.timing.timetable.kind is Kind.ALWAYS_ON and run.started_at:
            self.trails[run.trigger.pk] = Trail(run.started_at, at)
            self.parked.discard(run.trigger.pk)
            self.plan(run.trigger.pk, at)
        if run.began_at is not None and self.free is not None:
            self.free += 1
        self.hand_out(at)

    def hand_out(self, at: datetime) -> None:
        """Let the most urgent runs begin, as far as there are workers."""
        while self.line and (self.free is None or self.free > 0):
            run = self.runs.get(heappop(self.line)[1])
            if run is None:  # cut while it stood in the line
                continue
            if self.free is not None:
                self.free -= 1
            run.began_at, run.ended_at = at, at + run.trigger.duration
            assert run.started_at is not None
            assert run.run_id is not None
            if (timeout := run.trigger.settings.timeout) and run.started_at + timeout < run.ended_at:
                run.ended_at, run.is_cut = run.started_at + timeout, True
            heappush(self.ends, (run.ended_at, run.run_id))

    def begin(self, run: Moment, moment: datetime) -> None:
        """Give an admitted moment its run."""
        self.last_run += 1
        run.decision, run.started_at, run.run_id = Verdict.START.value, moment, self.last_run
        self.runs[self.last_run] = run
        heappush(self.line, (run.priority, self.last_run))
        if run.trigger.settings.timeout:
            heappush(self.ends, (moment + run.trigger.settings.timeout, self.last_run))

    def settle(self, trigger: Trigger, moment: datetime) -> None:
        """One run or waiting moment of a trigger less; look at an always-on one again when that was the last."""
        self.open[trigger.pk] -= 1
        if self.open[trigger.pk] or trigger.pk not in self.parked:
            return
        self.parked.discard(trigger.pk)
        # It would have been looked at every ten seconds, each time a tick later.
        step, decided = LOOK_AGAIN + TICK, self.decided_until[trigger.pk]
        missed = max(0, ceil((moment - decided - LOOK_AGAIN) / step))
        self.decided_until[trigger.pk] = decided + missed * step
        if due := trigger.timing.next_due(self.decided_until[trigger.pk]):
            self.plan(trigger.pk, due)

    # --- the ledger

    def plan(self, pk: int, due: datetime) -> None:
        self.planned[pk] = due
        heappush(self.due, (due, due, pk))

    def fire(self, moment: datetime) -> None:
        """Do what `firing.fire_batch` does."""
        batch: list[Trigger] = []
        rows: list[Moment] = []
        while self.due and self.due[0][0] <= moment and len(batch) < BATCH:
            _, planned, pk = heappop(self.due)
            if self.planned.get(pk) != planned:
                continue
            del self.planned[pk]
            batch.append(self.triggers[pk])
            rows += self.account(batch[-1], moment, planned)
        self.moments += rows
        queues = {each.pk: self.count_waiting(each) for each in batch if keeps_a_queue(each.settings)}
        self.start_all(in_turn(row for row in rows if row.decision == Verdict.START), moment, queues)

    def account(self, trigger: Trigger, moment: datetime, planned: datetime) -> list[Moment]:
        """Return rows for what is due of a trigger, and plan it anew."""
        found = reckon(trigger.timing, trigger.settings, self.decided_until[trigger.pk], moment, planned=planned)
        self.decided_until[trigger.pk] = found.decided_until
        is_busy = found.starts_when_idle and bool(self.open.get(trigger.pk))
        timetable = trigger.timing.timetable
        if is_busy and not self.outages and timetable.hours is None and timetable.days is None:
            self.parked.add(trigger.pk)
        elif found.next_due:
            self.plan(trigger.pk, self.next_try(trigger, moment) or found.next_due)
        if is_busy or self.next_try(trigger, moment):
            return []
        return [
            Moment(
                trigger,
                entry.instant.utc,
                entry.due.due_at,
                entry.ruling.verdict.value,
                entry.ruling.reason,
                expiry(entry.due.due_at, trigger.settings),
            )
            for entry in found.entries
        ]

    def next_try(self, trigger: Trigger, moment: datetime) -> datetime | None:
        """Return when an always-on trigger may start again, if that is not yet; None also while it is busy."""
        trail = self.trails.get(trigger.pk) if not self.open.get(trigger.pk) else None
        return trail.next_try if trail and trail.next_try > moment else None

    def count_waiting(self, trigger: Trigger) -> int:
        return len(self.waiting.get(trigger.pipeline_id, {}).get(trigger.pk, ()))

    def start_all(self, rows: Iterable[Moment], moment: datetime, queues: dict[int, int] | None) -> None:
        """Do what `starting.start_all` does. `queues`: for new rows, how many wait of each trigger."""
        admitted = []
        for row in rows:
            trigger = row.trigger
            waiting = queues.get(trigger.pk, 0) if queues is not None else 0
            gate = behind(trigger.limits, waiting) or self.hold(trigger, moment)
            if gate.is_open and (ongoing := self.ongoing[trigger.pk]) is not None:
                start = Start(trigger.pk, None, trigger.variables, trigger.limits, queues is not None)
                gate = enter(start, trigger.config, ongoing)
            if gate.is_open:
                for run_id in gate.cancels:
                    self.end(self.runs[run_id], moment, is_cut=True)
                admitted.append(row)
            else:
                self.hold_back(row, gate, queues)
        for row in admitted:  # only now have their runs numbers
            self.begin(row, moment)
            if ongoing := self.ongoing[row.trigger.pk]:
                place = next(n for n, other in enumerate(ongoing) if other.run_id is None)
                ongoing[place] = replace(ongoing[place], run_id=row.run_id)
            if queues is not None:
                self.open[row.trigger.pk] = self.open.get(row.trigger.pk, 0) + 1
        self.hand_out(moment)

    def hold(self, trigger: Trigger, moment: datetime) -> Gate:
        found = [each for each in self.holds if each.begin <= moment < each.end and trigger.pk in each.triggers]
        last = max(found, key=lambda each: each.end, default=None)
        return Gate("window", Answer.WAIT, last.reason, until=last.end) if last else OPEN

    def hold_back(self, row: Moment, gate: Gate, queues: dict[int, int] | None) -> None:
        trigger = row.trigger
        row.decision = WAITING if gate.answer is Answer.WAIT else Verdict.SKIPPED.value
        row.reason, row.start_after = gate.reason, gate.until
        if row.decision != WAITING:
            return
        if gate.until:
            heappush(self.timers, gate.until)
        if queues is not None:
            queues[trigger.pk] = queues.get(trigger.pk, 0) + 1
            self.waiting.setdefault(trigger.pipeline_id, {}).setdefault(trigger.pk, []).append(row)
            self.open[trigger.pk] = self.open.get(trigger.pk, 0) + 1
            self.changed.add(trigger.pipeline_id)
            if row.expires_at:
                heappush(self.expiries, (row.expires_at, len(self.moments), id(row), row))

    # --- those that wait

    def admit(self, pipeline_id: int, moment: datetime) -> None:
        """Do what `waiting.admit_pipeline` does."""
        groups = self.waiting.get(pipeline_id, {})
        stuck: set[int] = set()  # what one moment of a trigger waits for, those after it wait for too
        tried: list[Moment] = []

        def heads(pk: int) -> Iterator[Moment]:
            ready = (row for row in groups[pk] if row.start_after is None or row.start_after <= moment)
            for row in islice(ready, HEADS):
                if pk in stuck:
                    return
                yield row

        def attempts() -> Iterator[Moment]:
            for row in in_turn_of([heads(pk) for pk in sorted(groups)]):
                row.decision = Verdict.START.value
                tried.append(row)
                yield row
                if row.decision == WAITING:
                    stuck.add(row.trigger.pk)

        self.start_all(attempts(), moment, None)
        for row in tried:
            if row.decision != WAITING:
                self.leave(row)
                if row.decision != Verdict.START:
                    self.settle(row.trigger, moment)

    def expire(self, moment: datetime) -> None:
        """Do what `waiting.expire` does."""
        while self.expiries and self.expiries[0][0] <= moment:
            row = heappop(self.expiries)[-1]
            if row.decision == WAITING:
                row.decision = Verdict.EXPIRED.value
                self.leave(row)
                self.settle(row.trigger, moment)

    def leave(self, row: Moment) -> None:
        self.changed.add(row.trigger.pipeline_id)
        self.waiting[row.trigger.pipeline_id][row.trigger.pk].remove(row)
