"""Pipeline runs, block runs, the workers that own them, and what they leave behind."""

from runs.models.blocks import BlockRun, BlockRunQuerySet, Pool, PoolQuerySet, Role
from runs.models.records import Attempt, Event, Removal
from runs.models.runs import ENDED, Origin, PipelineRun, PipelineRunQuerySet
from runs.models.workers import LEASED, Worker, WorkerKind, WorkerQuerySet
from runs.models.written import NO_ITEMS, NOTHING

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
