"""How the latest run of a pipeline, or of a block of it, stands: what blocks (sensors above all) ask of others."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from executors.base import Answer
from pipelines.graph import nearest
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.children import read_text
from runs.models import BlockRun, PipelineRun, Role
from runs.retrying.version_changes import is_of_one_block

MOST_HOURS = 24 * 366 * 10
MOST_LOOKS = 50  # runs of single blocks that are passed over


def check_status(block_run: BlockRun, request: Mapping[str, Any], moment: datetime) -> Answer:
    """Answer {"completed": bool, "level", "text"}: is the newest run in the time asked for completed, and which is it.

    Takes {"pipeline_uuid", "execution_date", "block_uuid", "hours"}: runs that stand for a time in the `hours` before
    the execution date, or for that itself.
    """
    uuid, until = read_text(request, "pipeline_uuid"), read_moment(request.get("execution_date"))
    hours = request.get("hours")
    if not isinstance(hours, int | float) or isinstance(hours, bool) or not 0 <= hours <= MOST_HOURS:
        raise Refusal(f"hours must be a number from 0 to {MOST_HOURS}.", field="hours")
    block_uuid = read_text(request, "block_uuid") if request.get("block_uuid") is not None else None
    pipeline = Pipeline.objects.filter(uuid=uuid).first()
    if pipeline is None:
        return found(problem=f"there is no pipeline {uuid!r}. {names_like(uuid, Pipeline.objects.all())}".strip())
    since = until - timedelta(hours=hours)
    runs = pipeline.runs.filter(execution_date__gte=since, execution_date__lte=until)
    if block_uuid is None:
        return of_run(pipeline, newest_whole(runs), since, until)
    return of_block(pipeline, block_uuid, runs, since, until)


def newest_whole(runs: QuerySet[PipelineRun]) -> PipelineRun | None:
    """Return the newest of the runs that is one of the whole pipeline: a block alone says nothing of the others."""
    for run in runs.select_related("version").order_by("-execution_date", "-id")[:MOST_LOOKS]:
        if not is_of_one_block(list(run.block_runs.filter(role=Role.BLOCK)[:2]), run.version):
            return run
    return None


def of_run(pipeline: Pipeline, run: PipelineRun | None, since: datetime, until: datetime) -> Answer:
    if run is None:
        return found(text=f"{pipeline.uuid} has no run for {span(since, until)}")
    return found(run.status, f"run {run.pk} of {pipeline.uuid}, for {stamp(run.execution_date)}, is {run.status}")


def of_block(pipeline: Pipeline, block_uuid: str, runs: Any, since: datetime, until: datetime) -> Answer:
    rows = BlockRun.objects.filter(pipeline_run__in=runs, block_uuid=block_uuid).exclude(role=Role.CALLBACK)
    row = rows.select_related("pipeline_run").order_by("-pipeline_run__execution_date", "-id").first()
    if row is not None:
        when = stamp(row.pipeline_run.execution_date)
        text = f"{block_uuid} in run {row.pipeline_run_id} of {pipeline.uuid}, for {when}, is {row.status}"
        return found(row.status, text)
    version = pipeline.current_version
    known = [entry["uuid"] for entry in version.graph["blocks"]] if version else []
    if block_uuid in known or not known:
        return found(text=f"{block_uuid} of {pipeline.uuid} has not been in a run for {span(since, until)}")
    hint = nearest(block_uuid, known) or f"Its blocks are: {', '.join(known)[:300]}."
    return found(problem=f"pipeline {pipeline.uuid} has no block {block_uuid!r}. {hint}")


def found(status: str = "", text: str = "", problem: str = "") -> Answer:
    level = "WARNING" if problem else "INFO"
    return {"value": {"completed": status == "completed", "level": level, "text": problem or text}}


def names_like(uuid: str, pipelines: Any) -> str:
    names = list(pipelines.filter(is_present=True).order_by("uuid").values_list("uuid", flat=True)[:5000])
    return nearest(uuid, names) or (f"There are: {', '.join(names)[:300]}." if names else "")


def read_moment(text: Any) -> datetime:
    """Read ISO 8601; what has no offset is UTC, as everywhere in a block."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Refusal(
            f"execution_date is {str(text)[:80]!r}.", field="execution_date", hint="Use 2025-03-02T12:00:00+00:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def span(since: datetime, until: datetime) -> str:
    return f"{stamp(since)} to {stamp(until)}"


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
