"""How far backfills are, and when they may be done."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.backfilling.slot_states import WORDS
from schedules.models import Backfill, Decision, Occurrence

STATES = ("completed", "failed", "cancelled", "skipped", "removed", "running", "waiting")
RECENT = 20  # runs of the pipeline that a forecast is made of
# What became of a slot that no run stands for.
BY_DECISION = {
    Decision.STARTED: "removed",  # its run has been deleted since
    Decision.WAITING: "waiting",
    Decision.HELD: "waiting",
    Decision.CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class Forecast:
    """What is left, how long a run takes (the mean of the pipeline's last ones), and when all may be done.

    `remaining` and `finish_at` are None when no run has been completed yet; `finish_at` also while it is paused.
    """

    run_duration: timedelta | None
    remaining: timedelta | None
    finish_at: datetime | None


def progress(backfills: Iterable[Backfill]) -> dict[int, Counter[str]]:
    """Return for each backfill (by id) how many of its slots are in which state. One query."""
    found: dict[int, Counter[str]] = {backfill.pk: Counter() for backfill in backfills}
    rows = Occurrence.objects.filter(backfill__in=list(found)).values_list(
        "backfill", "decision", "pipeline_run__status"
    )
    for backfill_id, decision, status, count in rows.annotate(Count("id")).order_by():
        found[backfill_id][state_of(decision, status)] += count
    return found


def state_of(decision: str, status: str | None) -> str:
    if status is not None and decision == Decision.STARTED:
        return WORDS.get(RunStatus(status), status)
    return BY_DECISION.get(Decision(decision), "skipped")


def rows_in(backfill: Backfill, state: str = "") -> QuerySet[Occurrence]:
    """Return the rows of a backfill in its order, with their runs; only those in one of `STATES`, if given."""
    rows = Occurrence.objects.filter(backfill=backfill).select_related("pipeline_run")
    rows = rows.defer(*(f"pipeline_run__{name}" for name in ("variables", "variable_origins", "event", "retry_config")))
    rows = rows.order_by("-scheduled_for" if backfill.newest_first else "scheduled_for")
    in_state = Q(decision__in=[decision for decision in Decision if state_of(decision, None) == state])
    in_state &= ~Q(decision=Decision.STARTED) | Q(pipeline_run=None)
    statuses = [status for status in RunStatus if state_of(Decision.STARTED, status) == state]
    if statuses:
        in_state |= Q(decision=Decision.STARTED, pipeline_run__status__in=statuses)
    return rows.filter(in_state) if state else rows


def forecast(backfill: Backfill, counts: Mapping[str, int], moment: datetime) -> Forecast:
    """Say when the rest may be done: so many runs, as long as the last ones took, so many at a time."""
    left = counts.get("waiting", 0) + counts.get("running", 0)
    if not left or backfill.state not in ("running", "paused"):
        return Forecast(None, None, None)
    took = recent_duration(backfill.pipeline_id)
    if took is None:
        return Forecast(None, None, None)
    remaining = -(-left // lanes(backfill)) * took
    return Forecast(took, remaining, moment + remaining if backfill.state == "running" else None)


def recent_duration(pipeline_id: int) -> timedelta | None:
    completed = PipelineRun.objects.filter(pipeline=pipeline_id, status=RunStatus.COMPLETED).order_by("-id")
    times = [
        end - begin
        for begin, end in completed.values_list("started_at", "completed_at")[:RECENT]
        if begin is not None and end is not None
    ]
    return sum(times, timedelta()) / len(times) if times else None


def lanes(backfill: Backfill) -> int:
    """Return how many of its runs can go on at a time: its own limit, or that of all runs of the pipeline."""
    version = backfill.pipeline.current_version
    limits = (version.settings.get("concurrency_config") or {}) if version else {}
    return min(backfill.run_limit, int(limits.get("pipeline_run_limit_all_triggers") or backfill.run_limit))
