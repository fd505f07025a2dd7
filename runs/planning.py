"""What a new run consists of, before anything is stored: its settings, its variables, its block runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from executors import registry
from pipelines import catalog
from pipelines.models import Pipeline, PipelineVersion
from pipelines.refusal import Refusal
from runs import callbacks, pools, slas, streams
from runs.fanning import dimensions_of
from runs.limits import NO_LIMITS, Limits
from runs.models import BlockRun, PipelineRun
from runs.readiness import PLAIN_RULES
from runs.states import RunStatus

# What a block run has from its pipeline's version; all else is its life.
OF_THE_VERSION = (
    "name",
    "type",
    "position",
    "priority",
    "upstream",
    "downstream",
    "trigger_rule",
    "config",
    "executor",
    "timeout",
    "pool",
    "pool_slots",
)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a trigger gives a run on its way; copied onto the run, never asked for again."""

    trigger_id: int | None = None
    trigger_name: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    allow_blocks_to_fail: bool = False
    timeout: timedelta | None = None
    timeout_status: str = RunStatus.FAILED
    sla: timedelta | None = None
    retry_config: Mapping[str, Any] = field(default_factory=dict)
    executor: str | None = None
    priority: int = 0
    limits: Limits = NO_LIMITS
    backfill_id: int | None = None


@dataclass(frozen=True)
class Draft:
    """A run and its block runs, not stored yet."""

    run: PipelineRun
    block_runs: list[BlockRun]


def draft_run(
    pipeline: Pipeline,
    settings: RunSettings,
    variables: Mapping[str, Any] | None,
    *,
    moment: datetime,
    only_block: str | None = None,
    skip_sensors: bool = False,
    **fields: Any,
) -> Draft:
    """Make a run of the pipeline's current version; raise Refusal for whatever is wrong with it. Stores nothing."""
    version = catalog.runnable_version(pipeline)
    run = PipelineRun(
        pipeline=pipeline,
        version=version,
        created_at=moment,
        **fields,
        **copied_settings(version, settings),
        **merged_variables(version, settings, variables, fields.get("event")),
        callbacks=callbacks.entries_of(version, whole=only_block is None),
    )
    run.sla_at = slas.deadline_of(run)
    return Draft(run, plan_blocks(run, version, only_block=only_block, skip_sensors=skip_sensors))


def copied_settings(version: PipelineVersion, settings: RunSettings) -> dict[str, Any]:
    """Return the fields of a run that its trigger and its version decide; raise Refusal for an unknown executor."""
    limits = version.settings.get("concurrency_config") or {}
    executor = settings.executor or version.settings.get("executor_type")
    return {
        "trigger_id": settings.trigger_id,
        "trigger_name": settings.trigger_name,
        "allow_blocks_to_fail": settings.allow_blocks_to_fail,
        "in_one_process": bool(version.settings.get("run_pipeline_in_one_process")),
        "block_run_limit": limits.get("block_run_limit") or None,
        "executor": known_executor(executor),
        "priority": settings.priority,
        "limits": settings.limits.as_json(),
        "backfill_id": settings.backfill_id,
        "timeout": settings.timeout,
        "timeout_status": settings.timeout_status,
        "sla": settings.sla or own_sla(version),
        "retry_config": {**(version.settings.get("retry_config") or {}), **settings.retry_config},
    }


def own_sla(version: PipelineVersion) -> timedelta | None:
    """Return the SLA of the pipeline, for runs whose trigger has none."""
    seconds = version.settings.get("sla")
    return timedelta(seconds=seconds) if seconds else None


def known_executor(name: str | None) -> str:
    try:
        return registry.canonical(name)
    except registry.UnknownExecutor as error:
        raise Refusal(str(error), field="executor", code="unknown_executor") from error


def merged_variables(
    version: PipelineVersion,
    settings: RunSettings,
    variables: Mapping[str, Any] | None,
    event: Mapping[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """Merge pipeline ← trigger ← run; an event only fills names still missing. Say where each value came from."""
    if variables is not None and not isinstance(variables, Mapping):
        raise Refusal("Variables must be a JSON object.", field="variables", hint='For example {"day": "2025-03-02"}.')
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    layers = [
        ("event", event or {}),
        ("pipeline", version.settings.get("variables") or {}),
        ("trigger", settings.variables),
        ("run", variables or {}),
    ]
    for origin, layer in layers:
        merged |= layer
        origins |= dict.fromkeys(layer, origin)
    return {"variables": merged, "variable_origins": origins}


def plan_blocks(
    run: PipelineRun, version: PipelineVersion, *, only_block: str | None, skip_sensors: bool
) -> list[BlockRun]:
    """Return block runs, not stored yet, in the order of the graph; raise Refusal for an unknown block or executor."""
    entries = [entry for entry in version.graph["blocks"] if entry["executable"]]
    if run.pipeline.type == streams.STREAMING:
        entries = streams.as_one(entries, only_block=only_block)
    elif only_block is not None:
        entries = [alone(only_block, entries, run.pipeline.uuid)]
    pools.check(entries)
    present = {entry["uuid"]: entry for entry in entries}
    dimensions = dimensions_of(entries)
    return [
        BlockRun(
            pipeline_run=run,
            block_uuid=entry["uuid"],
            name=entry["name"],
            type=entry["type"],
            position=position,
            priority=run.priority + entry["priority"],
            upstream=entry["upstream"],
            downstream=[uuid for uuid in entry["downstream"] if uuid in present],
            pending=len(dimensions[entry["uuid"]]) or sum(uuid in present for uuid in entry["upstream"]),
            trigger_rule=entry["trigger_rule"],
            config={
                **entry,
                "skip_sensor": skip_sensors,
                "plain_below": has_plain_rules_below(entry, present, dimensions),
                **({"dimensions": list(dimensions[entry["uuid"]])} if dimensions[entry["uuid"]] else {}),
            },
            executor=known_executor(entry["executor_type"]) if entry["executor_type"] else run.executor,
            timeout=timedelta(seconds=entry["timeout"]) if entry["timeout"] else None,
            pool=entry.get("pool") or "",
            pool_slots=entry.get("pool_slots", 1),
        )
        for position, entry in enumerate(entries)
    ]


def alone(uuid: str, entries: Sequence[Mapping[str, Any]], pipeline_uuid: str) -> Mapping[str, Any]:
    """Return the block that is to run without the others; raise Refusal for one that is not there, or cannot."""
    found = next((entry for entry in entries if entry["uuid"] == uuid), None)
    if found is None:
        names = ", ".join(entry["uuid"] for entry in entries)
        raise Refusal(
            f"No block named {uuid!r} in pipeline {pipeline_uuid}.",
            field="block",
            hint=f"Its blocks are: {names}.",
            code="unknown_block",
        )
    if over := dimensions_of(entries)[uuid]:  # by itself it would take all items for one
        raise Refusal(
            f"Block {uuid} runs once for each item of {' and '.join(over)}: it cannot run alone.",
            field="block",
            hint="Run the pipeline, or retry a run from this block on.",
            code="not_alone",
        )
    return found


def has_plain_rules_below(
    entry: Mapping[str, Any], present: Mapping[str, Mapping[str, Any]], dimensions: Mapping[str, Sequence[str]]
) -> bool:
    """Tell whether, when this block (or a member of it) completes, counting is enough to know what is ready."""
    below = [uuid for uuid in entry["downstream"] if uuid in present]
    if not dimensions[entry["uuid"]] and any(dimensions[uuid] for uuid in below):
        return False  # what is below has members: they are found by looking
    return all(present[uuid]["trigger_rule"] in PLAIN_RULES for uuid in below)
