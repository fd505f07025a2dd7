"""May one more run start? One decision for every way: schedule, API, event, by hand, retry, backfill. Pure.

`gates` lists what a start has to pass, in order, each with what stands in the way; `decide` is the first that is shut.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self


class Answer(enum.StrEnum):
    START = "start"
    WAIT = "wait"  # until there is room
    SKIP = "skip"  # not at all


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a trigger says about the admission of its runs; carried by each run as JSON."""

    overlap: str = "allow"  # allow | skip | wait_one | wait_all | cancel_other
    run_limit: int | None = None
    on_limit: str = "skip"  # skip | wait
    by_variable: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)

    def as_json(self) -> dict[str, Any]:
        """Return what differs from the default, which is most often nothing."""
        return {name: value for name, value in vars(self).items() if value != getattr(NO_LIMITS, name)}


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Ongoing:
    """An unfinished run of the pipeline; `run_id` is None for one that is about to be made."""

    run_id: int | None
    trigger_id: int | None
    backfill_id: int | None
    is_running: bool
    variables: Mapping[str, Any]


@dataclass(frozen=True)
class Start:
    """What asks to be started. `is_new`: it has no place in the queue yet, so runs that wait go before it."""

    trigger_id: int | None
    backfill_id: int | None
    variables: Mapping[str, Any]
    limits: Limits = NO_LIMITS
    is_new: bool = True

    def is_kin(self, run: Ongoing) -> bool:
        """Does the run belong to the same trigger, or to the same backfill? Live runs and backfills don't mind
        each other."""
        if self.backfill_id is not None or run.backfill_id is not None:
            return self.backfill_id == run.backfill_id
        return self.trigger_id == run.trigger_id


@dataclass(frozen=True)
class Gate:
    """One condition of a start: passed, or not and why. `blocker` is the run in the way."""

    name: str
    answer: Answer = Answer.START
    reason: str = ""
    blocker: int | None = None
    cancels: tuple[int, ...] = ()
    until: datetime | None = None  # when it is known to open

    @property
    def is_open(self) -> bool:
        return self.answer is Answer.START


def decide(start: Start, config: Mapping[str, Any], ongoing: Sequence[Ongoing]) -> Gate:
    """Return the first shut gate, or an open one. `config` is the pipeline's concurrency_config, `ongoing` its
    unfinished runs, oldest first. What the answer `cancels` has to be ended before the start."""
    found = gates(start, config, ongoing)
    shut = next((gate for gate in found if not gate.is_open), None)
    cancels = tuple(run_id for gate in found for run_id in gate.cancels)
    return shut or Gate("limits", cancels=cancels)


def enter(start: Start, config: Mapping[str, Any], ongoing: list[Ongoing], run_id: int | None = None) -> Gate:
    """Decide, and let a run that may start be one of the `ongoing` from now on, in place of those it cancels."""
    gate = decide(start, config, ongoing)
    if gate.is_open:
        ongoing[:] = [other for other in ongoing if other.run_id not in gate.cancels]
        ongoing.append(Ongoing(run_id, start.trigger_id, start.backfill_id, True, start.variables))
    return gate


def gates(start: Start, config: Mapping[str, Any], ongoing: Sequence[Ongoing]) -> list[Gate]:
    """Return every gate of a start, open ones too, in the order in which they decide."""
    kin = [run for run in ongoing if start.is_kin(run) and counts(run, start)]
    overlap = overlap_gate(start, kin)
    staying = [run for run in ongoing if run.run_id not in overlap.cancels and counts(run, start)]
    kin = [run for run in kin if run in staying]
    own, fallback = start.limits.run_limit, number(config.get("pipeline_run_limit"))
    # A slot of a backfill was asked for: it is never skipped for want of room.
    policy = "wait" if start.backfill_id is not None else config.get("on_pipeline_run_limit_reached")
    of_pipeline = str(policy or "wait")
    found = [overlap]
    if own is not None:
        whose = "trigger" if start.backfill_id is None else "backfill"
        found.append(room(f"limit of the {whose}", kin, own, start.limits.on_limit, f"of this {whose}"))
    elif fallback is not None and start.backfill_id is None:
        found.append(room("limit of the pipeline", kin, fallback, of_pipeline, "of each trigger"))
    if (total := number(config.get("pipeline_run_limit_all_triggers"))) is not None:
        found.append(room("limit of the pipeline", staying, total, of_pipeline, "of the pipeline"))
    return found + variable_gates(start, config, staying, kin, of_pipeline)


def variable_gates(
    start: Start, config: Mapping[str, Any], staying: Sequence[Ongoing], kin: Sequence[Ongoing], policy: str
) -> list[Gate]:
    """Return a gate for each limit by a variable's value: the pipeline's count all runs, the trigger's its own."""
    limits = [(config.get("run_limit_by_variable") or {}, staying, policy)]
    limits.append((start.limits.by_variable, kin, start.limits.on_limit))
    return [
        room(
            f"limit by {name}",
            [run for run in runs if name in run.variables and run.variables[name] == start.variables[name]],
            int(limit),
            on_limit,
            f"with {name} = {str(start.variables[name])[:60]}",
        )
        for by_variable, runs, on_limit in limits
        for name, limit in by_variable.items()
        if name in start.variables
    ]


def counts(run: Ongoing, start: Start) -> bool:
    return run.is_running or start.is_new


def overlap_gate(start: Start, kin: Sequence[Ongoing]) -> Gate:
    policy, name = start.limits.overlap, "overlap"
    if policy == "allow" or not kin:
        return Gate(name)
    last = kin[-1].run_id
    if policy == "cancel_other":
        return Gate(name, cancels=tuple(run.run_id for run in kin if run.run_id is not None))
    if policy == "wait_one" and (waiting := next((run for run in kin if not run.is_running), None)):
        return Gate(name, Answer.SKIP, "Another run waits for its turn already.", waiting.run_id)
    answer = Answer.SKIP if policy == "skip" else Answer.WAIT
    which = f"The previous run, {last}, " if last else "The previous run "
    return Gate(name, answer, f"{which}{'was still running' if policy == 'skip' else 'is still running'}.", last)


def room(name: str, runs: Sequence[Ongoing], limit: int, policy: str, of_what: str) -> Gate:
    if len(runs) < limit:
        return Gate(name)
    reason = f"The limit was reached: {limit} run{'' if limit == 1 else 's'} {of_what} at a time."
    blocker = next((run.run_id for run in runs if run.run_id is not None), None)
    return Gate(name, Answer.SKIP if policy == "skip" else Answer.WAIT, reason, blocker)


def number(value: Any) -> int | None:
    return int(value) if value else None


def is_limited(limits: Limits, config: Mapping[str, Any]) -> bool:
    """Must anybody be counted for this? Most starts are free, and cost no look."""
    return limits != NO_LIMITS or any(config.get(key) for key in COUNTED)


def counts_all(config: Mapping[str, Any]) -> bool:
    """Do runs of other triggers of the pipeline matter to a start?"""
    return bool(config.get("pipeline_run_limit_all_triggers") or config.get("run_limit_by_variable"))


COUNTED = ("pipeline_run_limit", "pipeline_run_limit_all_triggers", "run_limit_by_variable")
