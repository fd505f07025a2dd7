"""A block below a dynamic one becomes as many block runs as there are items. Under the run's lock."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings

from runs import attempts, events
from runs.fanning import Dimension, Index, Member, Source, TooMany, members_of, projected, uuid_of
from runs.many_rows import insert_all, update_each
from runs.models import BlockRun, PipelineRun, Role
from runs.standing import Row
from runs.states import BLOCK_FINISHED, BlockStatus

AT_A_TIME = 1000  # rows in one UPDATE
OWN = ("upstream", "downstream", "pending", "config", "item_index", "name")  # what expanding again may change


class Above(NamedTuple):
    """The members of a block upstream, by index: uuid and status."""

    pk: int
    dimensions: Sequence[str]
    members: Mapping[Index, tuple[str, str]]


def expand(run: PipelineRun, row: Row, rows: Mapping[str, Row], moment: datetime) -> None:
    """Make a block's members, now that its items are known, and have it wait for them; more than may be fail it."""
    block = BlockRun.objects.get(pk=row.pk)
    items = Items(run, rows)
    try:
        members = members_of([items.dimension(uuid, row.dimensions) for uuid in row.dimensions], most())
    except TooMany as error:
        fail_too_many(run, block, row, error.args[0], moment)
        return
    above = {uuid: above_of(run, rows[uuid]) for uuid in block.upstream if hands_on_members(rows.get(uuid))}
    made = [made_of(block, member, row, rows, above, items) for member in members]
    store(run, block, made, moment)
    for uuid, upstream in above.items():
        link(run, upstream.pk, block.upstream.index(uuid), made, block.pk)
    begun: dict[str, Any] = {
        "members_total": len(made),
        "pending": len(made),
        "started_at": moment,
        "next_attempt_at": None,
    }
    if made:
        block.move_to(BlockStatus.WAITING, **begun)
    else:
        block.move_to(BlockStatus.COMPLETED, **begun, completed_at=moment, reason="no items")
    events.note(run, "expanded", moment, f"{block.block_uuid}: {len(made):,} items", block_run=block)


def most() -> int:
    return int(settings.DYNAMIC_BLOCK_LIMIT)


def fail_too_many(run: PipelineRun, block: BlockRun, row: Row, count: int, moment: datetime) -> None:
    message = (
        f"the items of {' × '.join(row.dimensions)} make {count:,} runs of this block; at most {most():,} are "
        "allowed (DYNAMIC_BLOCK_LIMIT)"
    )
    attempts.fail(run, block, {"type": "TooManyItems", "message": message}, {}, moment)


def hands_on_members(row: Row | None) -> bool:
    """Is it run many times, so that each member below comes after one of its own?"""
    return row is not None and bool(row.dimensions) and not row.reduces and not row.is_dynamic


class Items:
    """What the dynamic blocks of a run returned."""

    def __init__(self, run: PipelineRun, rows: Mapping[str, Row]) -> None:
        self.run, self.rows = run, rows
        self.chunks: dict[str, list[Mapping[str, Any]]] = {}  # by block run: the chunk of each of its items

    def dimension(self, uuid: str, among: Sequence[str]) -> Dimension:
        row = self.rows[uuid]
        within = () if row.reduces else tuple(among.index(each) for each in row.dimensions)
        found = self.run.block_runs.filter(parent=row.pk, role=Role.MEMBER) if row.dimensions else None
        if found is None:
            found = self.run.block_runs.filter(pk=row.pk)
        values = found.filter(status=BlockStatus.COMPLETED).values_list("block_uuid", "item_index", "fanout")
        returned = sorted((tuple(index), name, fanout) for name, index, fanout in values)
        return Dimension(uuid, within, [self.source(index, name, fanout) for index, name, fanout in returned])

    def source(self, index: Index, uuid: str, fanout: Mapping[str, Any]) -> Source:
        self.chunks[uuid] = [chunk for chunk in fanout.get("chunks", ()) for _ in range(chunk["count"])]
        return Source(uuid, index, fanout.get("count", 0), fanout.get("names"))

    def entry(self, uuid: str, number: int) -> dict[str, Any]:
        """Return what a job says of an item: its number and the file that holds it."""
        chunks = self.chunks[uuid]
        return {"number": number, "chunk": chunks[number] if number < len(chunks) else {}}


