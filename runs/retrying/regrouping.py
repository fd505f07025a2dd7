"""Members when a run is repeated: what comes after one of many, and which blocks are to be expanded anew."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from runs.expanding import hands_on_members, unlink
from runs.models import BlockRun, PipelineRun, Role
from runs.standing import Row, rows_of


def with_members(uuid: str, rows: Mapping[str, BlockRun]) -> list[str]:
    """Return a block and its members, if it has any."""
    block = rows[uuid]
    return [uuid, *(row.block_uuid for row in rows.values() if row.role == Role.MEMBER and row.parent_id == block.pk)]


def blocks_below(rows: Iterable[BlockRun], drafts: Mapping[str, BlockRun]) -> dict[str, list[str]]:
    """Return who comes right after each block run; blocks of the graph as `drafts` has them, if it does.

    After a member come the members that take from it and its block; after a block, who takes from all its members.
    """
    below: dict[str, list[str]] = {}
    stored = {row.block_uuid: row for row in rows}
    by_key = {row.pk: row.block_uuid for row in stored.values()}
    blocks = {**{uuid: row for uuid, row in stored.items() if row.role == Role.BLOCK}, **drafts}
    for uuid, row in {**stored, **drafts}.items():
        for name in right_above(row, blocks):
            below.setdefault(name, []).append(uuid)
        if row.role == Role.MEMBER and row.parent_id in by_key:
            below.setdefault(uuid, []).append(by_key[row.parent_id])
    return below


def right_above(row: BlockRun, blocks: Mapping[str, BlockRun]) -> Collection[str]:
    """Return what a block run comes after: one with members after what decides which there are."""
    dimensions = row.config.get("dimensions")
    if not dimensions:
        return list(row.upstream)
    return dict.fromkeys((*dimensions, *(name for name in row.upstream if not is_followed_by_member(name, blocks))))


def is_followed_by_member(uuid: str, blocks: Mapping[str, BlockRun]) -> bool:
    config = blocks[uuid].config if uuid in blocks else {}
    return bool(config.get("dimensions")) and not config.get("reduce_output")


def regroup(run: PipelineRun, again: Collection[str], *, anew: bool) -> None:
    """Have blocks that run again expanded anew where their items may be others (`anew`: all of them).

    Under the run's lock, after what runs `again` was set back. Their members stay until then: those whose items are
    there again are used again.
    """
    rows = rows_of(run)
    for row in rows.values():
        if not row.is_expanded or row.uuid not in again:
            continue
        if not row.dimensions:  # by now it runs once
            run.block_runs.filter(parent=row.pk, role=Role.MEMBER).delete()
        elif not anew and not any(uuid in again for uuid in row.dimensions):
            continue
        forget(run, row, rows)


def forget(run: PipelineRun, row: Row, rows: Mapping[str, Row]) -> None:
    """Make the block as if it had not been expanded."""
    run.block_runs.filter(pk=row.pk).update(members_total=None)
    gone = {each.uuid for each in rows.values() if each.parent == row.pk}
    above: Sequence[Row] = [rows[uuid] for uuid in row.upstream if hands_on_members(rows.get(uuid))]
    for each in above:
        unlink(run, each.pk, gone)
