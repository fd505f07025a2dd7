"""May a run start, may another block of it: the one place that says so, for every way of starting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.models import Pipeline
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus


@dataclass(frozen=True)
class Admission:
    """`is_open`, or why not, in words."""

    is_open: bool
    reason: str = ""


def may_start(pipeline: Pipeline, limits: Mapping[str, Any], *, but: PipelineRun | None = None) -> Admission:
    """Say whether one more run of the pipeline may start now; holds the pipeline's row until the commit if limited.

    `limits` is the pipeline's concurrency_config. Call inside a transaction.
    """
    limit = limits.get("pipeline_run_limit_all_triggers") or limits.get("pipeline_run_limit")
    if not limit:
        return Admission(True)
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    running = PipelineRun.objects.filter(pipeline=pipeline, status=RunStatus.RUNNING)
    if but is not None:
        running = running.exclude(pk=but.pk)
    count = running.count()
    if count < int(limit):
        return Admission(True)
    return Admission(False, f"{count} of at most {limit} runs of {pipeline.uuid} are running")


def free_slots(run: PipelineRun, *, one_was_freed: bool = False) -> int | None:
    """Return how many more blocks of the run may be queued now; None when there is no limit.

    `one_was_freed`: a block of it has just left its slot, under the run's lock.
    """
    limit = first_slots(run)
    if limit is None or (limit == 1 and one_was_freed):
        return limit
    # A waiting block keeps its slot, though no worker: it comes back to it.
    holding = (BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)
    taken = run.block_runs.filter(status__in=holding).count()
    return max(0, limit - taken)


def first_slots(run: PipelineRun) -> int | None:
    """Return how many blocks of the run may be queued while none is; None when there is no limit."""
    return 1 if run.in_one_process else run.block_run_limit
