"""Outputs as blocks leave them, in a folder of the test's own."""

from pathlib import Path
from typing import Any

from pipelines import variables
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from runs.working.jobs import output_url
from tests.factories import make_run


def with_output(value: Any, settings: Any, folder: Path, **fields: Any) -> tuple[PipelineRun, BlockRun]:
    """A completed run whose first block returned `value`."""
    settings.VARIABLES_URL = str(folder)
    run = make_run(status=RunStatus.COMPLETED, blocks={"load": BlockStatus.COMPLETED}, **fields)
    row = run.block_runs.get(block_uuid="load")
    row.output = variables.store(value, output_url(row, run))
    row.save()
    return run, row
