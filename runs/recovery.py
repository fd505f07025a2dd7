"""Finding what was lost and setting it going again: the second look that makes a lost hint or worker harmless."""

from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from runs import advancing, attempts, bell, events, history, lifecycle, restarts, slas
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus

BATCH = 200
TIMERS_AT_ONCE = 5000  # what is left comes at the next look, at once
REPEAT_BELL_AFTER = timedelta(seconds=10)


def sweep(moment: datetime) -> int:
    """Repair what can be repaired now; return how many rows were. Cheap when all is well (a few indexed looks)."""
    repaired = take_back_lost(moment) + end_overdue(moment) + unstick(moment) + start_held(moment)
    if BlockRun.objects.filter(queued_at__lt=moment - REPEAT_BELL_AFTER).has_queued():
        bell.ring("queue")
    return repaired


def due_timers(moment: datetime) -> datetime | None:
    """Queue the waiting block runs whose time has come; return when the next is due."""
    if BlockRun.objects.due(moment).exists():
        queue_due(moment)
    timed = BlockRun.objects.filter(status=BlockStatus.WAITING, next_attempt_at__isnull=False)
    waiting = timed.order_by("next_attempt_at")
    deadlines = PipelineRun.objects.filter(status=RunStatus.RUNNING, deadline_at__gt=moment).order_by("deadline_at")
    moments = [
        waiting.values_list("next_attempt_at", flat=True).first(),
        deadlines.values_list("deadline_at", flat=True).first(),
        slas.note_passed(moment),
    ]
    return min((found for found in moments if found), default=None)


def queue_due(moment: datetime) -> None:
    """Queue what is due, all but what somebody holds, who may be ending its run: to wait for that in turn is a knot."""
    with transaction.atomic():
        due = BlockRun.objects.due(moment).select_for_update(skip_locked=True, no_key=True).order_by("next_attempt_at")
        held = BlockRun.objects.filter(pk__in=list(due.values_list("pk", flat=True)[:TIMERS_AT_ONCE]))
        if held.move_to(BlockStatus.WAITING, BlockStatus.QUEUED, queued_at=moment, next_attempt_at=None):
            events.publish_work()


def take_back_lost(moment: datetime) -> int:
    """Queue again what workers held whose lease has run out; fail what has cost too many workers."""
    lost = list(BlockRun.objects.owned_by_lost_workers(moment).order_by("worker_id", "id")[:BATCH])
    return sum(take_back(block_run, moment) for block_run in lost)


def take_back(block_run: BlockRun, moment: datetime) -> bool:
    """Take one block run away from its owner, who is fenced by the raised attempt."""
    with transaction.atomic():
        run = advancing.lock(block_run.pipeline_run_id)
        # A stream may lose a worker now and then in the years that it goes on.
        lost_before = block_run.losses
        if restarts.is_stream(block_run):
            lost_before = restarts.counted(lost_before, block_run.started_at, moment)
        losses = lost_before + 1
        if losses >= settings.LOST_WORKER_ATTEMPTS:
            error = {"type": "WorkerLost", "message": f"its worker died {losses} times while the block ran"}
            moved = attempts.fail(run, block_run, error, {}, moment)
            if moved:
                lifecycle.see_to_what_it_held(run, block_run, moment)
                lifecycle.go_on(run, moment, finished=block_run)
        else:
            moved = queue_again(run, block_run, losses, moment)
        if moved:
            events.note(run, "worker_lost", moment, block_run.block_uuid, block_run=block_run, losses=losses)
            events.publish_run(run.pk)
    return moved


def queue_again(run: PipelineRun, block_run: BlockRun, losses: int, moment: datetime) -> bool:
    was = copy(block_run)
    fields: dict[str, Any] = {"worker_id": None, "queued_at": moment, "losses": losses}
    reason = "its worker was lost; taken up again"
    moved = block_run.move_to(BlockStatus.QUEUED, next_attempt=True, reason=reason, **fields)
    if moved:
        history.keep([was], moment, run_attempt=run.attempt, ended_as=history.LOST, reason="its worker was lost")
    events.publish_work()
    return moved


def end_overdue(moment: datetime) -> int:
    overdue = PipelineRun.objects.filter(status=RunStatus.RUNNING, deadline_at__lte=moment).order_by("id")[:BATCH]
    return sum(lifecycle.time_out(run, moment=moment) for run in overdue)


def unstick(moment: datetime) -> int:
    """Advance running runs in which nothing is queued, runs or waits: there must be a way forward, or an end."""
    active = BlockRun.objects.of_graph().filter(
        pipeline_run=OuterRef("pk"),
        status__in=(BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING),
        members_total=None,  # one that waits for its members does nothing itself
    )
    stuck = list(
        PipelineRun.objects.unfinished().filter(status=RunStatus.RUNNING).exclude(Exists(active)).order_by("id")[:BATCH]
    )
    for run in stuck:
        with transaction.atomic():
            lifecycle.go_on(advancing.lock(run.pk), moment)
    return len(stuck)


def start_held(moment: datetime) -> int:
    """Start runs that waited for a limit and may start now: a finish that should have done so may be lost."""
    held = PipelineRun.objects.unfinished().filter(status=RunStatus.INITIAL).order_by()
    pipelines = list(held.values_list("pipeline_id", flat=True).distinct()[:BATCH])
    return sum(lifecycle.start_held(pipeline_id, moment) for pipeline_id in pipelines)
