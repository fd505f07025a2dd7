"""Who does what just now: blocks by worker and by pool, and how each executor fares."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from executors import registry
from runs.models import BlockRun, BlockRunQuerySet, Worker, WorkerKind
from runs.models.written import Written
from runs.reasons.ailing import Ailing, ailing
from runs.states import BlockStatus

MOST = 200  # blocks that are named


@dataclass(frozen=True)
class AtWork:
    """Running block runs, those that run longest first; `is_cut`: there are more than are named here."""

    blocks: list[BlockRun]
    is_cut: bool
    by_worker: dict[int, list[BlockRun]] = field(default_factory=dict)
    by_pool: dict[str, list[BlockRun]] = field(default_factory=dict)


def look() -> AtWork:
    """Return what runs now, in one query."""
    wide = ("config", "output", "metrics", "fanout", "upstream", "downstream", "error", "pipeline_run__variables")
    running = BlockRun.objects.filter(status=Written(BlockStatus.RUNNING.value)).select_related(
        "pipeline_run__pipeline"
    )
    found = list(running.defer(*wide, "pipeline_run__pipeline__problems").order_by("started_at", "id")[: MOST + 1])
    blocks = found[:MOST]
    return AtWork(blocks, len(found) > MOST, grouped_by_worker(blocks), grouped_by_pool(blocks))


def grouped_by_worker(blocks: Iterable[BlockRun]) -> dict[int, list[BlockRun]]:
    found: dict[int, list[BlockRun]] = defaultdict(list)
    for block in blocks:
        if block.worker_id is not None:
            found[block.worker_id].append(block)
    return dict(found)


def grouped_by_pool(blocks: Iterable[BlockRun]) -> dict[str, list[BlockRun]]:
    found: dict[str, list[BlockRun]] = defaultdict(list)
    for block in blocks:
        if block.pool and not block.is_aside:
            found[block.pool].append(block)
    return dict(found)


@dataclass(frozen=True)
class ExecutorUse:
    """What one executor has: block runs that run, that wait, and orphans: running, but owned by nobody alive.

    `ailing`: where it cannot start blocks.
    """

    name: str
    is_known: bool
    running: int
    queued: int
    orphans: int
    ailing: tuple[Ailing, ...] = ()

    @property
    def state(self) -> str:
        """One of "unknown", "unhealthy", "orphans", "busy", "idle"."""
        if not self.is_known:
            return "unknown"
        if self.ailing:
            return "unhealthy"
        return "orphans" if self.orphans else "busy" if self.running else "idle"


def executors(moment: datetime) -> list[ExecutorUse]:
    """Return every executor there is, and those that block runs name though there is none; four small queries."""
    running = by_executor(BlockRun.objects.filter(status=Written(BlockStatus.RUNNING.value)))
    queued = by_executor(BlockRun.objects.filter(status=Written(BlockStatus.QUEUED.value)))
    orphans = by_executor(BlockRun.objects.owned_by_lost_workers(moment))
    ill = ailing(Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).exclude(trouble={}))
    names = sorted({*registry.FACTORIES, *running, *queued})
    return [
        ExecutorUse(
            name,
            name in registry.FACTORIES,
            running.get(name, 0),
            queued.get(name, 0),
            orphans.get(name, 0),
            tuple(each for each in ill if each.executor == name),
        )
        for name in names
    ]


def by_executor(rows: BlockRunQuerySet) -> dict[str, int]:
    return dict(rows.order_by().values_list("executor").annotate(Count("id")))
