"""What the page of a run shows of its time: its steps, what broke it, when it will end."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runs.faults import fault_of
from runs.figures.forecast import forecast
from runs.lineage import last_good
from runs.models import BlockRun, Event, PipelineRun
from runs.states import RunStatus
from runs.steps import steps


def in_time(
    run: PipelineRun,
    block_runs: Sequence[BlockRun],
    now: datetime,
    *,
    totals: Mapping[str, Any],
    events: Sequence[Event],
) -> dict[str, Any]:
    """Return what its templates ask for. Of a run that goes on two queries at most, of a finished one three."""
    return {
        "steps": steps(run, totals, events, now),
        "fault": fault_of(run, block_runs) if run.status != RunStatus.COMPLETED else None,
        "good": last_good(run) if run.is_finished else None,
        "forecast": forecast(run, block_runs, now),
    }


def shown_events(events: Sequence[Event], kind: str) -> dict[str, Any]:
    """Return the events of a kind, or all, and how many there are of each kind."""
    tally: dict[str, int] = {}
    for each in events:
        tally[each.kind] = tally.get(each.kind, 0) + 1
    kind = kind if kind in tally else ""
    shown = [each for each in events if each.kind == kind] if kind else events
    return {"events": shown, "event_kinds": sorted(tally.items()), "event_kind": kind, "all_events": len(events)}
