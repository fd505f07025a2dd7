"""Pipeline runs."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q

from runs.models import moves
from runs.models.written import NOTHING, OPEN_RUNS, choices
from runs.states import RUN_FINISHED, RunStatus

ENDED = Q(completed_at__isnull=False)


class Origin(models.TextChoices):
    """What started a run."""

    SCHEDULE = "schedule"
    EVENT = "event"
    API = "api"
    MANUAL = "manual"
    BACKFILL = "backfill"
    PIPELINE = "pipeline"


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
        moves.bear(self, RunStatus.RUNNING)
        self.started_at = moment
        self.deadline_at = moment + self.timeout if self.timeout else None

    def move_to(self, status: RunStatus, **fields: Any) -> bool:
        """Move this run from the status it was read with to `status`; False if someone else moved it first."""
        return moves.move_run(self, status, fields)

    def origins_of_variables(self) -> dict[str, str]:
        """Return where each variable is from, in the words people know: a schedule is stored as "trigger"."""
        return {name: "schedule" if origin == "trigger" else origin for name, origin in self.variable_origins.items()}

    def set_kept(self, is_kept: bool) -> None:
        """Keep this run from retention, or leave it to it."""
        PipelineRun.objects.filter(pk=self.pk).update(is_kept=is_kept)
        self.is_kept = is_kept
