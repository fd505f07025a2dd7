"""What repeating a run would do, worked out before anything is touched: the preview and the retry are one plan."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.refusal import Refusal
from runs.models import BlockRun, PipelineRun
from runs.retrying.regrouping import blocks_below, with_members
from runs.retrying.version_changes import VersionChange, change_to_current
from runs.states import BLOCK_ENDED_BADLY, BlockStatus, RunStatus

Version = Literal["pinned", "current"]
WHY = {
    BlockStatus.FAILED: "it failed",
    BlockStatus.CANCELLED: "it was cancelled",
    BlockStatus.UPSTREAM_FAILED: "a block before it failed",
    BlockStatus.CONDITION_FAILED: "it was skipped",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What shall run again: one block and all after it, the whole run, or (neither) what is incomplete; and as what."""

    from_block: str | None = None
    whole: bool = False
    version: Version = "pinned"


@dataclass(frozen=True)
class Line:
    """A block of the plan: how it stands now ("" for a new one), and why it runs again ("" if it does not)."""

    block_uuid: str
    status: str
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """Blocks that run again, those whose outputs stand, and what the current version brings, if that is wanted."""

    again: Sequence[Line]
    kept: Sequence[Line]
    removed: Sequence[Line] = ()
    change: VersionChange | None = None
    rows: Mapping[str, BlockRun] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.again or self.removed)


HEAVY = ("output", "error", "metrics", "fanout", "item_index", "downstream")  # what no plan asks for


def plan_for(run: PipelineRun, wanted: Wanted, *, without: Sequence[str] = ()) -> Plan:
    """Return what a retry would do to a finished run. Reads; raises Refusal for what cannot be wanted of it.

    `without`: fields of its rows, of which there may be thousands, that nobody will ask for.
    """
    found = run.block_runs.of_graph().order_by("position", "id").defer(*without)
    rows = {row.block_uuid: row for row in found}
    change = change_to_current(run, rows.values()) if wanted.version == "current" else None
    stays = {uuid: row for uuid, row in rows.items() if change is None or uuid not in change.gone}
    why = reasons(run, stays, wanted, change)
    order = [*stays, *(uuid for uuid in why if uuid not in stays)]
    plan = Plan(
        again=[Line(uuid, rows[uuid].status if uuid in rows else "", why[uuid]) for uuid in order if uuid in why],
        kept=[Line(uuid, rows[uuid].status) for uuid in order if uuid not in why],
        removed=[Line(uuid, row.status) for uuid, row in rows.items() if uuid not in stays],
        change=change,
        rows=rows,
    )
    if run.status == RunStatus.COMPLETED and plan.is_empty:
        raise Refusal(
            f"Run {run.pk} is completed: nothing of it is incomplete.",
            hint="Repeat the whole run, or from a block on.",
            code="conflict",
        )
    return plan


def reasons(
    run: PipelineRun, rows: Mapping[str, BlockRun], wanted: Wanted, change: VersionChange | None
) -> dict[str, str]:
    """Return why each block that runs again does, by uuid."""
    if wanted.whole:
        why = dict.fromkeys(rows, "the whole run is repeated")
    else:
        # Whatever is incomplete always: a run that leaves it out could not complete.
        whole = {row.pk for row in rows.values() if done(row)}
        incomplete = {uuid: row for uuid, row in rows.items() if not done(row) and not is_passed_over(row, whole)}
        why = {uuid: WHY.get(BlockStatus(row.status), "it did not run") for uuid, row in incomplete.items()}
    below = blocks_below(rows.values(), change.drafts if change else {})
    if wanted.from_block is not None:
        if wanted.from_block not in rows:
            raise unknown(run, wanted.from_block, rows)
        for uuid in with_members(wanted.from_block, rows):
            why = depending(uuid, below, f"it comes after {wanted.from_block}") | why
        why |= dict.fromkeys(with_members(wanted.from_block, rows), "it was asked for")
    if change is not None:
        why |= dict.fromkeys(change.new, "it is new in the current version")
        for uuid in [each for changed in change.otherwise for each in with_members(changed, rows)]:
            why |= {uuid: "it has changed"} | depending(uuid, below, "it comes after {}, which has changed", why)
        for uuid in change.new:
            why |= depending(uuid, below, "it comes after {}, which is new", why)
    return why


def done(row: BlockRun) -> bool:
    return row.status == BlockStatus.COMPLETED


def is_passed_over(row: BlockRun, whole: Collection[int]) -> bool:
    """Tell whether it is a member that failed of a block that was marked completed as a whole."""
    return row.parent_id in whole and row.status in BLOCK_ENDED_BADLY


def depending(uuid: str, below: Mapping[str, Sequence[str]], why: str, known: Iterable[str] = ()) -> dict[str, str]:
    """Return every descendant of a block that is not among the `known`, with the reason."""
    found: dict[str, str] = {}
    todo = list(below.get(uuid, ()))
    seen = {uuid}
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            found[name] = why.format(uuid)
            todo += below.get(name, ())
    return {name: reason for name, reason in found.items() if name not in set(known)}


def unknown(run: PipelineRun, uuid: str, rows: Mapping[str, BlockRun]) -> Refusal:
    hint = f"Its blocks: {', '.join(rows)[:200]}."
    return Refusal(f"Run {run.pk} has no block {uuid[:80]!r}.", field="from_block", hint=hint, code="unknown_block")
