"""The rows of callbacks: made anew, or used again when what they follow has ended once more."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from runs.many_rows import insert_all
from runs.models import BlockRun, PipelineRun, Role
from runs.setting_back import set_back
from runs.states import BlockStatus

FIRST = -30_000  # before every block
AFTER_BLOCKS = 1_000_000  # where they come on pages and in the log of a run
LONGEST_UUID = 255
WAITS = "waits until the block's process is gone"


def row_of(run: PipelineRun, entry: Mapping[str, Any], parent: BlockRun | None, call: Mapping[str, Any]) -> BlockRun:
    """Make the row of a callback, not stored yet. `call` is what happened: `jobs.callback_of` tells it to the code."""
    seconds = entry.get("timeout") or settings.CALLBACK_TIMEOUT_SECONDS
    return BlockRun(
        pipeline_run_id=run.pk,
        block_uuid=fitting(f"{entry['uuid']}@{parent.block_uuid if parent else ''}"),
        name=entry.get("name") or entry["uuid"],
        type="callback",
        role=Role.CALLBACK,
        parent=parent,
        position=AFTER_BLOCKS + (parent.position if parent else AFTER_BLOCKS),
        priority=FIRST,
        config={**entry, "call": {**call, "run_status": run.status}},
        executor="local_python",
        timeout=timedelta(seconds=seconds),
    )


def fitting(uuid: str) -> str:
    """Return the name, with a digest for the part of it that a column has no room for."""
    if len(uuid) <= LONGEST_UUID:
        return uuid
    return uuid[: LONGEST_UUID - 33] + "~" + hashlib.sha256(uuid.encode()).hexdigest()[:32]


def place(run: PipelineRun, rows: Sequence[BlockRun], moment: datetime, until: datetime) -> list[BlockRun]:
    """Store the rows queued, or waiting at most `until` for processes that end; return those that were not there yet.

    A row that an earlier end has left finished is used again; beside one that still goes on there is a second.
    """
    there = {row.block_uuid: row for row in run.block_runs.filter(block_uuid__in=[row.block_uuid for row in rows])}
    placed, new = [], []
    for row in rows:
        before = there.get(row.block_uuid)
        if before is not None and not before.is_finished and not is_same(before, row):
            row.block_uuid = fitting(f"{row.block_uuid}#{row.config['call']['of']}")
            before = run.block_runs.filter(block_uuid=row.block_uuid).first()
        if before is None:
            be_born(row, moment, until)
            new.append(row)
            placed.append(row)
        elif not is_same(before, row) and (again := use_again(run, before, row, moment, until)):
            placed.append(again)
    insert_all(new)
    return placed


def is_same(before: BlockRun, row: BlockRun) -> bool:
    """Tell whether the row stands for the same end already."""
    old, new = before.config["call"], row.config["call"]
    return bool(old["of"] == new["of"] and old["outcome"] == new["outcome"])


def be_born(row: BlockRun, moment: datetime, until: datetime) -> None:
    if row.config["call"]["ending"]:
        row.be_born_waiting(until, WAITS)
    else:
        row.be_born_queued(moment)


def use_again(run: PipelineRun, before: BlockRun, row: BlockRun, moment: datetime, until: datetime) -> BlockRun | None:
    """Set a finished callback's row back, its attempt kept, and queue it for what has happened now."""
    set_back(run, [before], moment)
    again = BlockRun.objects.get(pk=before.pk)
    told = {"config": row.config, "timeout": row.timeout}
    if row.config["call"]["ending"]:
        moved = again.move_to(BlockStatus.WAITING, next_attempt_at=until, reason=WAITS, **told)
    else:
        moved = again.move_to(BlockStatus.QUEUED, queued_at=moment, **told)
    return again if moved else None
