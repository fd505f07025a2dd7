"""What a simulation starts from: the active schedules, how long their runs took, workers, maintenance windows."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from executors import registry
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.models import Worker, WorkerKind
from schedules import forecasts
from schedules.days.calendars import Shelf
from schedules.days.maintenance import Effect, MaintenanceWindow
from schedules.days.windows import OpenWindow, read
from schedules.models import PipelineSchedule, ScheduleType
from schedules.policies import Settings
from schedules.queueing import limits_of
from schedules.reckoning import TICK
from schedules.simulating.simulation import Hold, Span, Trigger
from schedules.timing import quantile

DEFAULT_DURATION = timedelta(seconds=60)
LOOKED_AT = 20  # past runs of each trigger or pipeline
OPENINGS_AT_MOST = 2000


@dataclass(frozen=True)
class Recorded:
    """The triggers as a simulation wants them; `sources` counts where their durations come from, `left_out` says what
    was not taken along and why."""

    triggers: list[Trigger]
    sources: dict[str, int]
    left_out: dict[str, str]


def recorded(begin: datetime, *, share: float = 0.5, pks: Collection[int] | None = None) -> Recorded:
    """Read the active time schedules (of `pks`, if given); nothing of them is decided yet from `begin` on.

    `share` is the quantile of past durations that a run is expected to take.
    """
    rows = PipelineSchedule.objects.active().filter(schedule_type=ScheduleType.TIME).order_by("id").ready_to_start()
    rows = rows if pks is None else rows.filter(pk__in=pks)
    known, left_out = {}, {}
    schedules = list(rows)
    for schedule in schedules:
        try:
            known[schedule.pk] = schedule.checked_settings()
            if problem := schedule.problem:
                left_out[str(schedule.pk)] = problem
        except Refusal as refusal:
            left_out[str(schedule.pk)] = str(refusal)
    taken, sources = durations([each for each in schedules if each.pk in known], share)
    leads, shelf = forecasts.leads(known), Shelf()
    triggers = []
    for schedule in schedules:
        if str(schedule.pk) in left_out:
            continue
        try:
            lead = leads.get(schedule.pk, timedelta(0))
            triggers.append(trigger_of(schedule, known[schedule.pk], taken[schedule.pk], lead, begin, shelf))
        except Refusal as refusal:
            left_out[str(schedule.pk)] = str(refusal)
    return Recorded(triggers, sources, left_out)


def trigger_of(
    schedule: PipelineSchedule, settings: Settings, duration: timedelta, lead: timedelta, begin: datetime, shelf: Shelf
) -> Trigger:
    timing = schedule.timing(lead, shelf)
    version = schedule.pipeline.current_version
    of_pipeline = version.settings if version else {}
    variables = schedule.variables if isinstance(schedule.variables, dict) else {}
    return Trigger(
        pk=schedule.pk,
        name=schedule.name,
        pipeline_id=schedule.pipeline_id,
        pipeline=schedule.pipeline.uuid,
        timing=timing,
        duration=duration,
        decided_until=begin - TICK - timing.shift,
        settings=settings,
        limits=limits_of(settings),
        config=of_pipeline.get("concurrency_config") or {},
        variables={**(of_pipeline.get("variables") or {}), **variables},
        sla=schedule.sla,
    )


def durations(schedules: Iterable[PipelineSchedule], share: float) -> tuple[dict[int, timedelta], dict[str, int]]:
    """Return what a run of each is expected to take: as before, as its pipeline's others, else a minute."""
    rows = list(schedules)
    own = forecasts.durations(PipelineSchedule.objects.filter(pk__in=[row.pk for row in rows]), "trigger_id", LOOKED_AT)
    without = {row.pipeline_id for row in rows if not own[row.pk]}
    of_pipeline = forecasts.durations(Pipeline.objects.filter(pk__in=without), "pipeline", LOOKED_AT)
    found, sources = {}, {"trigger": 0, "pipeline": 0, "default": 0}
    for row in rows:
        values = own[row.pk] or of_pipeline.get(row.pipeline_id, [])
        sources["trigger" if own[row.pk] else "pipeline" if values else "default"] += 1
        found[row.pk] = timedelta(seconds=quantile(values, share)) if values else DEFAULT_DURATION
    return found, sources


def worker_slots(moment: datetime) -> int:
    """Return how many runs the workers that are alive take at a time; what is set, while none is."""
    return Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).count() or int(settings.WORKERS)


def holds(begin: datetime, end: datetime, triggers: Collection[Trigger]) -> list[Hold]:
    """Return the spans in which maintenance windows hold starts, with the triggers that they concern."""
    found = []
    about = described(triggers)
    for window in MaintenanceWindow.objects.possible(begin).exclude(effect=Effect.MUTE_ALERTS):
        covered = OpenWindow(window.pk, window.name, window.reason, end, window.scope, window.value, window.effect)
        pks = frozenset(
            pk for pk, (uuid, tags, name) in about.items() if covered.covers(pipeline=uuid, tags=tags, executor=name)
        )
        if pks:
            found += [Hold(*span, pks, f"Maintenance window {window.name}.") for span in spans_of(window, begin, end)]
    return found


def spans_of(window: MaintenanceWindow, begin: datetime, end: datetime) -> Iterator[Span]:
    span = read(window, lambda each: each.opening_at(begin))
    if span:
        yield span
    moment = begin
    for _ in range(OPENINGS_AT_MOST):
        span = read(window, lambda each: each.next_opening(moment))  # noqa: B023 - called at once
        if span is None or span[0] > end:
            return
        yield span
        moment = span[0]


def described(triggers: Collection[Trigger]) -> dict[int, tuple[str, list[str], str]]:
    """Return pipeline, tags and executor by trigger: what windows choose by."""
    rows = PipelineSchedule.objects.filter(pk__in=[each.pk for each in triggers]).ready_to_start()
    found = {}
    for row in rows:
        version = row.pipeline.current_version
        name = version.settings.get("executor_type") if version else None
        try:
            executor = registry.canonical(name)
        except registry.UnknownExecutor:
            executor = str(name)
        found[row.pk] = (row.pipeline.uuid, [*row.pipeline.tags, *row.tags], executor)
    return found
