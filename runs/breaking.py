"""When a pipeline broke: its last run that completed, and the first that failed since."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.differences import Setting, settings_differences
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus

LOOKED_AT = 200  # of its newest finished runs


@dataclass(frozen=True)
class Breaking:
    """`failures` runs have failed since; `good` is None where none of those that were looked at completed."""

    bad: PipelineRun
    good: PipelineRun | None
    failures: int
    block: BlockRun | None = None  # the first that failed
    variables: Sequence[Setting] = ()

    @property
    def is_other_version(self) -> bool:
        return self.good is not None and self.good.version_id != self.bad.version_id


def of(pipeline_id: int) -> Breaking | None:
    """Return when it broke; None if its last run that ended well or badly completed. Three queries at most."""
    runs = PipelineRun.objects.filter(pipeline=pipeline_id).only("status", "version_id", "completed_at", "started_at")
    found = turning_point(list(runs.order_by("-id")[:LOOKED_AT]))
    if found is None:
        return None
    bad, good, failures = found
    failed = BlockRun.objects.filter(pipeline_run=bad, status=BlockStatus.FAILED).only("block_uuid", "error")
    keys = [bad.pk, good.pk] if good else []
    given = dict(PipelineRun.objects.filter(pk__in=keys).values_list("pk", "variables")) if good else {}
    variables = settings_differences(given.get(good.pk, {}), given.get(bad.pk, {})) if good else []
    return Breaking(bad, good, failures, failed.order_by("completed_at", "position").first(), variables)


def turning_point(runs: Sequence[PipelineRun]) -> tuple[PipelineRun, PipelineRun | None, int] | None:
    """Return the first run that failed, the last that completed before it, and how many failed since."""
    bad, failures = None, 0
    for run in runs:  # the newest first
        if run.status == RunStatus.COMPLETED:
            return (bad, run, failures) if bad else None
        if run.status == RunStatus.FAILED:
            bad, failures = run, failures + 1
    return (bad, None, failures) if bad else None
