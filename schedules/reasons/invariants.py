"""What must never be, looked for in the database: a moment that nobody decides about, a run with no way forward.

`find` asks a constant number of questions, each answered by an index: its cost grows with what goes on, not with what
exists. The scheduler asks every half minute.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from pipelines.refusal import Refusal
from runs import admission
from runs.limits import NO_LIMITS, Limits
from runs.limits import gates as gates_of_start
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind
from runs.reasons.presence import OLD_LOOP
from runs.states import RUN_FINISHED, BlockStatus, RunStatus
from schedules.days.calendars import Shelf
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType
from schedules.timing import Timing

logger = logging.getLogger(__name__)
GRACE = timedelta(seconds=60)  # what is put right within this is no finding
LATELY = timedelta(minutes=10)  # runs that ended and starts that were made since are looked at
MOST = 20  # of a kind
LOOKED_AT = 200  # candidates of a kind that have to be looked at one by one
GOING_ON = (BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)


# Of what is above, which this does not know: what must never be there.
FURTHER: list[Callable[[datetime], "list[Finding]"]] = []


@dataclass(frozen=True)
class Finding:
    """Something that must never be. `kind` is a stable word; `subject` is "schedule", "run" or "occurrence"."""

    kind: str
    subject: str
    id: int
    detail: str

    @property
    def key(self) -> tuple[str, int]:
        return self.kind, self.id

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "subject": self.subject, "id": self.id, "detail": self.detail}


def find(moment: datetime) -> list[Finding]:
    """Return what is wrong now, at most 20 of a kind."""
    found = [
        *unplanned(moment),
        *overdue(moment),
        *without_way_forward(moment),
        *not_let_in(moment),
        *past_deadline(moment),
        *ended_with_open_blocks(moment),
        *started_without_run(moment),
        *over_limit(moment),
    ]
    return found + [finding for look in FURTHER for finding in look(moment)]


# --- schedules ------------------------------------------------------------------------------------------------------


def nothing_due(moment: datetime) -> QuerySet[PipelineSchedule]:
    """Active time schedules that are well, planned, not over, and due at no time."""
    found = PipelineSchedule.objects.filter(is_active=True, next_due_at=None, problem="")
    timed = found.filter(schedule_type=ScheduleType.TIME, last_enabled_at__lt=moment - GRACE)
    return timed.filter(Q(end_time=None) | Q(end_time__gte=moment)).order_by("-id")


def unplanned(moment: datetime) -> list[Finding]:
    found, shelf = [], Shelf()
    for schedule in nothing_due(moment)[:LOOKED_AT]:
        try:
            timing = Timing(schedule.timetable(shelf), enabled_at=schedule.last_enabled_at)
            coming = timing.next_due(schedule.decided_until or moment)
        except Refusal as refusal:
            detail = f"The trigger {schedule.name} is due at no time, and is not set aside: {refusal}"
            found.append(Finding("unplanned", "schedule", schedule.pk, detail))
            continue
        if coming is not None:
            when = f"{coming:%Y-%m-%d %H:%M} UTC"
            detail = f"The trigger {schedule.name} has a coming moment, {when}, but is due at no time."
            found.append(Finding("unplanned", "schedule", schedule.pk, detail))
    return found[:MOST]


def late(moment: datetime) -> QuerySet[PipelineSchedule]:
    return PipelineSchedule.objects.due(moment - GRACE)


def overdue(moment: datetime) -> list[Finding]:
    """Moments that nobody has decided about although a scheduler is alive."""
    if not keepers(moment).exists():
        return []
    return [
        Finding("overdue", "schedule", pk, f"The trigger {name} has been due since {due:%Y-%m-%d %H:%M:%S} UTC.")
        for pk, name, due in late(moment).values_list("pk", "name", "next_due_at")[:MOST]
    ]


def keepers(moment: datetime) -> QuerySet[Worker]:
    """Schedulers that get round their loop."""
    return Worker.objects.filter(kind=WorkerKind.SCHEDULER, stopped_at=None, last_loop_at__gte=moment - OLD_LOOP)


# --- runs -----------------------------------------------------------------------------------------------------------


def idle_runs(moment: datetime) -> QuerySet[PipelineRun]:
    """Running runs of which nothing is queued, at work or waiting, and nothing was lately."""
    of_run = BlockRun.objects.of_graph().filter(pipeline_run=OuterRef("pk"))
    is_at_it = Q(status__in=GOING_ON, members_total=None)  # one that waits for its members does nothing itself
    active = of_run.filter(is_at_it | Q(completed_at__gt=moment - GRACE))
    running = PipelineRun.objects.filter(status=RunStatus.RUNNING, started_at__lt=moment - GRACE)
    return running.exclude(Exists(active)).order_by("id")


def without_way_forward(moment: datetime) -> list[Finding]:
    detail = "Run {} is running, but none of its blocks is queued, at work or waiting."
    ids = idle_runs(moment).values_list("pk", flat=True)[:MOST]
    return [Finding("stuck", "run", run_id, detail.format(run_id)) for run_id in ids]


def waiting_long(moment: datetime) -> QuerySet[PipelineRun]:
    """Runs that have waited to be started for longer than the grace, the most urgent first."""
    initial = PipelineRun.objects.filter(status=RunStatus.INITIAL, created_at__lt=moment - GRACE)
    wide = ("version__files", "pipeline__current_version__files", "event", "variable_origins")
    heads = initial.select_related("version", "pipeline__current_version").defer(*wide)
    return heads.order_by("priority", "execution_date", "id")


def not_let_in(moment: datetime) -> list[Finding]:
    """Runs that wait although every gate has been open for a while: the sweep starts those within seconds."""
    runs = list(waiting_long(moment)[:LOOKED_AT])
    if not runs:
        return []
    pipelines = {run.pipeline_id for run in runs}
    ended = PipelineRun.objects.filter(status__in=RUN_FINISHED, completed_at__gt=moment - GRACE)
    restless = set(ended.filter(pipeline_id__in=pipelines).order_by().values_list("pipeline_id", flat=True))
    ongoing = admission.ongoing_of(pipelines - restless)
    holds = [hold(moment - GRACE) for hold in admission.HOLDS] + [hold(moment) for hold in admission.HOLDS]
    found = []
    for run in runs:
        if run.pipeline_id in restless or not all(hold(run).is_open for hold in holds):
            continue
        others = [other for other in ongoing[run.pipeline_id] if other.run_id != run.pk]
        start = admission.start_of(run, is_new=False)
        if all(gate.is_open for gate in gates_of_start(start, admission.config_of(run), others)):
            detail = f"Run {run.pk} waits to be started, though nothing has stood in its way for a minute."
            found.append(Finding("not_started", "run", run.pk, detail))
    return found[:MOST]


def open_blocks(moment: datetime, status: BlockStatus = BlockStatus.QUEUED) -> QuerySet[BlockRun]:
    """Block runs that are queued (or at work, or waiting), of runs that are over."""
    ended = PipelineRun.objects.filter(pk=OuterRef("pipeline_run"), status__in=RUN_FINISHED)
    blocks = BlockRun.objects.of_graph()  # callbacks go on when the run is over
    return blocks.filter(Exists(ended.filter(completed_at__lt=moment - GRACE)), status=status).order_by()


def ended_lately(moment: datetime) -> QuerySet[PipelineRun]:
    """Runs that ended within the last minutes, some of whose blocks are not finished."""
    blocks = BlockRun.objects.of_graph()
    unfinished = blocks.filter(pipeline_run=OuterRef("pk"), status__in=(BlockStatus.INITIAL, *GOING_ON))
    lately = PipelineRun.objects.filter(status__in=RUN_FINISHED, completed_at__gt=moment - LATELY)
    return lately.filter(Exists(unfinished)).order_by()


def ended_with_open_blocks(moment: datetime) -> list[Finding]:
    ids = {*ended_lately(moment).values_list("pk", flat=True)[:MOST]}
    for status in GOING_ON:  # one by one: each has an index of its own
        ids |= {*open_blocks(moment, status).values_list("pipeline_run_id", flat=True)[:MOST]}
    detail = "Run {} is over, but some of its blocks are not."
    return [Finding("open_blocks", "run", run_id, detail.format(run_id)) for run_id in sorted(ids)[:MOST]]


def limited_runs(moment: datetime) -> QuerySet[PipelineRun]:
    """Runs that go on and whose triggers limit them, in the order in which they were started."""
    running = PipelineRun.objects.filter(status=RunStatus.RUNNING, trigger_id__isnull=False, backfill_id=None)
    return running.filter(started_at__lte=moment).exclude(limits={}).order_by("started_at", "id")


def over_limit(moment: datetime) -> list[Finding]:
    """Runs that were started although their trigger's limit was reached."""
    before: dict[int | None, list[int]] = {}
    found = []
    for run_id, trigger_id, raw in limited_runs(moment).values_list("pk", "trigger_id", "limits"):
        others = before.setdefault(trigger_id, [])
        most = allowed(Limits.from_json(raw))
        if most is not None and len(others) >= most:
            detail = (
                f"Run {run_id} was started while {len(others)} of its trigger went on; allowed are {most} at a time."
            )
            found.append(Finding("over_limit", "run", run_id, detail))
        others.append(run_id)
    return found[:MOST]


