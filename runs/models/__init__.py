"""Pipeline runs, block runs, the workers that own them, and what they leave behind."""

from runs.models.records import Attempt, Event, Removal
from runs.models.runs import (
    ENDED,
    NO_ITEMS,
    NOTHING,
    BlockRun,
    BlockRunQuerySet,
    Origin,
    PipelineRun,
    PipelineRunQuerySet,
    Pool,
    PoolQuerySet,
    Role,
)
from runs.models.workers import LEASED, Worker, WorkerKind, WorkerQuerySet

__all__ = [
    "Attempt",
    "BlockRun",
    "BlockRunQuerySet",
    "ENDED",
    "Event",
    "LEASED",
    "NOTHING",
    "NO_ITEMS",
    "Origin",
    "PipelineRun",
    "PipelineRunQuerySet",
    "Pool",
    "PoolQuerySet",
    "Removal",
    "Role",
    "Worker",
    "WorkerKind",
    "WorkerQuerySet",
]
