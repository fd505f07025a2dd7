"""Block runs, and the pools that they share."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from runs.models import moves
from runs.models.runs import PipelineRun
from runs.models.written import NO_ITEMS, NOTHING, OPEN_BLOCKS, QUEUED, RUNNING, WAITING, choices
from runs.states import BLOCK_ENDED_BADLY, BLOCK_FINISHED, BlockStatus


class BlockRunQuerySet(models.QuerySet["BlockRun"]):
    def unfinished(self) -> Self:
        return self.filter(status__in=OPEN_BLOCKS)

    def at_work(self) -> Self:
        """Queued, running or waiting: written so that Postgres finds them by the index of each state."""
        return self.filter(QUEUED | RUNNING | WAITING)

    def of_graph(self) -> Self:
        """The blocks by which a run goes on and ends: all but its callbacks."""
        return self.exclude(role=Role.CALLBACK)

    def in_turn(self) -> Self:
        """What is ready for a worker, most urgent first, whether its pool has room or not."""
        return self.filter(status=BlockStatus.QUEUED).order_by("priority", "id")

    def that_count(self) -> Self:
        """Those by whose ends a run ends: of a block that was marked as a whole, its mark counts and no member."""
        passed = (BlockStatus.COMPLETED, BlockStatus.CONDITION_FAILED)
        return self.of_graph().exclude(role=Role.MEMBER, parent__status__in=passed, status__in=BLOCK_ENDED_BADLY)

    def queued(self) -> Self:
        """Ready for a worker, most urgent first; without those for which their pool has no room."""
        open_pools = Pool.objects.with_use().filter(slots__gt=F("used")).values("name")  # one look for all rows
        too_small = Pool.objects.with_use().filter(name=OuterRef("pool"), slots__lt=F("used") + OuterRef("pool_slots"))
        ready = self.in_turn().filter(Q(pool="") | Q(pool__in=open_pools))
        return ready.exclude(Q(pool_slots__gt=1) & Exists(too_small))

    def next_queued(self) -> "BlockRun | None":
        """Return the first of the `queued`. That question alone takes milliseconds: it is asked where a pool is."""
        first = self.in_turn().first()
        return self.queued().first() if first is not None and first.pool else first

    def has_queued(self) -> bool:
        """Tell whether there are any `queued`, at next to no cost when there are none."""
        return self.in_turn().exists() and self.queued().exists()

    def members_for_progress(self) -> Self:
        """The members of a run's blocks in their order, without what makes thousands of them heavy."""
        wide = ("config", "output", "metrics", "fanout", "upstream", "downstream")
        return self.filter(role=Role.MEMBER).defer(*wide).order_by("position", "id")

    def for_page(self) -> Self:
        """The blocks of a run in their order, without their settings."""
        return self.of_graph().defer("config").order_by("position", "id")

    def called_for_page(self) -> Self:
        """The callbacks of a run in the order of what they follow."""
        return (
            self.filter(role=Role.CALLBACK).select_related("parent").defer("parent__config").order_by("position", "id")
        )

    def due(self, moment: datetime) -> Self:
        """Waiting block runs whose next attempt has come."""
        return self.filter(status=BlockStatus.WAITING, next_attempt_at__lte=moment)

    def owned_by_lost_workers(self, moment: datetime) -> Self:
        return self.filter(status=BlockStatus.RUNNING).filter(
            Q(worker=None) | Q(worker__lease_until__lt=moment) | Q(worker__lease_until=None)
        )

    def move_to(self, old: BlockStatus, new: BlockStatus, **fields: Any) -> int:
        """Move every row here that is still in `old`; return how many were moved."""
        return moves.move_block_runs(self, old, new, fields)


class Role(models.TextChoices):
    """What a block run is in its run."""

    BLOCK = "block"  # a block of the graph
    MEMBER = "member"  # one of the many that a block downstream of a dynamic one is run as; its parent is that block
    CALLBACK = "callback"  # what is called after its parent has ended, or after the run if it has none


