"""A finished run that is to go on with its pipeline's current version: what that changes, and making it so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipelines import catalog
from pipelines.differences import Definition, Difference, Setting, differences, settings_differences
from pipelines.models import PipelineVersion
from runs import callbacks, events
from runs.many_rows import insert_all, update_each
from runs.models import BlockRun, PipelineRun, Role
from runs.planning import OF_THE_VERSION, RunSettings, copied_settings, plan_blocks

OF_THE_RUN = ("in_one_process", "block_run_limit")  # settings that a run has from its version alone


@dataclass(frozen=True, kw_only=True)
class VersionChange:
    """From the version that a run has pinned to the current one.

    `drafts`: the run's blocks as that has them, not stored; `new` and `gone` by uuid; `otherwise`: those that may
    return something else than before.
    """

    pinned: PipelineVersion
    current: PipelineVersion
    drafts: Mapping[str, BlockRun]
    new: Sequence[str] = ()
    gone: Sequence[str] = ()
    otherwise: Sequence[str] = ()
    differences: Sequence[Difference] = ()
    variables: Sequence[Setting] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)  # of the run


def change_to_current(run: PipelineRun, rows: Iterable[BlockRun]) -> VersionChange:
    """Work out what the current version changes in a run; raise Refusal where it cannot be run. Stores nothing."""
    pinned, current = run.version, catalog.runnable_version(catalog.find(run.pipeline.uuid))
    blocks = {row.block_uuid: row for row in rows if row.role == Role.BLOCK}
    kind = kind_of(blocks, pinned)
    drafts = {draft.block_uuid: draft for draft in plan_blocks(run, current, **kind)}
    found = differences(definition(pinned), definition(current))
    variables = variables_with(run, current)
    return VersionChange(
        pinned=pinned,
        current=current,
        drafts=drafts,
        new=[uuid for uuid in drafts if uuid not in blocks],
        gone=gone_with(rows, blocks.keys() - drafts.keys()),
        otherwise=[
            each.block for each in found if each.block in blocks and each.block in drafts and each.does_otherwise
        ],
        differences=[each for each in found if not each.executable or each.block in blocks or each.block in drafts],
        variables=settings_differences(run.variables, variables["variables"]),
        fields={"version_id": current.pk, **variables, **settings_with(current, whole=kind["only_block"] is None)},
    )


def kind_of(blocks: Mapping[str, BlockRun], pinned: PipelineVersion) -> dict[str, Any]:
    """Return how the run was planned: of a single block, without sensors."""
    is_alone = is_of_one_block(list(blocks.values()), pinned)
    skips = any(row.config.get("skip_sensor") for row in blocks.values())
    return {"only_block": next(iter(blocks)) if is_alone else None, "skip_sensors": skips}


def is_of_one_block(rows: Sequence[BlockRun], version: PipelineVersion) -> bool:
    """Tell whether a run with these rows for blocks of its graph was asked for one block alone (`run --block`)."""
    executable = sum(entry["executable"] for entry in version.graph["blocks"])
    return len(rows) == 1 and executable > 1 and not rows[0].config.get("stream")


def gone_with(rows: Iterable[BlockRun], blocks: Iterable[str]) -> list[str]:
    """Return these blocks and the members of them."""
    gone = set(blocks)
    parents = {row.pk for row in rows if row.block_uuid in gone}
    return [row.block_uuid for row in rows if row.block_uuid in gone or row.parent_id in parents]


def definition(version: PipelineVersion) -> Definition:
    return Definition(version.graph, version.settings, version.files)


def variables_with(run: PipelineRun, current: PipelineVersion) -> dict[str, dict[str, Any]]:
    """Return the run's variables with those that its pipeline gives as that gives them now."""
    given = {name: value for name, value in run.variables.items() if run.variable_origins.get(name) != "pipeline"}
    declared = current.settings.get("variables") or {}
    from_event = {name: value for name, value in given.items() if run.variable_origins.get(name) == "event"}
    nearer = {name: value for name, value in given.items() if name not in from_event}
    origins = dict.fromkeys(from_event, "event") | dict.fromkeys(declared, "pipeline")
    origins |= {name: run.variable_origins.get(name, "run") for name in nearer}
    return {"variables": {**from_event, **declared, **nearer}, "variable_origins": origins}


def settings_with(current: PipelineVersion, *, whole: bool) -> dict[str, Any]:
    fields = copied_settings(current, RunSettings())
    return {name: fields[name] for name in OF_THE_RUN} | {"callbacks": callbacks.entries_of(current, whole=whole)}


def make_so(run: PipelineRun, change: VersionChange, rows: Mapping[str, BlockRun], moment: datetime) -> None:
    """Give the run the current version's blocks. Under its lock, after what runs again was set back."""
    remove(run, [rows[uuid] for uuid in change.gone], moment)
    stored = []
    for uuid, draft in change.drafts.items():
        if uuid in rows:
            for name in OF_THE_VERSION:
                setattr(rows[uuid], name, getattr(draft, name))
            stored.append(rows[uuid])
    update_each(stored, OF_THE_VERSION)
    insert_all([change.drafts[uuid] for uuid in change.new])


def remove(run: PipelineRun, gone: Sequence[BlockRun], moment: datetime) -> None:
    """Delete the rows of vanished blocks; what they were and what became of their attempts stays as an event."""
    keys = [row.pk for row in gone]
    run.events.filter(block_run__in=keys).update(block_run=None)
    for row in gone:
        message = f"{row.block_uuid} ({row.status}) is not in the current version"
        told = [*row.attempts.order_by("number").values("number", "ended_as"), latest(row)]
        events.note(run, "block_removed", moment, message, block=row.block_uuid, attempts=told)
    run.block_runs.filter(pk__in=keys).delete()


def latest(row: BlockRun) -> dict[str, Any]:
    return {"number": row.attempt, "ended_as": row.status}
