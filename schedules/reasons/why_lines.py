"""One line for each trigger of a list that is late or held up: why. A constant number of queries for any list."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Count, Exists, Min, OuterRef

from runs.models import BlockRun, PipelineRun
from runs.reasons.explanations import at, counted
from runs.reasons.presence import scheduler_check
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.reasons.why_conditions import is_late

MOST_RUNS = 1000


def lines(schedules: Sequence[PipelineSchedule], moment: datetime) -> dict[int, str]:
    """Return why triggers are late or held up, by id; those that are as they should be have no line.

    Of several reasons the first counts: late, moments that wait, runs that wait, runs of which nothing runs, held.
    """
    ids = [schedule.pk for schedule in schedules]
    found: dict[int, str] = {}
    if not ids:
        return found
    for source in (of_late(schedules, moment), of_waiting(ids), of_initial(ids), of_idle(ids), of_held(ids)):
        found = source | found
    return found


def of_late(schedules: Iterable[PipelineSchedule], moment: datetime) -> dict[int, str]:
    late = [schedule for schedule in schedules if is_late(schedule, moment)]
    if not late:
        return {}
    keeper = scheduler_check(moment)
    why = "the scheduler has not come to it yet." if keeper.passed else "no scheduler is alive."
    return {each.pk: f"Due since {at(each.next_due_at)}, but {why}" for each in late if each.next_due_at}


def of_waiting(ids: Sequence[int]) -> dict[int, str]:
    rows = Occurrence.objects.filter(schedule__in=ids, decision=Decision.WAITING, backfill=None).order_by()
    groups = list(rows.values_list("schedule_id").annotate(Count("id"), Min("id")))
    reasons = dict(Occurrence.objects.filter(pk__in=[first for _, _, first in groups]).values_list("pk", "reason"))
    return {
        schedule_id: f"{counted(count, 'moment')} waiting. {reasons.get(first, '')}".strip()
        for schedule_id, count, first in groups
        if schedule_id
    }


def of_held(ids: Sequence[int]) -> dict[int, str]:
    rows = Occurrence.objects.filter(decision=Decision.HELD, schedule__in=ids).order_by()
    counts = rows.values_list("schedule_id").annotate(Count("id"))
    return {pk: f"{counted(count, 'moment')} held until someone decides." for pk, count in counts if pk}


def of_initial(ids: Sequence[int]) -> dict[int, str]:
    runs = PipelineRun.objects.filter(status=RunStatus.INITIAL, trigger_id__in=ids, backfill_id=None).order_by("-id")
    rows = runs.values_list("trigger_id", "pk", "reason")[:MOST_RUNS]  # the oldest comes last and stays
    return {
        trigger_id: f"Run {run_id} {reason or 'waits to be started'}"
        for trigger_id, run_id, reason in rows
        if trigger_id
    }


def of_idle(ids: Sequence[int]) -> dict[int, str]:
    """Runs of which no block is at work: what the first of their blocks waits for."""
    at_work = BlockRun.objects.of_graph().filter(pipeline_run=OuterRef("pk"), status=BlockStatus.RUNNING)
    running = PipelineRun.objects.filter(status=RunStatus.RUNNING, trigger_id__in=ids, backfill_id=None)
    idle = dict(running.exclude(Exists(at_work)).order_by("-id").values_list("trigger_id", "pk")[:MOST_RUNS])
    if not idle:
        return {}
    blocks = BlockRun.objects.of_graph().filter(
        pipeline_run__in=idle.values(), status__in=(BlockStatus.QUEUED, BlockStatus.WAITING)
    )
    rows = blocks.order_by("-status", "-position").values_list(
        "pipeline_run_id", "block_uuid", "status", "queued_at", "next_attempt_at"
    )
    told = {}
    for run_id, uuid, status, queued_at, next_at in rows:  # the first queued one comes last and stays
        if status == BlockStatus.QUEUED:
            told[run_id] = f"{uuid} of run {run_id} waits for a worker{f' since {at(queued_at)}' if queued_at else ''}."
        else:
            told[run_id] = f"{uuid} of run {run_id} is tried again{f' at {at(next_at)}' if next_at else ''}."
    return {trigger_id: told[run_id] for trigger_id, run_id in idle.items() if trigger_id and run_id in told}
