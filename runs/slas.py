"""Service levels: when a run or a block should be finished, and the one event that says that it was not.

The scheduler looks for what is unfinished past its time; what ends late between two looks says so as it ends.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from runs import events
from runs.models import BlockRun, Origin, PipelineRun

BATCH = 200


def deadline_of(run: PipelineRun) -> datetime | None:
    """Return when a new run should be finished: its SLA after the moment it stands for, if a schedule started it.

    What is started for an older moment (a backfill, an API call) has its time from when it was asked for.
    """
    if run.sla is None:
        return None
    return (run.execution_date if run.origin == Origin.SCHEDULE else run.created_at) + run.sla


def set_deadlines(block_runs: Iterable[BlockRun], started_at: datetime) -> list[BlockRun]:
    """Count the blocks' SLAs from the start of their run; return those that have one, changed but not stored."""
    timed = [row for row in block_runs if row.config.get("sla")]
    for row in timed:
        row.sla_at, row.passed_sla = started_at + timedelta(seconds=row.config["sla"]), False
    return timed


def restart(run: PipelineRun, moment: datetime) -> None:
    """Count the SLAs of the unfinished blocks of a stored run from now: it starts, or starts again."""
    with_sla = run.block_runs.unfinished().exclude(config__sla=None)
    BlockRun.objects.bulk_update(set_deadlines(with_sla, moment), ["sla_at", "passed_sla"])


def note_passed(moment: datetime) -> datetime | None:
    """Say of everything unfinished that is past its time that it is; return when the next will be."""
    blocks = BlockRun.objects.unfinished().filter(passed_sla=False, sla_at__isnull=False).order_by("sla_at")
    runs = PipelineRun.objects.unfinished().filter(passed_sla=False, sla_at__isnull=False).order_by("sla_at")
    for block_run in blocks.filter(sla_at__lte=moment).select_related("pipeline_run")[:BATCH]:
        say_late(block_run.pipeline_run, moment, block_run)
    for run in runs.filter(sla_at__lte=moment)[:BATCH]:
        say_late(run, moment)
    following = [found.values_list("sla_at", flat=True).filter(sla_at__gt=moment).first() for found in (blocks, runs)]
    return min((at for at in following if at), default=None)


def has_ended_late(row: PipelineRun | BlockRun, moment: datetime) -> bool:
    return row.sla_at is not None and not row.passed_sla and moment > row.sla_at


def say_late(run: PipelineRun, moment: datetime, block_run: BlockRun | None = None) -> None:
    """Write the one event about the run, or about the block run of it; nothing if somebody else has."""
    late = block_run or run
    assert late.sla_at is not None
    what = f"block {block_run.block_uuid}" if block_run else "the run"
    state = "is not finished" if not late.is_finished else f"has {late.status} late"
    with transaction.atomic():
        if not type(late)._default_manager.filter(pk=late.pk, passed_sla=False).update(passed_sla=True):
            return
        late.passed_sla = True
        message = f"{what} {state}; it should have been by {late.sla_at:%Y-%m-%d %H:%M:%S} UTC"
        events.note(run, "sla_passed", moment, message, block_run=block_run)
        events.publish_run(run.pk)