def allowed(limits: Limits) -> int | None:
    """Return how many runs of a trigger may go on at a time by what the newest of them says; None for any number."""
    if limits.overlap not in (NO_LIMITS.overlap, "cancel_other"):
        return 1
    return limits.run_limit


# --- the ledger -----------------------------------------------------------------------------------------------------


def expired(moment: datetime) -> QuerySet[Occurrence]:
    return Occurrence.objects.filter(decision=Decision.WAITING, expires_at__lt=moment - GRACE).order_by("expires_at")


def past_deadline(moment: datetime) -> list[Finding]:
    if not keepers(moment).exists():
        return []
    return [
        Finding("past_deadline", "occurrence", pk, f"A moment still waits, though its deadline was {at:%H:%M:%S} UTC.")
        for pk, at in expired(moment).values_list("pk", "expires_at")[:MOST]
    ]


def runless(moment: datetime) -> QuerySet[Occurrence]:
    """Starts of the last minutes that have no run. (An older one may have been removed since.)"""
    started = Occurrence.objects.filter(decision=Decision.STARTED, pipeline_run__isnull=True)
    return started.filter(decided_at__gt=moment - LATELY).order_by("decided_at")


def started_without_run(moment: datetime) -> list[Finding]:
    return [
        Finding("no_run", "occurrence", pk, f"The moment {at:%Y-%m-%d %H:%M:%S} UTC was started, but has no run.")
        for pk, at in runless(moment).values_list("pk", "scheduled_for")[:MOST]
    ]


# --- the watch ------------------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """What was found at the last look; says once that something is found, and once that it is gone."""

    found: dict[tuple[str, int], Finding] = field(default_factory=dict)

    def look(self, moment: datetime) -> Sequence[Finding]:
        """Look again; return what is wrong now."""
        now = {finding.key: finding for finding in find(moment)}
        for key in now.keys() - self.found.keys():
            logger.error("this must never be: %s", now[key].detail)
        for key in self.found.keys() - now.keys():
            logger.info("no longer so: %s", self.found[key].detail)
        self.found = now
        return list(now.values())


def told_by(schedulers: Iterable[Worker]) -> list[dict[str, Any]]:
    """Return what these schedulers found, each thing once."""
    found = {(each["kind"], each["id"]): each for scheduler in schedulers for each in scheduler.findings}
    return [found[key] for key in sorted(found)]
