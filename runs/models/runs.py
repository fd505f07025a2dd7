"""Pipeline runs, block runs, and the pools that block runs share.

`move_to` is the only code that assigns a status: a conditional UPDATE that names the old status (and, for a block
run, the attempt). An illegal move raises `IllegalMove`; a lost race returns False (a count for many rows).
"""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from runs.states import (
    BLOCK_ENDED_BADLY,
    BLOCK_FINISHED,
    BLOCK_UNFINISHED,
    RUN_FINISHED,
    RUN_UNFINISHED,
    BlockStatus,
    RunStatus,
    check_block_move,
    check_run_move,
)


def choices(states: type[RunStatus] | type[BlockStatus]) -> list[tuple[str, str]]:
    return [(state.value, state.value.replace("_", " ")) for state in states]


class Origin(models.TextChoices):
    """What started a run."""

    SCHEDULE = "schedule"
    EVENT = "event"
    API = "api"
    MANUAL = "manual"
    BACKFILL = "backfill"
    PIPELINE = "pipeline"


NOTHING = Value({}, models.JSONField())
NO_ITEMS = Value([], models.JSONField())
ENDED = Q(completed_at__isnull=False)


class Written(Value):
    """A status that stands in the statement itself, quoted: a parameter in a list keeps SQLite from a partial index."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        return f"'{self.value}'", ()


OPEN_RUNS = tuple(Written(status.value) for status in RUN_UNFINISHED)
OPEN_BLOCKS = tuple(Written(status.value) for status in BLOCK_UNFINISHED)
QUEUED, RUNNING, WAITING = (
    Q(status=Written(status.value)) for status in (BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)
)


class PipelineRunQuerySet(models.QuerySet["PipelineRun"]):
    def unfinished(self) -> Self:
        return self.filter(status__in=OPEN_RUNS)

    def finished(self) -> Self:
        return self.filter(status__in=RUN_FINISHED)

    def for_list(self) -> Self:
        """Newest first, with what a list of runs shows."""
        wide = ("variables", "variable_origins", "event", "retry_config")
        return self.select_related("pipeline").defer(*wide, "pipeline__problems").order_by("-id")

    def for_strip(self) -> Self:
        """What one bar of a strip of runs shows, and what the cadence of the runs is told by."""
        times = ("execution_date", "interval_end", "created_at", "started_at", "completed_at")
        of_sla = ("sla_at", "passed_sla")
        return self.only("status", *times, *of_sla, "pipeline_id", "trigger_id", "origin", "backfill_id")

    def for_page(self) -> Self:
        """What the page of one run shows, without the code its version carries."""
        return self.select_related("pipeline", "version").defer("version__files", "pipeline__problems")

    def failed_since(self, moment: datetime) -> Self:
        return self.filter(status=RunStatus.FAILED, completed_at__gte=moment)

    def matching(self, text: str) -> Self:
        """Those whose number, pipeline or trigger the text names."""
        found = Q(pipeline__uuid__icontains=text) | Q(trigger_name__icontains=text)
        number = text.removeprefix("#")
        return self.filter(found | Q(pk=int(number)) if number.isdecimal() and len(number) < 19 else found)


class PipelineRun(models.Model):
    """One time a pipeline ran (or waits to). Carries its own settings, copied when it was created."""

    pipeline = models.ForeignKey("pipelines.Pipeline", on_delete=models.PROTECT, related_name="runs")
    version = models.ForeignKey("pipelines.PipelineVersion", on_delete=models.PROTECT, related_name="runs")
    status = models.CharField(max_length=20, choices=choices(RunStatus), default=RunStatus.INITIAL)
    attempt = models.PositiveIntegerField(default=1)
    origin = models.CharField(max_length=20, choices=Origin.choices)
    # What is above (`schedules`) is known here by number and name only.
    trigger_id = models.BigIntegerField(null=True, blank=True)
    trigger_name = models.CharField(max_length=255, blank=True)
    backfill_id = models.BigIntegerField(null=True, blank=True)
    execution_date = models.DateTimeField()  # the instant the run stands for
    interval_end = models.DateTimeField(null=True, blank=True)
    variables = models.JSONField(default=dict, blank=True)  # merged: pipeline ← trigger ← run
    variable_origins = models.JSONField(default=dict, blank=True)  # name → "pipeline" | "trigger" | "run" | "event"
    event = models.JSONField(default=dict, blank=True)
    # Settings of this run, copied from the trigger and the pipeline.
    allow_blocks_to_fail = models.BooleanField(default=False)
    in_one_process = models.BooleanField(default=False)
    block_run_limit = models.PositiveIntegerField(null=True, blank=True)
    executor = models.CharField(max_length=40, default="local_python")
    priority = models.SmallIntegerField(default=0)  # lower runs first; backfills have higher numbers
    limits = models.JSONField(default=dict, blank=True)  # what its trigger says about admission: runs.limits
    timeout = models.DurationField(null=True, blank=True)
    timeout_status = models.CharField(max_length=20, default=RunStatus.FAILED)
    sla = models.DurationField(null=True, blank=True)
    retry_config = models.JSONField(default=dict, blank=True)
    # Repeating an accepted request gives the same run.
    idempotency_key = models.CharField(max_length=400, null=True, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)  # SHA-256 of the body that came with the key
    parent_block_run = models.ForeignKey(
        "BlockRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="children"
    )
    is_awaited = models.BooleanField(default=False, db_default=False)  # by its parent, with which it is cancelled
    started_by = models.CharField(max_length=150, blank=True)  # user name, when a person did
    reason = models.CharField(max_length=500, blank=True)  # why it waits, failed or was cancelled, in words
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)  # started_at + timeout
    sla_at = models.DateTimeField(null=True, blank=True)  # when it should be finished
    passed_sla = models.BooleanField(default=False, db_default=False)  # and was not: said once
    callbacks = models.JSONField(default=dict, blank=True, db_default=NOTHING)
    is_kept = models.BooleanField(default=False, db_default=False)  # retention leaves it alone
    logs_removed_at = models.DateTimeField(null=True, blank=True)  # by retention; a retry writes new ones
    outputs_removed_at = models.DateTimeField(null=True, blank=True)

    objects = PipelineRunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["idempotency_key"], name="a_repeated_request_is_one_run"),
        ]
        indexes = [
            # scheduler and recovery: runs still going on; dashboard: what runs now
            models.Index(
                fields=["status", "id"], name="run_unfinished", condition=Q(status__in=["initial", "running"])
            ),
            # pipeline page: its newest runs
            models.Index(fields=["pipeline", "-id"], name="run_of_pipeline"),
            # schedule page and overlap check: runs of one trigger
            models.Index(fields=["trigger_id", "-id"], name="run_of_trigger"),
            # backfill plan: how the slots of a pipeline stand; calendar: how many of which state each day has
            models.Index(fields=["pipeline", "execution_date", "status"], name="run_of_slot_by_status"),
            # list of runs: what went wrong with one pipeline
            models.Index(
                fields=["pipeline", "status", "-id"],
                name="run_gone_wrong",
                condition=Q(status__in=["failed", "cancelled"]),
            ),
            # dashboard: what failed lately
            models.Index(fields=["status", "-completed_at"], name="run_finished_lately"),
            # scheduler: runs past their timeout
            models.Index(fields=["deadline_at"], name="run_deadline", condition=Q(status="running")),
            # scheduler: runs that pass their SLA
            models.Index(
                fields=["sla_at"],
                name="run_sla",
                condition=Q(status__in=["initial", "running"], passed_sla=False, sla_at__isnull=False),
            ),
            # retention, history: the finished runs of a pipeline by their end
            models.Index(fields=["pipeline", "completed_at"], name="run_ended", condition=ENDED),
            # retention: those whose logs, whose outputs are still there
            models.Index(
                fields=["pipeline", "completed_at"],
                name="run_with_logs",
                condition=ENDED & Q(logs_removed_at__isnull=True),
            ),
            models.Index(
                fields=["pipeline", "completed_at"],
                name="run_with_outputs",
                condition=ENDED & Q(outputs_removed_at__isnull=True),
            ),
            # retention page, API: those that are kept
            models.Index(fields=["id"], name="run_kept", condition=Q(is_kept=True)),
            # API: lists in order of time
            models.Index(fields=["created_at", "id"], name="run_by_creation"),
            models.Index(fields=["execution_date", "id"], name="run_by_execution_date"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def is_finished(self) -> bool:
        return self.status in RUN_FINISHED

    def be_born_running(self, moment: datetime) -> None:
        """Start with its first row; only before it is stored."""
        self.status, self.started_at = RunStatus.RUNNING, moment
        self.deadline_at = moment + self.timeout if self.timeout else None

    def move_to(self, status: RunStatus, **fields: Any) -> bool:
        """Move this run from the status it was read with to `status`; False if someone else moved it first."""
        check_run_move(self.status, status)
        moved = PipelineRun.objects.filter(pk=self.pk, status=self.status).update(status=status, **fields)
        if moved:
            self.__dict__.update(status=status, **fields)
        return bool(moved)

    def origins_of_variables(self) -> dict[str, str]:
        """Return where each variable is from, in the words people know: a schedule is stored as "trigger"."""
        return {name: "schedule" if origin == "trigger" else origin for name, origin in self.variable_origins.items()}

    def set_kept(self, is_kept: bool) -> None:
        """Keep this run from retention, or leave it to it."""
        PipelineRun.objects.filter(pk=self.pk).update(is_kept=is_kept)
        self.is_kept = is_kept


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
        check_block_move(old, new)
        return self.filter(status=old).update(status=new, **fields)


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
    worker = models.ForeignKey("Worker", null=True, blank=True, on_delete=models.SET_NULL, related_name="block_runs")
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
        self.status, self.queued_at = BlockStatus.QUEUED, moment

    def be_born_waiting(self, until: datetime, reason: str) -> None:
        """Wait with its first row; only before it is stored."""
        self.status, self.next_attempt_at, self.reason = BlockStatus.WAITING, until, reason

    def move_to(self, status: BlockStatus, *, next_attempt: bool = False, **fields: Any) -> bool:
        """Move from the status and attempt it was read with; False if either is no longer so (fenced, or a lost race).

        `next_attempt` raises the attempt in the same statement, which fences whoever still holds the old one.
        """
        check_block_move(self.status, status)
        changes: dict[str, Any] = dict(fields)
        if next_attempt:
            changes["attempt"] = F("attempt") + 1
        held = BlockRun.objects.filter(pk=self.pk, status=self.status, attempt=self.attempt)
        if self.status == BlockStatus.RUNNING:  # a sensor is run again and again under one attempt
            held = held.filter(worker=self.worker_id)  # (None stands for NULL)
        moved = held.update(status=status, **changes)
        if moved:
            self.__dict__.update(status=status, **fields)
            self.attempt += next_attempt
        return bool(moved)


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
