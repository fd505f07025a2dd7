"""What a block asks about runs that it starts: verbs of runs.asking."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from executors.base import Answer
from pipelines import catalog
from pipelines.refusal import Refusal
from runs import lifecycle, repeats
from runs.asking import Wait, error
from runs.models import BlockRun, Origin, PipelineRun
from runs.states import RunStatus

# What is above may start runs by the settings of a trigger: called with the names of the pipeline and the trigger and
# what `lifecycle.create_run` takes by name.
Starter = Callable[..., PipelineRun]
BY_TRIGGER: list[Starter] = []


def trigger(block_run: BlockRun, request: Mapping[str, Any], moment: datetime) -> Answer:
    """Start a run for a block, or give the one that the same call gave before the block was begun again.

    Takes {"pipeline_uuid", "variables", "schedule_name", "waits", "call"}; the last tells the calls of a block apart.
    """
    uuid, waits = read_text(request, "pipeline_uuid"), bool(request.get("waits"))
    name = read_text(request, "schedule_name") if request.get("schedule_name") is not None else None
    fields: dict[str, Any] = {
        "moment": moment,
        "origin": Origin.PIPELINE,
        "variables": request.get("variables") or {},
        "idempotency_key": key_of(block_run, uuid, read_text(request, "call")),
        "parent_block_run": block_run,
        "is_awaited": waits,
    }

    def start() -> PipelineRun:
        if name is None:
            return lifecycle.create_run(catalog.find(uuid), **fields)
        return BY_TRIGGER[0](uuid, name, **fields)

    run, is_new = repeats.kept_or_started(fields["idempotency_key"], start)
    if not is_new and waits and not run.is_awaited:  # the call before may have had other wishes
        PipelineRun.objects.filter(pk=run.pk).update(is_awaited=True)
    return {"value": {**as_dict(run), "is_new": is_new}}


def key_of(block_run: BlockRun, uuid: str, call: str) -> str:
    """Name a call so that the same one has the same name when its worker was lost, and another after a retry."""
    run_attempt = PipelineRun.objects.values_list("attempt", flat=True).get(pk=block_run.pipeline_run_id)
    tries = f"{run_attempt}.{block_run.retries}.{block_run.pokes}"
    digest = hashlib.sha256(f"{uuid}\n{call}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"block run {block_run.pk}:{tries}:{digest}"


def wait(block_run: BlockRun, request: Mapping[str, Any], moment: datetime) -> Answer | Wait:
    """Say how the run with the number "run_id" stands when it is finished, or after "seconds" if given."""
    run_id, seconds = request.get("run_id"), request.get("seconds")
    if not isinstance(run_id, int) or not isinstance(seconds, int | float | None):
        return error("CannotAsk", "to wait takes the number of a run, and seconds")
    run = PipelineRun.objects.filter(pk=run_id, parent_block_run=block_run.pk).select_related("pipeline").first()
    if run is None:
        return error("CannotAsk", f"this block started no run {run_id}, or it was removed")
    return as_answer(run, run_id) if run.is_finished or seconds == 0 else Wait(run_id, seconds)


def leave(block_run: BlockRun, request: Mapping[str, Any], moment: datetime) -> Answer:
    """Wait no longer for the run with the number "run_id": it goes on, whatever becomes of the block."""
    run = PipelineRun.objects.filter(pk=int(request.get("run_id") or 0), parent_block_run=block_run.pk)
    run.update(is_awaited=False)
    return {"value": None}


def as_answer(run: PipelineRun | None, run_id: int) -> Answer:
    return {"value": as_dict(run)} if run else error("RunIsGone", f"run {run_id} was removed while it was waited for")


def as_dict(run: PipelineRun) -> dict[str, Any]:
    """Tell a block of a run; moments as text in ISO 8601, `url` absolute where PUBLIC_URL says how."""
    return {
        "id": run.pk,
        "pipeline_uuid": run.pipeline.uuid,
        "status": run.status,
        "is_finished": run.is_finished,
        "execution_date": run.execution_date.isoformat(),
        "variables": run.variables,
        "pipeline_schedule_id": run.trigger_id,
        "pipeline_schedule_name": run.trigger_name,
        "created_at": run.created_at.isoformat(),
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "completed_at": run.completed_at.isoformat() if run.completed_at else None,
        "reason": failure_of(run) if run.status == RunStatus.FAILED else run.reason,
        "url": f"{settings.PUBLIC_URL}/runs/{run.pk}/",
    }


def failure_of(run: PipelineRun) -> str:
    """Return why the run failed, with the first error of its blocks."""
    failed = (
        run.block_runs.of_graph().filter(status="failed").order_by("completed_at").only("block_uuid", "error").first()
    )
    if failed is None or not failed.error:
        return run.reason
    return f"{failed.block_uuid}: {failed.error.get('type', '')}: {failed.error.get('message', '')}"[:1000]


def read_text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value or len(value) > 255 or "\x00" in value:
        raise Refusal(f"{name} must be text of 1 to 255 characters.", field=name)
    return value
