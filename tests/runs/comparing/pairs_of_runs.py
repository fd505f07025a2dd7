"""Two runs of one pipeline, of which the second went otherwise."""

from datetime import datetime, timedelta
from typing import Any

from runs import logs
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_run

DONE = {"load": BlockStatus.COMPLETED, "clean": BlockStatus.COMPLETED, "save": BlockStatus.COMPLETED}


def good_run(**fields: Any) -> PipelineRun:
    run = make_run(status=RunStatus.COMPLETED, blocks=DONE, **fields)
    run.block_runs.update(started_at=NOON, completed_at=NOON + timedelta(seconds=10))
    return run


def bad_run(**fields: Any) -> PipelineRun:
    """Its "clean" failed after 30 s."""
    blocks = DONE | {"clean": BlockStatus.FAILED, "save": BlockStatus.UPSTREAM_FAILED}
    run = make_run(status=RunStatus.FAILED, blocks=blocks, **fields)
    run.block_runs.filter(block_uuid="load").update(started_at=NOON, completed_at=NOON + timedelta(seconds=10))
    run.block_runs.filter(block_uuid="clean").update(
        started_at=NOON, completed_at=NOON + timedelta(seconds=30), error={"type": "ValueError", "message": "no rows"}
    )
    return run


def block_of(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def returned(run: PipelineRun, uuid: str, rows: int) -> None:
    output = {"name": "output_0", "type": "json", "rows": rows, "bytes": rows * 10, "url": "", "container": None}
    run.block_runs.filter(block_uuid=uuid).update(output=[{**output, "preview": None}])


def wrote(run: PipelineRun, uuid: str, now: datetime, *texts: str) -> None:
    row = block_of(run, uuid)
    writer = logs.Writer(logs.path(run.pk, row.pk, row.attempt), lambda: now)
    for text in texts:
        writer.write("stdout", "INFO", text)
    writer.close()
