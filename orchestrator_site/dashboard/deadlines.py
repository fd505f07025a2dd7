"""Which deadlines are at risk: what should be finished by when, beside how long it usually takes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runs.figures.history_of_blocks import percentile
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.models import PipelineSchedule

SOON = timedelta(minutes=10)  # before its deadline a run without history is at risk
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Usual:
    """How long completed runs took: half of them at most `half`, 19 of 20 at most `most`."""

    half: timedelta
    most: timedelta
    runs: int


@dataclass(frozen=True)
class Risk:
    """Something that should be done by `due`. `state` is "past", "late" (expected after it), "tight" (19 of 20 times
    before it is not) or "unknown"; `kind` "SLA" or "timeout". It is of a run, or of a schedule's next moment."""

    pipeline: str
    kind: str
    due: datetime
    state: str
    expected: datetime | None = None
    latest: datetime | None = None
    run: PipelineRun | None = None
    schedule: PipelineSchedule | None = None

    @property
    def look(self) -> str:
        """The word of `{% state %}`."""
        return LOOKS[self.state]


def usual(strip: Iterable[PipelineRun]) -> Usual | None:
    """Return how long runs take; None if none of them completed."""
    took = [
        (run.completed_at - run.started_at).total_seconds()
        for run in strip
        if run.status == RunStatus.COMPLETED and run.started_at and run.completed_at
    ]
    half, most = percentile(took, 0.5), percentile(took, 0.95)
    if half is None or most is None:
        return None
    return Usual(timedelta(seconds=half), timedelta(seconds=most), len(took))


def judge(due: datetime, begin: datetime, moment: datetime, known: Usual | None) -> str:
    """Say how a deadline stands: "past", "late", "tight", "unknown", or "" when there is time enough."""
    if due <= moment:
        return "past"
    if known is None:
        return "unknown" if due - moment < SOON else ""
    if begin + known.half > due:
        return "late"
    return "tight" if begin + known.most > due else ""


def of_runs(runs: Iterable[PipelineRun], known: Mapping[int, Usual | None], moment: datetime) -> list[Risk]:
    """Return the deadlines at risk of runs that go on or wait."""
    found = []
    for run in runs:
        begin, usually = run.started_at or moment, known.get(run.pipeline_id)
        for kind, due in (("SLA", run.sla_at), ("timeout", run.deadline_at)):
            if due and (state := judge(due, begin, moment, usually)):
                ends = forecast(begin, moment, usually)
                found.append(Risk(run.pipeline.uuid, kind, due, state, *ends, run=run))
    return found


def of_moments(
    schedules: Iterable[PipelineSchedule], known: Mapping[int, Usual | None], moment: datetime
) -> list[Risk]:
    """Return the SLAs of moments of the coming day that are shorter than their runs usually take."""
    found = []
    for schedule in schedules:
        begin, usually = schedule.next_due_at, known.get(schedule.pipeline_id)
        if schedule.sla is None or begin is None or not moment < begin < moment + DAY or usually is None:
            continue
        due = begin + schedule.sla
        if state := judge(due, begin, moment, usually):
            ends = forecast(begin, moment, usually)
            found.append(Risk(schedule.pipeline.uuid, "SLA", due, state, *ends, schedule=schedule))
    return found


def forecast(begin: datetime, moment: datetime, known: Usual | None) -> tuple[datetime | None, datetime | None]:
    """Return when it is expected to be done, and by when 19 of 20 times; None where the time has passed already."""
    if known is None:
        return None, None
    expected, latest = begin + known.half, begin + known.most
    return (expected if expected > moment else None), (latest if latest > moment else None)


def in_order(risks: Sequence[Risk]) -> list[Risk]:
    """What is past or cannot be met any more first, then by time."""
    return sorted(risks, key=lambda risk: (ORDER.index(risk.state), risk.due))


LOOKS = {"past": "past its deadline", "late": "will be late", "tight": "may be late", "unknown": "not known"}
ORDER = ("past", "late", "tight", "unknown")
