"""The runs that one is compared with: the last that went well before it."""

from runs.models import PipelineRun
from runs.states import RunStatus

LOOKED_THROUGH = 1000  # runs of the pipeline before it


def last_good(run: PipelineRun) -> PipelineRun | None:
    """Return the last completed run of the same pipeline before this one, among the 1,000 before it. One query."""
    before = PipelineRun.objects.filter(pipeline=run.pipeline_id, pk__lt=run.pk).order_by("-id")
    newest = before.values("pk")[:LOOKED_THROUGH]
    good = PipelineRun.objects.filter(pk__in=newest, status=RunStatus.COMPLETED).order_by("-id")
    return good.only("pk", "status", "started_at", "completed_at", "pipeline_id").first()


def run_before(run: PipelineRun) -> PipelineRun | None:
    """Return the run of the same pipeline before this one, however it ended. One query."""
    return PipelineRun.objects.filter(pipeline=run.pipeline_id, pk__lt=run.pk).order_by("-id").only("pk").first()
