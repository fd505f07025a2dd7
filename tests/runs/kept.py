"""Finished runs with logs and outputs on disk, for the tests of retention."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.models import Pipeline
from runs import logs
from runs.models import BlockRun, PipelineRun
from runs.retaining import removing, retention
from runs.retrying import repeating
from runs.states import BlockStatus, RunStatus
from runs.working import jobs
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


# --- for the processes of tests/runs/crowd.py -------------------------------------------------------------------------


def make_old(count: int) -> list[int]:
    """Runs that are due to go, of a pipeline whose newest stays."""
    pipeline = pipeline_with(runs={"age": 720})
    ids = [old_run(pipeline).pk for _ in range(count)]
    old_run(pipeline, days_later(99))
    return ids


def remove_old(at_once: int = 20) -> int:
    """Remove what is due in small batches, as a scheduler would; return how many this process removed."""
    removing.MOST_ROWS = 3 * at_once
    went = empty = 0
    while empty < 3:  # another may just hold what is due
        done = [step.runs for step in removing.steps(retention.policies(), days_later(100)) if step]
        went, empty = went + sum(done), 0 if done else empty + 1
    return went


def retry_each(ids: list[int]) -> list[int]:
    """Retry these runs; return those that go on."""
    runs = PipelineRun.objects.in_bulk(ids)
    going = []
    for pk in ids:
        try:
            if pk in runs and repeating.retry(runs[pk], moment=days_later(100)):
                going.append(pk)
        except PipelineRun.DoesNotExist:  # it went just before
            continue
    return going


def still_there() -> list[int]:
    return list(PipelineRun.objects.values_list("pk", flat=True))
