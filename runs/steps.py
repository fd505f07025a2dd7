"""The life of a run as steps: created, let in, begun, ended, and how long it was between them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runs.models import Event, PipelineRun
from runs.states import RunStatus

ENDS = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Step:
    """Something a run came to. `at` is None for what is still to come; `after` are seconds since the step before."""

    word: str
    state: str
    at: datetime | None
    after: float | None = None
    is_now: bool = False


def steps(run: PipelineRun, totals: Mapping[str, Any], events: Iterable[Event], now: datetime) -> list[Step]:
    """Return the steps of a run in order: of earlier attempts at it their ends, of the present one all."""
    marks = [("created", "initial", run.created_at), *earlier_ends(events)]
    marks += [(word, state, at) for word, state, at in of_this_attempt(run, totals) if at]
    found: list[Step] = []
    for word, state, at in marks:
        after = max((at - found[-1].at).total_seconds(), 0.0) if found and found[-1].at else None
        found.append(Step(word, state, at, after))
    return [*found, *to_come(run, found, now)]


def of_this_attempt(run: PipelineRun, totals: Mapping[str, Any]) -> list[tuple[str, str, datetime | None]]:
    starting = totals.get("starting_seconds")
    begun = run.started_at + timedelta(seconds=starting) if run.started_at and starting is not None else None
    return [
        ("let in" if run.attempt == 1 else f"attempt {run.attempt} let in", "queued", run.started_at),
        ("first block began", "running", begun),
        (run.status, run.status, run.completed_at if run.is_finished else None),
    ]


def earlier_ends(events: Iterable[Event]) -> list[tuple[str, str, datetime]]:
    """Return how earlier attempts at the run ended, the oldest first, from its events (the newest first)."""
    told = sorted((each for each in events if each.block_run_id is None), key=lambda each: each.pk)
    last_retry = max((place for place, each in enumerate(told) if each.kind == "retried"), default=0)
    ends = [each for each in told[:last_retry] if each.kind in ENDS]
    return [(f"attempt {number} {each.kind}", each.kind, each.happened_at) for number, each in enumerate(ends, 1)]


def to_come(run: PipelineRun, found: Sequence[Step], now: datetime) -> list[Step]:
    if run.is_finished:
        return []
    since = found[-1].at or now
    word = "running" if run.status == RunStatus.RUNNING else "waiting"
    return [Step(word, word, None, max((now - since).total_seconds(), 0.0), is_now=True)]
