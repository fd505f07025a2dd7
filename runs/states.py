"""The states of a run and of a block run, and which moves between them are legal. Pure."""

from enum import StrEnum


class RunStatus(StrEnum):
    INITIAL = "initial"  # accepted; not started (a limit, or its blocks are not queued yet)
    RUNNING = "running"  # at least one block was queued
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BlockStatus(StrEnum):
    INITIAL = "initial"  # waits for its upstream blocks
    QUEUED = "queued"  # ready; the row is the queue
    RUNNING = "running"  # owned by a worker under its lease
    WAITING = "waiting"  # sensor not true yet, or a retry delay; holds no worker, has next_attempt_at
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UPSTREAM_FAILED = "upstream_failed"
    CONDITION_FAILED = "condition_failed"


RUN_FINISHED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
BLOCK_FINISHED = frozenset(
    {
        BlockStatus.COMPLETED,
        BlockStatus.FAILED,
        BlockStatus.CANCELLED,
        BlockStatus.UPSTREAM_FAILED,
        BlockStatus.CONDITION_FAILED,
    }
)

# In this order in the conditions of indexes too: SQLite takes one only for what reads the same.
BLOCK_ENDED_BADLY = frozenset({BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED, BlockStatus.CANCELLED})
RUN_UNFINISHED = (RunStatus.INITIAL, RunStatus.RUNNING)
BLOCK_UNFINISHED = (BlockStatus.INITIAL, BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)

RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.INITIAL: frozenset({RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.RUNNING: RUN_FINISHED,
    # Repeated, or a block of it marked by hand. (A completed one: as a whole, from a block on, with another version.)
    RunStatus.COMPLETED: frozenset({RunStatus.RUNNING}),
    RunStatus.FAILED: frozenset({RunStatus.RUNNING}),
    RunStatus.CANCELLED: frozenset({RunStatus.RUNNING}),
}

BLOCK_MOVES: dict[BlockStatus, frozenset[BlockStatus]] = {
    BlockStatus.INITIAL: frozenset(
        {
            BlockStatus.QUEUED,
            BlockStatus.RUNNING,  # work-first: ready and taken in the same moment
            BlockStatus.WAITING,  # expanded into members, for which it waits
            BlockStatus.COMPLETED,  # expanded into none; or by hand
            BlockStatus.FAILED,  # could not be expanded; or by hand
            BlockStatus.UPSTREAM_FAILED,
            BlockStatus.CONDITION_FAILED,
            BlockStatus.CANCELLED,
        }
    ),
    BlockStatus.QUEUED: frozenset({BlockStatus.RUNNING, BlockStatus.FAILED, BlockStatus.CANCELLED}),
    BlockStatus.RUNNING: frozenset(
        {
            BlockStatus.COMPLETED,
            BlockStatus.FAILED,
            BlockStatus.CONDITION_FAILED,
            BlockStatus.WAITING,
            BlockStatus.QUEUED,  # taken back by recovery, or handed back by a worker that stops
            BlockStatus.CANCELLED,
        }
    ),
    # One that waits for its members goes where they go.
    BlockStatus.WAITING: frozenset({BlockStatus.QUEUED, *BLOCK_FINISHED}),
    # Only a retry or a mark by hand leaves a finished state.
    BlockStatus.COMPLETED: frozenset({BlockStatus.INITIAL}),
    BlockStatus.FAILED: frozenset({BlockStatus.INITIAL}),
    BlockStatus.CANCELLED: frozenset({BlockStatus.INITIAL}),
    BlockStatus.UPSTREAM_FAILED: frozenset({BlockStatus.INITIAL}),
    BlockStatus.CONDITION_FAILED: frozenset({BlockStatus.INITIAL}),
}


class IllegalMove(Exception):
    """The state machine has no such move."""


def check_run_move(old: str, new: str) -> None:
    """Raise `IllegalMove` unless a run may go from `old` to `new`."""
    if RunStatus(new) not in RUN_MOVES[RunStatus(old)]:
        raise IllegalMove(f"a pipeline run cannot go from {old} to {new}")


def check_block_move(old: str, new: str) -> None:
    """Raise `IllegalMove` unless a block run may go from `old` to `new`."""
    if BlockStatus(new) not in BLOCK_MOVES[BlockStatus(old)]:
        raise IllegalMove(f"a block run cannot go from {old} to {new}")
