"""The real scheduler on a virtual clock: `tick` at each moment at which its loop would, runs that end when told."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler
from schedules.models import Occurrence

Row = tuple[int | None, datetime, str, datetime | None]  # trigger, moment, decision, start of its run


def play(
    begin: datetime,
    end: datetime,
    durations: Mapping[int, timedelta],
    outages: Sequence[tuple[datetime, datetime]] = (),
) -> list[Row]:
    """Let time pass in `begin` <= t < `end`; return the ledger. `durations` are those of runs, by trigger."""
    timers = {begin, *(outage[1] for outage in outages)}
    due: datetime | None = None
    while True:
        ends = {run.pk: ended_at(run, durations) for run in unfinished()}
        planned = [awake(each, outages) for each in [*timers, *([due] if due else [])]]
        moment = min([*planned, *ends.values()], default=None)
        if moment is None or moment >= end:
            return ledger()
        for pk, at in ends.items():
            if at <= moment:
                PipelineRun.objects.filter(pk=pk).update(status=RunStatus.COMPLETED, completed_at=at)
        if awake(moment, outages) == moment:
            timers = {timer for timer in timers if timer > moment}
            due = scheduler.tick(moment).next_due


def unfinished() -> list[PipelineRun]:
    return list(PipelineRun.objects.unfinished().only("pk", "trigger_id", "started_at"))


def ended_at(run: PipelineRun, durations: Mapping[int, timedelta]) -> datetime:
    assert run.started_at is not None
    assert run.trigger_id is not None
    return run.started_at + durations[run.trigger_id]


def awake(moment: datetime, outages: Sequence[tuple[datetime, datetime]]) -> datetime:
    for begin, end in sorted(outages):
        if begin <= moment < end:
            moment = end
    return moment


def ledger() -> list[Row]:
    rows = Occurrence.objects.values_list("schedule_id", "scheduled_for", "decision", "pipeline_run__started_at")
    return sorted(rows, key=lambda row: (row[0] or 0, row[1]))
