"""Why is this run not running? Or if it is: which of its blocks is not, and why? Changes nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Q

from runs import admission
from runs.limits import Gate
from runs.models import PipelineRun
from runs.reasons.explanations import Check, Explanation, counted, first_shut, listed, run_link
from runs.reasons.presence import executor_check, scheduler_check, worker_check
from runs.reasons.why_blocks import why_running
from runs.states import RunStatus

TYPICAL_OF = 20  # completed runs from which the end of a running one is expected
NAMED = 5


def why(run: PipelineRun, moment: datetime) -> Explanation:
    """Say of any run what it does or what it waits for; there is always an answer."""
    if run.is_finished:
        return finished(run)
    if run.status == RunStatus.INITIAL:
        return why_initial(run, moment)
    return why_running(run, moment)


def finished(run: PipelineRun) -> Explanation:
    when = f" at {run.completed_at:%Y-%m-%d %H:%M:%S} UTC" if run.completed_at else ""
    summary = f"It is over: {run.status}{when}.{f' {run.reason}' if run.reason else ''}"
    return Explanation(summary=summary, checks=(Check(name="unfinished", passed=False, detail=summary),))


def why_initial(run: PipelineRun, moment: datetime) -> Explanation:
    """Say what keeps an accepted run from its start."""
    gates = gate_checks(admission.gates_of(run, moment, is_new=False), moment)
    rest = (
        ahead_check(run),
        executor_check([run.executor, *run.block_runs.order_by().values_list("executor", flat=True).distinct()]),
        scheduler_check(moment),
        worker_check(moment),
    )
    shut = first_shut(gates)
    if shut:
        summary = shut.detail
    elif (scheduler := rest[2]).passed is False:
        summary = f"It may start, but nobody looks. {scheduler.detail}"
    else:
        summary = "Nothing stands in its way: the scheduler starts it at its next look, within seconds."
    return Explanation(summary=summary, checks=(*gates, *rest))


def gate_checks(gates: Sequence[Gate], moment: datetime) -> tuple[Check, ...]:
    """Tell the gates of a start as conditions, with when the run in the way should be over."""
    ends = expected_ends([gate.blocker for gate in gates if gate.blocker], moment)
    checks = [
        Check(
            name=gate.name,
            passed=gate.is_open,
            detail=gate.reason or OPEN.get(gate.name, "There is room."),
            blockers=(run_link(gate.blocker),) if gate.blocker else (),
            clears_at=gate.until or ends.get(gate.blocker or 0),
        )
        for gate in gates
    ]
    if not any(gate.name.startswith("limit") for gate in gates):
        checks.append(Check(name="limits", passed=True, detail="No limit applies to it."))
    return tuple(checks)


OPEN = {"overlap": "No earlier run keeps it from starting.", "window": "No maintenance window holds it."}


def ahead_check(run: PipelineRun) -> Check:
    """Which runs of the pipeline that wait too go first?"""
    earlier = Q(execution_date__lt=run.execution_date) | Q(execution_date=run.execution_date, pk__lt=run.pk)
    before = Q(priority__lt=run.priority) | Q(priority=run.priority) & earlier
    waiting = PipelineRun.objects.filter(before, pipeline_id=run.pipeline_id, status=RunStatus.INITIAL)
    ids = list(waiting.exclude(pk=run.pk).order_by("priority", "execution_date", "id").values_list("pk", flat=True))
    if not ids:
        return Check(name="priority", passed=True, detail="Of the runs that wait it is the first in line.")
    first = listed([f"run {run_id}" for run_id in ids], NAMED)
    return Check(
        name="priority",
        passed=None,
        detail=f"{counted(len(ids), 'run')} of this pipeline {'goes' if len(ids) == 1 else 'go'} first: {first}.",
        blockers=tuple(run_link(run_id) for run_id in ids[:NAMED]),
    )


def expected_ends(run_ids: Iterable[int], moment: datetime) -> dict[int, datetime]:
    """Return when running runs should end: as long after their start as their pipeline's last runs took.

    One that has taken longer than that already has no entry: nobody knows.
    """
    found = {}
    going_on = PipelineRun.objects.filter(pk__in=list(run_ids), started_at__isnull=False)
    for run_id, pipeline_id, started_at in going_on.values_list("pk", "pipeline_id", "started_at"):
        completed = PipelineRun.objects.filter(pipeline_id=pipeline_id, status=RunStatus.COMPLETED)
        spans = completed.order_by("-id").values_list("started_at", "completed_at")[:TYPICAL_OF]
        taken = [(end - begin).total_seconds() for begin, end in spans if begin and end]
        end = started_at + timedelta(seconds=median(taken)) if taken and started_at else moment
        if end > moment:
            found[run_id] = end
    return found
