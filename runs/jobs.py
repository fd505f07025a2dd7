"""From a claimed block run to the Work its executor gets: variables, upstream outputs, secrets, context."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from executors.base import Work
from pipelines import project, secrets
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus

ENTRYPOINT = "pipelines.runtime:run_block"


def work_for(block_run: BlockRun, run: PipelineRun) -> Work:
    """Gather what the block needs. Reads the database and the project's metadata; runs nothing."""
    config = block_run.config
    session = f"run-{run.pk}-{run.attempt}" if run.in_one_process else None
    job = {
        "project": str(settings.PROJECT_DIR),
        "pipeline_uuid": run.pipeline.uuid,
        "block": config,
        "run_tests": True,
        "skip_sensor": config.get("skip_sensor", False),
        "cache_outputs": run.in_one_process,
        "upstream": upstream_outputs(block_run, run),
        "variables": run.variables,
        "context": context(block_run, run),
        "output_url": output_url(block_run, run),
        "secrets": named_secrets(config.get("secrets", ())),
    }
    return Work(
        key=f"{run.pk}-{block_run.block_uuid}-{block_run.attempt}",
        entrypoint=ENTRYPOINT,
        job=job,
        timeout=block_run.timeout.total_seconds() if block_run.timeout else None,
        kill_grace=settings.KILL_GRACE_SECONDS,
        session=session,
        config={
            "preload": preload(settings.PROJECT_DIR),
            "memory_bytes": (config.get("resources") or {}).get("memory_bytes"),
            **(config.get("executor_config") or {}),
        },
    )


def upstream_outputs(block_run: BlockRun, run: PipelineRun) -> list[dict[str, Any]]:
    """Return, in declared order, the outputs of the upstream blocks that completed.

    A block run alone (`run --block`) takes those of the newest run in which each completed.
    """
    if not block_run.upstream:
        return []
    done = BlockRun.objects.filter(block_uuid__in=block_run.upstream, status=BlockStatus.COMPLETED)
    found = dict(done.filter(pipeline_run=run).values_list("block_uuid", "output"))
    for uuid in block_run.upstream:
        if uuid not in found and not run.block_runs.filter(block_uuid=uuid).exists():
            earlier = done.filter(block_uuid=uuid, pipeline_run__pipeline_id=run.pipeline_id).order_by("-id").first()
            if earlier:
                found[uuid] = earlier.output
    return [{"block": uuid, "outputs": found[uuid]} for uuid in block_run.upstream if uuid in found]


def context(block_run: BlockRun, run: PipelineRun) -> dict[str, Any]:
    start, end = run.execution_date, run.interval_end
    length: timedelta | None = end - start if end else None
    return {
        "execution_date": start.isoformat(),
        "ds": start.strftime("%Y-%m-%d"),
        "hr": start.strftime("%H"),
        "interval_start_datetime": start.isoformat(),
        "interval_end_datetime": end.isoformat() if end else None,
        "interval_seconds": length.total_seconds() if length else None,
        "interval_start_datetime_previous": (start - length).isoformat() if length else None,
        "execution_partition": partition(run),
        "pipeline_run_id": run.pk,
        "block_run_id": block_run.pk,
        "trigger_name": run.trigger_name,
        "event": run.event,
        "env": settings.ENV,
        "retry": {"attempts": block_run.retries + 1},
    }


def partition(run: PipelineRun) -> str:
    given = run.variables.get("execution_partition")
    return str(given) if given else f"{run.trigger_id or 'manual'}/{stamp(run.execution_date)}"


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S")


def output_url(block_run: BlockRun, run: PipelineRun) -> str:
    name = block_run.block_uuid.replace("/", "__").replace(":", "_")
    if len(name) > 100:
        name = name[:80] + hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{settings.VARIABLES_URL}/{run.pk // 1000}/{run.pk}/{name}/{block_run.attempt}"


def named_secrets(names: tuple[str, ...]) -> Mapping[str, str]:
    """Return the secrets that the block names, and no other; unknown names are left for the block to miss."""
    values = ((name, secrets.get(name)) for name in names)
    return {name: value for name, value in values if value is not None}


def preload(root: Path) -> list[str]:
    """Return the modules a project wants in its fork server, read again when its metadata or requirements change."""
    stamps = []
    for name in ("metadata.yaml", "requirements.txt"):
        try:
            stamps.append((root / name).stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return read_preload(root, tuple(stamps))


@lru_cache(maxsize=4)
def read_preload(root: Path, stamps: tuple[int, ...]) -> list[str]:
    try:
        return list(project.read_project(root, secret=lambda name: None).preload)
    except project.BrokenPipeline:
        return []
