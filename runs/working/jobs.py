"""From a claimed block run to the Work its executor gets: variables, upstream outputs, secrets, context."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from executors.base import HAND_BACK_GRACE, Work
from pipelines import project, secrets, templating
from pipelines.refusal import Refusal
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus
from runs.working import pinned

ENTRYPOINT = "pipelines.runtime:run_block"
STREAM_ENTRYPOINT = "pipelines.runtime:run_stream"
STREAM_GRACE = 4.0  # seconds that a stream has for its last batch when its worker stops
CALLBACK_ENTRYPOINT = "pipelines.runtime:run_callback"


def runs() -> QuerySet[PipelineRun]:
    """Runs with what `work_for` needs of them, and no more of their version than that."""
    heavy = ("version__graph", "version__settings", "version__files")
    return PipelineRun.objects.select_related("pipeline", "version").defer(*heavy)


def work_for(block_run: BlockRun, run: PipelineRun, done: Mapping[str, list[Any]] | None = None) -> Work:
    """Gather what the block needs. Reads the database and the project's metadata; runs nothing.

    `done`: outputs of blocks of the run that the caller knows already, by uuid.
    Raises Refusal when the project's files ask for a secret that is not stored.
    """
    config, version = block_run.config, pinned.content(run.version)
    conditions = [version.attached[uuid] for uuid in config.get("conditions", ()) if uuid in version.attached]
    stream = config.get("stream", ())
    known = named_secrets([name for entry in (config, *conditions, *stream) for name in entry.get("secrets", ())])
    is_callback = block_run.role == Role.CALLBACK
    session = f"run-{run.pk}-{run.attempt}" if run.in_one_process and not (is_callback or stream) else None
    job = {
        "project": str(settings.PROJECT_DIR),
        "pipeline_uuid": run.pipeline.uuid,
        "block": {**with_secrets(config, known), "uuid": block_run.block_uuid},
        "code": version.texts.get(config.get("file") or ""),
        "conditions": [
            {**with_secrets(entry, known), "code": version.texts.get(entry["file"] or "")} for entry in conditions
        ],
        "run_tests": True,
        "skip_sensor": config.get("skip_sensor", False),
        "cache_outputs": run.in_one_process,
        "upstream": upstream_outputs(block_run, run, done or {}),
        "variables": variables_with_secrets(run, known),
        "context": context(block_run, run),
        "output_url": output_url(block_run, run),
        "secrets": known,
    }
    if is_callback:
        job |= callback_of(block_run, run)
    if stream:
        job["block"] = with_secrets({key: value for key, value in config.items() if key != "stream"}, known)
        job["stream"] = [
            {**with_secrets(entry, known), "code": version.texts.get(entry["file"] or "")} for entry in stream
        ]
    return Work(
        key=f"{run.pk}-{block_run.block_uuid}-{block_run.attempt}",
        entrypoint=CALLBACK_ENTRYPOINT if is_callback else STREAM_ENTRYPOINT if stream else ENTRYPOINT,
        job=job,
        hand_back_grace=STREAM_GRACE if stream else HAND_BACK_GRACE,
        timeout=block_run.timeout.total_seconds() if block_run.timeout else None,
        kill_grace=settings.KILL_GRACE_SECONDS,
        session=session,
        config={
            "preload": preload(settings.PROJECT_DIR),
            "memory_bytes": (config.get("resources") or {}).get("memory_bytes"),
            **(config.get("executor_config") or {}),
        },
    )


def callback_of(block_run: BlockRun, run: PipelineRun) -> dict[str, Any]:
    """Return what the job of a callback has beside that of a block: what happened, and what its parent had upstream.

    `run_status`, `error` and `outputs` are as they were at the end that it follows, whatever came after.
    """
    call, parent = block_run.config["call"], block_run.parent
    happened = {
        "outcome": call["outcome"],
        "block": {**parent.config, "uuid": parent.block_uuid} if parent else None,
        "run_status": call["run_status"],
        "error": call["error"],
        "outputs": call.get("outputs", []),
        "upstream": upstream_outputs(parent, run, {}) if parent else [],
    }
    return {"callback": happened, "run_tests": False, "cache_outputs": False}


def upstream_outputs(block_run: BlockRun, run: PipelineRun, known: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return, in declared order, what the upstream blocks that completed gave: see `pipelines.inputs`.

    A block run alone (`run --block`) takes the outputs of the newest run in which each completed.
    """
    is_member = block_run.role == Role.MEMBER
    declared = block_run.config["upstream"] if is_member else block_run.upstream  # a member comes after others
    items = block_run.config.get("items", {}) if is_member else {}
    names = [uuid for uuid in block_run.upstream if uuid not in items]
    found: dict[str, dict[str, Any]] = {uuid: {"outputs": known[uuid]} for uuid in names if uuid in known}
    if len(found) < len(names):
        found = stored_outputs(names, run)
    found |= {uuid: {"outputs": [], "item": item} for uuid, item in items.items()}
    pairs = zip(declared, block_run.upstream, strict=True)
    return [{"block": block, **found[uuid]} for block, uuid in pairs if uuid in found]


