"""Outcomes for tests, and a run driven to its end without any process."""

from collections.abc import Callable
from datetime import datetime

from executors.base import Failure, Outcome, Verdict
from runs import lifecycle
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind

COMPLETED = Outcome(verdict=Verdict.COMPLETED, result={"outputs": [{"name": "output_0"}]}, usage={"cpu_seconds": 0.5})
FAILED = Outcome(verdict=Verdict.FAILED, failure=Failure(type="ValueError", message="no such day"))
NOT_YET = Outcome(verdict=Verdict.NOT_YET)
REFUSED = Outcome(verdict=Verdict.CONDITION_FAILED)
HANDED_BACK = Outcome(verdict=Verdict.HANDED_BACK)


def make_owner(moment: datetime) -> Worker:
    from datetime import timedelta

    lease = moment + timedelta(seconds=20)
    return Worker.objects.create(
        kind=WorkerKind.WORKER, host="here", pid=1, started_at=moment, seen_at=moment, lease_until=lease
    )


def claim(run: PipelineRun, block_uuid: str, worker: Worker, moment: datetime) -> BlockRun:
    row = run.block_runs.get(block_uuid=block_uuid)
    claimed = lifecycle.claim(row.pk, row.attempt, worker, moment)
    assert claimed is not None, f"{block_uuid} is {row.status}"
    return claimed


def drive(run: PipelineRun, moment: datetime, outcome_of: Callable[[str], Outcome] = lambda _: COMPLETED) -> list[str]:
    """Do everything that is queued, until nothing is; return the blocks in the order in which they were done."""
    worker, done = make_owner(moment), []
    while block_run := lifecycle.claim_next(worker, moment, run=run):
        done.append(block_run.block_uuid)
        lifecycle.finish_block(block_run, outcome_of(block_run.block_uuid), moment=moment)
    run.refresh_from_db()
    return done


def statuses(run: PipelineRun) -> dict[str, str]:
    return dict(run.block_runs.values_list("block_uuid", "status"))
