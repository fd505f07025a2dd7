"""The ledger: every moment a pipeline was due, and what was decided."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from runs.models import Origin
from runs.models.written import Written


class Decision(models.TextChoices):
    """What became of an occurrence."""

    STARTED = "started"
    WAITING = "waiting"  # for a limit, a window, its turn: starts by itself
    HELD = "held"  # until someone releases or drops it
    SKIPPED = "skipped"  # previous still running, limit, calendar
    EXPIRED = "expired"  # its start deadline passed
    MISSED = "missed"  # found after downtime and not run by policy
    CANCELLED = "cancelled"


LOST = (Decision.MISSED, Decision.EXPIRED)  # nobody wanted that
NOT_RUN = (*LOST, Decision.SKIPPED, Decision.HELD)  # there is no run, and nothing starts one by itself


class OccurrenceQuerySet(models.QuerySet["Occurrence"]):
    def ledger(self, before: datetime | None = None, decision: str = "") -> Self:
        """The newest first, with their runs; only those earlier than `before` and with this decision, if given."""
        found = self.filter(scheduled_for__lt=before) if before else self
        found = found.filter(decision=decision) if decision else found
        return found.select_related("pipeline_run").defer("pipeline_run__variables").order_by("-scheduled_for")

    def lost(self) -> Self:
        """Moments that should have run and never will by themselves."""
        return self.filter(decision__in=[Written(each.value) for each in LOST])

    def not_run(self) -> Self:
        """Moments without a run: lost, skipped by a rule, or held."""
        return self.filter(decision__in=[Written(each.value) for each in NOT_RUN])

    def with_all(self) -> Self:
        """With everything that decides about them; without the text of code files."""
        beside = ("schedule", "backfill", "pipeline__current_version", "pipeline_run__version")
        return self.select_related(*beside).defer("pipeline__current_version__files", "pipeline_run__version__files")


class Occurrence(models.Model):
    """One moment a pipeline was due, what was decided, and why. Its constraints make a firing happen once."""

    pipeline = models.ForeignKey("pipelines.Pipeline", on_delete=models.CASCADE, related_name="occurrences")
    # None for the slots of a backfill that follows no schedule.
    schedule = models.ForeignKey(
        "schedules.PipelineSchedule", null=True, blank=True, on_delete=models.CASCADE, related_name="occurrences"
    )
    backfill = models.ForeignKey(
        "schedules.Backfill", null=True, blank=True, on_delete=models.SET_NULL, related_name="occurrences"
    )
    origin = models.CharField(max_length=20, choices=Origin.choices, default=Origin.SCHEDULE)
    scheduled_for = models.DateTimeField()
    local_time = models.CharField(max_length=40, blank=True)  # the wall clock it stands for, ISO 8601
    interval_end = models.DateTimeField(null=True, blank=True)  # the next moment of the same rule
    decision = models.CharField(max_length=12, choices=Decision.choices)
    reason = models.CharField(max_length=500, blank=True)
    blocker_run_id = models.BigIntegerField(null=True, blank=True)
    cause_run_id = models.BigIntegerField(null=True, blank=True)  # the run whose end it follows
    priority = models.SmallIntegerField(default=0)  # lower starts first
    start_after = models.DateTimeField(null=True, blank=True)  # not to be looked at again before
    expires_at = models.DateTimeField(null=True, blank=True)  # its start deadline
    pipeline_run = models.OneToOneField(
        "runs.PipelineRun", null=True, blank=True, on_delete=models.SET_NULL, related_name="occurrence"
    )
    decided_at = models.DateTimeField()

    objects = OccurrenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "scheduled_for"], name="schedule_fires_once_per_moment"),
            models.UniqueConstraint(
                fields=["pipeline", "scheduled_for"],
                name="a_slot_without_schedule_is_one_row",
                condition=Q(schedule__isnull=True),
            ),
        ]
        indexes = [
            # scheduler: what waits, group by group, most urgent first
            models.Index(
                fields=["schedule", "backfill", "priority", "scheduled_for"],
                name="occurrence_waiting",
                condition=Q(decision="waiting"),
            ),
            # scheduler: what has waited too long
            models.Index(
                fields=["expires_at"],
                name="occurrence_expiring",
                condition=Q(decision="waiting", expires_at__isnull=False),
            ),
            # invariants: starts without a run
            models.Index(
                fields=["pipeline_run", "decided_at"],
                name="occurrence_runless",
                condition=Q(decision="started", pipeline_run__isnull=True),
            ),
            # alerts: what came to nothing lately
            models.Index(
                fields=["decided_at", "id"],
                name="occurrence_passed_over",
                condition=Q(decision__in=["expired", "missed", "skipped"]),
            ),
            # page of what is held
            models.Index(fields=["scheduled_for"], name="occurrence_held", condition=Q(decision="held")),
            # dashboard: what was lost lately
            models.Index(fields=["decided_at"], name="occurrence_lost", condition=Q(decision__in=LOST)),
            # timeline: what of a pipeline was due and did not run
            models.Index(
                fields=["pipeline", "scheduled_for"], name="occurrence_not_run", condition=Q(decision__in=NOT_RUN)
            ),
            # backfill page: progress
            models.Index(
                fields=["backfill", "decision"], name="occurrence_of_backfill", condition=Q(backfill__isnull=False)
            ),
            # API: the ledger of everything in order of time
            models.Index(fields=["scheduled_for", "id"], name="occurrence_by_moment"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.scheduled_for.isoformat()}: {self.decision}"