class BlockRun(models.Model):
    """One block of one run. The row is the truth and, while queued, the queue.

    A block that is to run once for each item of a dynamic one upstream is never queued itself: when its items are
    known it is expanded into members (`members_total` of them), waits for them, and ends as they did.
    """

    pipeline_run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="block_runs")
    block_uuid = models.CharField(max_length=255)
    name = models.CharField(max_length=255, blank=True)
    type = models.CharField(max_length=40)
    status = models.CharField(max_length=20, choices=choices(BlockStatus), default=BlockStatus.INITIAL)
    attempt = models.PositiveIntegerField(default=1)  # the fencing token: raised by every retry and recovery
    position = models.PositiveIntegerField(default=0)  # in topological order
    priority = models.SmallIntegerField(default=0)
    upstream = models.JSONField(default=list)  # block uuids, in declared order
    downstream = models.JSONField(default=list)
    trigger_rule = models.CharField(max_length=20, default="all_success")
    pending = models.PositiveIntegerField(default=0)  # upstream blocks not finished yet
    config = models.JSONField(default=dict)  # the block's entry of the graph, as it was when the run was created
    executor = models.CharField(max_length=40, default="local_python")
    worker = models.ForeignKey(
        "Worker", null=True, blank=True, db_index=False, on_delete=models.SET_NULL, related_name="block_runs"
    )
    external_id = models.CharField(max_length=255, blank=True)
    timeout = models.DurationField(null=True, blank=True)
    retries = models.PositiveIntegerField(default=0)  # user retries used
    losses = models.PositiveIntegerField(default=0)  # attempts lost with their worker
    pokes = models.PositiveIntegerField(default=0)  # times a sensor looked
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)  # of the current attempt
    first_started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    output = models.JSONField(default=list, blank=True)  # pipelines.variables: type, rows, bytes, preview, where
    metrics = models.JSONField(default=dict, blank=True)  # cpu_seconds, peak_memory_bytes, duration_seconds, exit
    error = models.JSONField(default=dict, blank=True)  # executors.base.Failure.as_dict()
    reason = models.CharField(max_length=500, blank=True)
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.BLOCK, db_default=Role.BLOCK)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="parts")
    members_total = models.PositiveIntegerField(null=True, blank=True)  # of a block that was expanded
    item_index = models.JSONField(default=list, blank=True, db_default=NO_ITEMS)  # of a member: [2], or [2, 0]
    fanout = models.JSONField(default=dict, blank=True, db_default=NOTHING)  # of a dynamic block: pipelines.fanouts
    pool = models.CharField(max_length=100, blank=True, default="", db_default="")
    pool_slots = models.PositiveIntegerField(default=1, db_default=1)  # how many of the pool's it takes while it runs
    # While it waits for another run it leaves its pool to others, which that run may need.
    is_aside = models.BooleanField(default=False, db_default=False)
    sla_at = models.DateTimeField(null=True, blank=True)  # when it should have completed
    passed_sla = models.BooleanField(default=False, db_default=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True)  # a long-lived block's last sign of progress

    objects = BlockRunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline_run", "block_uuid"], name="a_run_has_a_block_once"),
        ]
        indexes = [
            # broker and workers: what to take next
            models.Index(fields=["priority", "id"], name="block_queue", condition=Q(status="queued")),
            # a worker that goes on with its run: what to take next of it, in order
            models.Index(
                fields=["pipeline_run", "priority", "id"], name="block_queue_of_run", condition=Q(status="queued")
            ),
            # a run that goes on: what waits for nothing more, or was ready when there was no slot
            models.Index(
                fields=["pipeline_run", "priority", "position"],
                name="block_ready",
                condition=Q(status="initial", pending=0),
            ),
            # API: what ended badly, the newest first
            models.Index(
                fields=["status", "-id"],
                name="block_gone_wrong",
                condition=Q(status__in=["failed", "upstream_failed", "condition_failed", "cancelled"]),
            ),
            # watchdog, evaluator of alerts: whether a worker took anything since a moment; workers: what names them
            models.Index(fields=["worker", "started_at"], name="block_of_worker"),
            # recovery: what lost workers held
            models.Index(fields=["worker"], name="block_held", condition=Q(status="running")),
            # scheduler: sensors and retries whose time has come
            models.Index(fields=["next_attempt_at"], name="block_timer", condition=Q(status="waiting")),
            # scheduler: blocks that pass their SLA
            models.Index(
                fields=["sla_at"],
                name="block_sla",
                condition=Q(
                    status__in=["initial", "queued", "running", "waiting"], passed_sla=False, sla_at__isnull=False
                ),
            ),
            # claims: what a pool is used by
            models.Index(fields=["pool"], name="block_pool", condition=Q(status="running") & ~Q(pool="")),
        ]

    def __str__(self) -> str:
        return f"block run {self.pk} ({self.block_uuid})"

    @property
    def is_finished(self) -> bool:
        return self.status in BLOCK_FINISHED

    def be_born_queued(self, moment: datetime) -> None:
        """Be ready with its first row; only before it is stored."""
        moves.bear(self, BlockStatus.QUEUED)
        self.queued_at = moment

    def be_born_waiting(self, until: datetime, reason: str) -> None:
        """Wait with its first row; only before it is stored."""
        moves.bear(self, BlockStatus.WAITING)
        self.next_attempt_at, self.reason = until, reason

    def move_to(self, status: BlockStatus, *, next_attempt: bool = False, **fields: Any) -> bool:
        """Move from the status and attempt it was read with; False if either is no longer so (fenced, or a lost race).

        `next_attempt` raises the attempt in the same statement, which fences whoever still holds the old one.
        """
        return moves.move_block_run(self, status, next_attempt, fields)


class PoolQuerySet(models.QuerySet["Pool"]):
    def with_use(self) -> Self:
        """Each with the number of its slots that are taken, `used`."""
        running = BlockRun.objects.filter(status=BlockStatus.RUNNING, is_aside=False, pool=OuterRef("name")).exclude(
            pool=""
        )
        used = running.order_by().values("pool").annotate(sum=Sum("pool_slots")).values("sum")
        return self.annotate(used=Coalesce(Subquery(used), 0))

    def with_queued(self) -> Self:
        """Each with the number of block runs that wait for a place in it or for a worker, `queued`."""
        waiting = BlockRun.objects.filter(status=BlockStatus.QUEUED, pool=OuterRef("name")).order_by()
        counted = waiting.values("pool").annotate(count=Count("id")).values("count")
        return self.annotate(queued=Coalesce(Subquery(counted), 0))


class Pool(models.Model):
    """A named number of slots that blocks of any run take while they run, some more than one."""

    name = models.CharField(max_length=100, unique=True)
    slots = models.PositiveIntegerField()
    description = models.CharField(max_length=500, blank=True)
    from_file = models.BooleanField(default=False)  # written in the project's metadata.yaml: changed there

    objects = PoolQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
