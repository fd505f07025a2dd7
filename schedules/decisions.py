"""What becomes of a moment that a schedule was due: start, skip or miss, with the reason. Pure: no Django, no clock.

`decide` is given the moments that are due and what still runs, and
rules on each; nothing here reads or writes anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from schedules.policies import Settings

STARTED: Literal["started"] = "started"
SKIPPED: Literal["skipped"] = "skipped"
MISSED: Literal["missed"] = "missed"


@dataclass(frozen=True)
class Ruling:
    """What was decided about one moment, and why. `blocker_run_id` is the run that stood in the way."""

    decision: Literal["started", "skipped", "missed"]
    reason: str = ""
    blocker_run_id: int | None = None


def decide(
    moments: Sequence[datetime],
    settings: Settings,
    unfinished_runs: Sequence[int] = (),
    *,
    unlisted_since: datetime | None = None,
) -> list[Ruling]:
    """Rule on the overdue `moments` of one schedule, given in order; `unfinished_runs` are its own, oldest first.

    After downtime the latest moment stands for all: it is started (or skipped), the earlier ones are missed. When
    there were too many to list, the first one given stands for all those `unlisted_since`.
    """
    if not moments:
        return []
    why = f"Not started in time; of the overdue moments only the latest, {moments[-1]:%Y-%m-%d %H:%M} UTC, is run."
    missed = [Ruling(MISSED, why)] * (len(moments) - 1)
    if unlisted_since and missed:
        missed[0] = Ruling(MISSED, f"{why} This stands for every moment since {unlisted_since:%Y-%m-%d %H:%M} UTC.")
    return [*missed, decide_latest(settings, unfinished_runs)]


def decide_latest(settings: Settings, unfinished_runs: Sequence[int]) -> Ruling:
    if settings.skip_if_previous_running and unfinished_runs:
        previous = unfinished_runs[-1]
        return Ruling(SKIPPED, f"The previous run, {previous}, was still running.", previous)
    limit = settings.pipeline_run_limit
    if limit is not None and len(unfinished_runs) >= limit:
        runs = "1 run is" if limit == 1 else f"{limit} runs are"
        return Ruling(SKIPPED, f"The limit was reached: {runs} allowed at a time.", unfinished_runs[0])
    return Ruling(STARTED)
