"""The cadence that a trigger really has beside the one it declares, and what makes the difference.

Declared is the spacing of the moments that its runs stand for, real the spacing of their starts: medians, so that one
pause or one long night does not count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from django.db.models import Count, Min

from runs.models import BlockRun, Origin, PipelineRun
from schedules.models import PipelineSchedule
from schedules.policies import Overlap, Settings
from schedules.timing import steady_jitter

LEAST = 5  # runs; fewer say nothing
LOOKED_AT = 20  # runs for the page and the API
TOLERATED = 0.1  # share of the declared spacing
ONE_BY_ONE = (Overlap.SKIP, Overlap.WAIT_ONE, Overlap.WAIT_ALL)


@dataclass(frozen=True)
class Drift:
    """Spans: between moments, between starts, from a moment to its start, from a start to the end. `runs` were
    looked at. `reason` says in words why it drifts; `cause` is "running", "waiting" or "not_started"."""

    declared: timedelta
    real: timedelta
    waiting: timedelta
    running: timedelta
    runs: int
    cause: str = ""
    reason: str = ""

    @property
    def share(self) -> float:
        """How much longer the real spacing is, as a share of the declared one: 2.0 is three times as long."""
        return self.real / self.declared - 1

    @property
    def is_drifting(self) -> bool:
        return self.share > TOLERATED

    @property
    def summary(self) -> str:
        if not self.is_drifting:
            return f"Every {about(self.declared)}, as declared."
        return f"Every {about(self.declared)} really runs every {about(self.real)}: {self.reason}."


def drift_of(
    schedule: PipelineSchedule, runs: Iterable[PipelineRun], concurrency: Mapping[str, Any] | None = None
) -> Drift | None:
    """Compare the last runs of a trigger with its moments; None when there are too few, or it has no moments.

    `concurrency` is the pipeline's concurrency_config, where it is at hand. Asks the database nothing.
    """
    on_time = [run for run in runs if run.origin == Origin.SCHEDULE and run.backfill_id is None]
    told = sorted((run for run in on_time if run.started_at), key=lambda run: run.execution_date)
    if len(told) < LEAST:
        return None
    # The last one's spacing is not over: nothing can be compared with it.
    moments = [run.interval_end - run.execution_date for run in told[:-1] if run.interval_end]
    starts = sorted(run.started_at for run in told if run.started_at)
    if len(moments) < LEAST - 1:
        return None
    declared = middle(moments)
    real = middle([later - earlier for earlier, later in zip(starts, starts[1:], strict=False)])
    settings = settings_of(schedule)
    shift = steady_jitter(schedule.pk, settings.jitter)
    waits = [run.started_at - run.execution_date - shift for run in told if run.started_at]
    taken = [run.completed_at - run.started_at for run in told if run.completed_at and run.started_at]
    waiting, running = max(middle(waits), timedelta(0)), middle(taken) if taken else timedelta(0)
    found = Drift(declared, real, waiting, running, len(told))
    if not found.is_drifting:
        return found
    cause, reason = why(found, settings, concurrency or {})
    return Drift(declared, real, waiting, running, len(told), cause, reason)


def why(drift: Drift, settings: Settings, concurrency: Mapping[str, Any]) -> tuple[str, str]:
    """Say what makes the difference: runs that are too long for their places, a wait, or moments without a run."""
    takes = f"runs take {about(drift.running)}"
    places, policy = places_of(settings, concurrency)
    if places and drift.running >= (1 - TOLERATED) * places * drift.declared:
        many = "one run" if places == 1 else f"{places} runs"
        return "running", f"{takes} and {policy} lets {many} go on at a time"
    if drift.waiting > TOLERATED * drift.declared:
        return "waiting", f"they start {about(drift.waiting)} after their moments, for want of room or of workers"
    if drift.running >= drift.declared:
        return "running", f"{takes}, longer than the time between them"
    return "not_started", "moments were skipped, missed or held; the ledger says why"


def places_of(settings: Settings, concurrency: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return how many runs may go on at a time, and the name of what says so."""
    if settings.overlap_policy in ONE_BY_ONE:
        return 1, settings.overlap_policy.value
    if settings.pipeline_run_limit:
        return settings.pipeline_run_limit, "its limit"
    limits = [concurrency.get(name) for name in ("pipeline_run_limit", "pipeline_run_limit_all_triggers")]
    return min((int(limit) for limit in limits if limit), default=None), "the pipeline's limit"


def settings_of(schedule: PipelineSchedule) -> Settings:
    try:
        return schedule.checked_settings()
    except ValueError:  # it is set aside for that; its runs are what they were
        return Settings()


def middle(spans: Sequence[timedelta]) -> timedelta:
    return timedelta(seconds=median(span.total_seconds() for span in spans))


def about(span: timedelta) -> str:
    """Return a span in words, not too exactly: "45 s", "28 min", "1 h 30 min", "2 d"."""
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        days, over = divmod(hours, 24)
        return f"{days} d {over} h" if over else f"{days} d"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


# --- one trigger, with all that the database knows ------------------------------------------------------------------


@dataclass(frozen=True)
class Cadence:
    """The drift of one trigger (None: not to be told), how long its blocks queued for a worker first, and what became
    of the moments of that stretch: decision → count."""

    drift: Drift | None
    queued: timedelta
    decisions: Mapping[str, int]

    @property
    def summary(self) -> str:
        return self.drift.summary if self.drift else f"Too few runs to tell: it takes {LEAST} that were due by time."


def cadence(schedule: PipelineSchedule) -> Cadence:
    """Look at the last 20 runs of a trigger that were due by time."""
    due = PipelineRun.objects.filter(trigger_id=schedule.pk, origin=Origin.SCHEDULE, backfill_id=None)
    runs = list(due.for_strip().order_by("-id")[:LOOKED_AT])
    version = schedule.pipeline.current_version
    concurrency = version.settings.get("concurrency_config") if version else None
    begins = BlockRun.objects.of_graph().filter(pipeline_run__in=runs, first_started_at__isnull=False).order_by()
    first = dict(begins.values_list("pipeline_run").annotate(Min("first_started_at")))
    waits = [first[run.pk] - run.started_at for run in runs if run.started_at and run.pk in first]
    since = min((run.execution_date for run in runs), default=None)
    rows = schedule.occurrences.filter(backfill=None).order_by()
    counts = rows.filter(scheduled_for__gte=since).values_list("decision").annotate(Count("id")) if since else ()
    queued = max(middle(waits), timedelta(0)) if waits else timedelta(0)
    return Cadence(drift_of(schedule, runs, concurrency), queued, dict(counts))
