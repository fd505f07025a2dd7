"""The list of block runs in the API: what no index answers is looked for among the newest, and the answer says so."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from pipelines.filters import LARGEST_ID, Among, among_newest, read_number
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus

FEW = ("id", "id__in", "pipeline_run_id", "pipeline_run_id__in", "parent_id", "parent_id__in")  # they leave few rows
NOT_INDEXED = ("q", "block_uuid", "role", "passed_sla", "started_at", "completed_at")
WITHOUT_INDEX = (BlockStatus.INITIAL, BlockStatus.COMPLETED)
NEWEST_BLOCK_RUNS = 20_000
NEWEST_RUNS = 500  # of a pipeline


def bounded_blocks(
    view: Any, queryset: QuerySet[BlockRun], given: Mapping[str, str]
) -> tuple[QuerySet[BlockRun], Among | None]:
    """Leave out old block runs unless few are asked for, or by what an index answers.

    Of one pipeline those of its newest runs are left, else the newest of all; `pipeline_run_id__lt` and `id__lt` say
    below which.
    """
    if any(name in given for name in FEW) or not is_searched(given):
        return queryset, None
    if uuid := given.get("pipeline_uuid"):
        return of_newest_runs(queryset, uuid, given)
    return among_newest(queryset, NEWEST_BLOCK_RUNS, given)


def is_searched(given: Mapping[str, str]) -> bool:
    """Tell whether the whole table would be read if nothing fits."""
    statuses = f"{given.get('status', '')},{given.get('status__in', '')}".split(",")
    return any(name.partition("__")[0] in NOT_INDEXED for name in given) or any(
        status in statuses for status in WITHOUT_INDEX
    )


def of_newest_runs(
    queryset: QuerySet[BlockRun], uuid: str, given: Mapping[str, str]
) -> tuple[QuerySet[BlockRun], Among | None]:
    below = read_number(given.get("pipeline_run_id__lt", str(LARGEST_ID)), "pipeline_run_id__lt")
    runs = PipelineRun.objects.filter(pipeline__uuid=uuid, pk__lt=below).order_by("-id")
    keys = list(runs.values_list("pk", flat=True)[: NEWEST_RUNS + 1])
    if len(keys) <= NEWEST_RUNS:
        return queryset, None
    kept = keys[:NEWEST_RUNS]
    return queryset.filter(pipeline_run__in=kept), Among(NEWEST_RUNS, "pipeline_runs", kept[-1])
