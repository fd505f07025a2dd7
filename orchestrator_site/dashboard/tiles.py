"""The numbers on top of the dashboard: each counts what the page behind it lists."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules import holding
from schedules.decisions import ON_TIME
from schedules.models import Occurrence, PipelineSchedule

DAY = timedelta(days=1)
MOST = 1000  # further, nobody counts


@dataclass(frozen=True)
class Tiles:
    """`lost` are moments missed or expired within the day; `executors` says how many blocks run on each.

    `ready_since`: since when the oldest block that waits for a worker, and for nothing else, is ready.
    """

    running: int
    queued: int
    late: int
    set_aside: int
    active: int
    lost: int
    held: int
    blocks: Counter[str]
    executors: Counter[str]
    ready_since: datetime | None


def take(moment: datetime) -> Tiles:
    """Count what goes on; five queries over small, indexed sets."""
    runs = dict(PipelineRun.objects.unfinished().values_list("status").annotate(Count("id")).order_by())
    blocks, executors, ready_since = blocks_at_work()
    is_late = Q(is_active=True, next_due_at__lte=moment - ON_TIME)
    schedules = PipelineSchedule.objects.aggregate(
        late=Count("id", filter=is_late),
        set_aside=Count("id", filter=~Q(problem="")),
        active=Count("id", filter=Q(is_active=True)),
    )
    return Tiles(
        running=runs.get(RunStatus.RUNNING, 0),
        queued=runs.get(RunStatus.INITIAL, 0),
        lost=Occurrence.objects.lost().filter(decided_at__gte=moment - DAY).order_by()[: MOST + 1].count(),
        held=holding.held().order_by()[: MOST + 1].count(),
        blocks=blocks,
        executors=executors,
        ready_since=ready_since,
        **schedules,
    )


def blocks_at_work() -> tuple[Counter[str], Counter[str], datetime | None]:
    """Return how many blocks are queued, running, waiting, how many run on which executor, what is ready longest."""
    rows = BlockRun.objects.at_work().filter(members_total=None).order_by()
    blocks: Counter[str] = Counter()
    executors: Counter[str] = Counter()
    ready: list[datetime] = []
    oldest = Min("queued_at", filter=Q(status=BlockStatus.QUEUED, pool=""))
    for status, executor, count, since in rows.values_list("status", "executor").annotate(n=Count("id"), since=oldest):
        blocks[status] += count
        if status == BlockStatus.RUNNING:
            executors[executor] += count
        if since:
            ready.append(since)
    return blocks, executors, min(ready, default=None)
