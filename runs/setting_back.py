"""Making finished blocks as if they had never begun, so that they may run again. Under the run's lock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import F

from runs import history
from runs.models import BlockRun, PipelineRun
from runs.states import BLOCK_FINISHED, BlockStatus

CHUNK = 10_000  # keys in a statement
# Whatever belongs to an attempt, and whatever counts attempts.
FRESH: dict[str, Any] = {
    "external_id": "",
    "worker_id": None,
    "retries": 0,
    "losses": 0,
    "pokes": 0,
    "queued_at": None,
    "started_at": None,
    "first_started_at": None,
    "completed_at": None,
    "next_attempt_at": None,
    "heartbeat_at": None,
    "sla_at": None,
    "passed_sla": False,
    "output": [],
    "fanout": {},
    "metrics": {},
    "error": {},
    "reason": "",
}


def set_back(run: PipelineRun, block_runs: Sequence[BlockRun], moment: datetime) -> None:
    """Set finished blocks of the run back to where they began; what each was at is kept as an attempt."""
    finished = [row for row in block_runs if row.status in BLOCK_FINISHED]
    for begin in range(0, len(finished), CHUNK):
        chunk = finished[begin : begin + CHUNK]
        rows = run.block_runs.filter(pk__in=[row.pk for row in chunk])
        for status in sorted({row.status for row in chunk}):
            rows.move_to(BlockStatus(status), BlockStatus.INITIAL, attempt=F("attempt") + 1, **FRESH)
    history.keep(finished, moment, run_attempt=run.attempt)