def above_of(run: PipelineRun, row: Row) -> Above:
    found = run.block_runs.filter(parent=row.pk, role=Role.MEMBER).values_list("item_index", "block_uuid", "status")
    return Above(row.pk, row.dimensions, {tuple(index): (uuid, status) for index, uuid, status in found})


def made_of(
    block: BlockRun, member: Member, row: Row, rows: Mapping[str, Row], above: Mapping[str, Above], items: Items
) -> BlockRun:
    """Return a member as a row, not stored yet: each upstream block is the very block run that it comes after."""
    upstream, pending = [], 0
    for uuid in block.upstream:
        name, status = uuid, rows[uuid].status if uuid in rows else BlockStatus.COMPLETED
        if uuid in member.items:
            name, status = member.items[uuid].row, BlockStatus.COMPLETED
        elif uuid in above:
            name, status = above[uuid].members[projected(member.index, row.dimensions, above[uuid].dimensions)]
        upstream.append(name)
        pending += status not in BLOCK_FINISHED
    config = {key: value for key, value in block.config.items() if key != "dimensions"}
    config["items"] = {item.row: items.entry(item.row, item.number) for item in member.items.values()}
    return BlockRun(
        pipeline_run_id=block.pipeline_run_id,
        block_uuid=uuid_of(block.block_uuid, member),
        name=f"{block.name or block.block_uuid}:{':'.join(member.names)}"[:255],
        type=block.type,
        position=block.position,
        priority=block.priority,
        upstream=upstream,
        trigger_rule=block.trigger_rule,
        pending=pending,
        config=config,
        executor=block.executor,
        timeout=block.timeout,
        role=Role.MEMBER,
        parent_id=block.pk,
        item_index=list(member.index),
        pool=block.pool,
        pool_slots=block.pool_slots,
    )


def store(run: PipelineRun, block: BlockRun, made: Sequence[BlockRun], moment: datetime) -> None:
    """Store the members. After a retry those of the same name are used again, those whose items are gone removed."""
    known = dict(run.block_runs.filter(parent=block.pk, role=Role.MEMBER).values_list("block_uuid", "pk"))
    again = [member for member in made if member.block_uuid in known]
    for member in again:
        member.pk = known.pop(member.block_uuid)
    update_some(again, OWN)
    if known:
        names = ", ".join(sorted(known))
        events.note(run, "items_gone", moment, f"{len(known):,} are no more: {names}", block_run=block)
        for begin in range(0, len(known), AT_A_TIME):
            BlockRun.objects.filter(pk__in=list(known.values())[begin : begin + AT_A_TIME]).delete()
    insert_all([member for member in made if member.pk is None])


def link(run: PipelineRun, parent: int, place: int, made: Sequence[BlockRun], block: int) -> None:
    """Tell each member of an upstream block (`place` among those of the rows made) what comes after it."""
    below: dict[str, list[str]] = defaultdict(list)
    for member in made:
        below[member.upstream[place]].append(member.block_uuid)
    unlink(run, parent, {member.block_uuid for member in made}, below)


def unlink(run: PipelineRun, parent: int, gone: set[str], below: Mapping[str, Sequence[str]] | None = None) -> None:
    """Take names out of what comes after a block's members, and put those `below` in."""
    members = list(
        run.block_runs.filter(parent=parent, role=Role.MEMBER).only("block_uuid", "downstream", "pipeline_run")
    )
    for member in members:
        kept = [uuid for uuid in member.downstream if uuid not in gone]
        member.downstream = [*kept, *(below or {}).get(member.block_uuid, ())]
    update_some(members, ("downstream",))


def update_some(rows: Sequence[BlockRun], names: Sequence[str]) -> None:
    for begin in range(0, len(rows), AT_A_TIME):
        update_each(rows[begin : begin + AT_A_TIME], names)
