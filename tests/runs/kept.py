"""Finished runs with logs and outputs on disk, for the tests of retention."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.models import Pipeline
from runs import jobs, logs
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import NOON, make_pipeline, make_run

DONE = dict.fromkeys(("load", "clean", "save"), BlockStatus.COMPLETED)


def days_later(days: float) -> datetime:
    return NOON + timedelta(days=days)


def pipeline_with(uuid: str = "etl", **rules: Any) -> Pipeline:
    """A pipeline whose rules are as given: runs={"age": hours}."""
    return make_pipeline(uuid, retention=rules)


def old_run(pipeline: Pipeline, ended: datetime = NOON, **fields: Any) -> PipelineRun:
    fields = {"status": RunStatus.COMPLETED, "blocks": DONE, **fields}
    run = make_run(pipeline, completed_at=ended, created_at=ended, started_at=ended, **fields)
    run.block_runs.update(completed_at=ended)
    return run


def with_files(run: PipelineRun) -> PipelineRun:
    """Write a log and an output of every attempt of its blocks."""
    for block_run in run.block_runs.all():
        for attempt in range(1, block_run.attempt + 1):
            write_log(block_run, attempt)
            write_output(block_run, attempt)
    return run


def write_log(block_run: BlockRun, attempt: int) -> Path:
    file = logs.path(block_run.pipeline_run_id, block_run.pk, attempt)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('{"t": "2025-03-02T12:00:00Z", "s": "stdout", "l": "INFO", "m": "hello"}\n')
    return file


def write_output(block_run: BlockRun, attempt: int) -> Path:
    folder = Path(jobs.output_folder(block_run.pipeline_run_id)) / jobs.output_name(block_run.block_uuid) / str(attempt)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "output_0.json"
    file.write_text("[1, 2, 3]")
    return file


def files_of(run_id: int) -> tuple[int, int]:
    """How many log and output files a run has on disk."""
    return tuple(  # type: ignore[return-value]
        sum(path.is_file() for path in Path(folder).rglob("*"))
        for folder in (logs.folder(run_id), jobs.output_folder(run_id))
    )
