"""What happened, told after the commit: rows for people and alerts, rings for open pages. The channel layer's door."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from runs import bell
from runs.many_rows import insert_all
from runs.models import BlockRun, Event, PipelineRun

END = "end"  # a ring of timers that is not urgent


def note(
    run: PipelineRun,
    kind: str,
    moment: datetime,
    message: str = "",
    *,
    block_run: BlockRun | None = None,
    **data: Any,
) -> None:
    """Write an event row in the current transaction."""
    Event.objects.create(
        pipeline_run=run, block_run=block_run, kind=kind, message=message[:500], data=data, happened_at=moment
    )


def note_all(runs: Sequence[PipelineRun], kind: str, moment: datetime, messages: Sequence[str]) -> None:
    """Write an event row for each of the runs, all at once."""
    insert_all(
        [
            Event(pipeline_run_id=run.pk, kind=kind, message=message[:500], happened_at=moment)
            for run, message in zip(runs, messages, strict=True)
        ]
    )


def publish_run(run_id: int) -> None:
    """Tell open pages, after the commit, that the run or a block of it changed."""
    transaction.on_commit(lambda: bell.ring("live", f"run {run_id}"))


def publish_work() -> None:
    """Tell workers, after the commit, that block runs were queued."""
    transaction.on_commit(lambda: bell.ring("queue"))


def publish_stop(run_id: int) -> None:
    """Tell workers, after the commit, that something of the run that may be at work was stopped."""
    transaction.on_commit(lambda: bell.ring("stops", str(run_id)))


def publish_timer() -> None:
    """Tell schedulers, after the commit, that a timer was set that may be nearer than the next they know of."""
    transaction.on_commit(lambda: bell.ring("timers"))


def publish_end() -> None:
    """Tell schedulers, after the commit, that a run ended: something may follow it, or have waited for its place."""
    transaction.on_commit(lambda: bell.ring("timers", END))


def publish_log(block_run_id: int, size: int) -> None:
    """Tell open pages that the log of a block run has grown to `size` bytes."""
    bell.ring("live", f"log {block_run_id} {size}")