def stored_outputs(names: Sequence[str], run: PipelineRun) -> dict[str, dict[str, Any]]:
    columns = ("block_uuid", "status", "output", "members_total", "pipeline_run")
    present = {row.block_uuid: row for row in run.block_runs.filter(block_uuid__in=names).only(*columns)}
    for uuid in names:
        if uuid not in present:
            done = BlockRun.objects.filter(block_uuid=uuid, status=BlockStatus.COMPLETED)
            earlier = done.filter(pipeline_run__pipeline_id=run.pipeline_id).only(*columns).order_by("-id").first()
            if earlier:
                present[uuid] = earlier
    return {
        uuid: given_by(row)
        for uuid, row in present.items()
        if row.status == BlockStatus.COMPLETED or row.members_total is not None
    }


def given_by(row: BlockRun) -> dict[str, Any]:
    """Return a block's outputs, or those of each of its members in order: nothing of one that did not complete."""
    if row.members_total is None:
        return {"outputs": row.output}
    members = BlockRun.objects.filter(parent=row.pk, role=Role.MEMBER)
    columns = members.values_list("item_index", "status", "output")
    in_order = sorted(columns, key=lambda values: tuple(values[0]))
    return {
        "outputs": [],
        "members": [
            [without_preview(meta) for meta in output] if status == BlockStatus.COMPLETED else None
            for _, status, output in in_order
        ],
    }


def without_preview(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in meta.items() if key != "preview"}


def context(block_run: BlockRun, run: PipelineRun) -> dict[str, Any]:
    """Return what a block gets by name beside its variables; moments as text in ISO 8601."""
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
    return f"{output_folder(run.pk)}/{output_name(block_run.block_uuid)}/{block_run.attempt}"


def output_folder(run_id: int) -> str:
    """Return the folder of all that the blocks of a run return."""
    return f"{settings.VARIABLES_URL}/{run_id // 1000}/{run_id}"


def output_name(block_uuid: str) -> str:
    """Return the name of a block's folder in it; there, each attempt has one."""
    name = block_uuid.replace("~", "~~").replace(":", "~-").replace("/", "~_")  # each name its own
    if len(name) > 100:
        name = name[:80] + hashlib.sha256(name.encode()).hexdigest()[:16]
    return name


def named_secrets(names: Sequence[str]) -> dict[str, str]:
    """Return the secrets that the block names, and no other; unknown names are left for the block to miss."""
    return secrets.get_many(set(names)) if names else {}


def with_secrets(config: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """Fill the secrets into the block's configuration, which comes from the project's files."""
    if not config.get("secrets"):
        return dict(config)
    return {**config, "configuration": templating.reveal(config.get("configuration") or {}, known.get)}


def variables_with_secrets(run: PipelineRun, known: Mapping[str, str]) -> dict[str, Any]:
    """Fill secrets into variables that the pipeline's file declares: never into what a request or a trigger sent."""
    if not known:
        return dict(run.variables)
    return {
        name: templating.reveal(value, known.get) if run.variable_origins.get(name) == "pipeline" else value
        for name, value in run.variables.items()
    }


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
        return list(project.read_project(root).preload)
    except Refusal:  # a broken project is told where its pipelines are
        return []
