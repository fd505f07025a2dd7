"""When pipelines should run."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import F, Q

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import events
from schedules import forecasts
from schedules.days.calendars import Shelf
from schedules.decisions import ON_TIME
from schedules.models.occurrence import Decision
from schedules.policies import Settings
from schedules.timetable import Kind, Timetable, parse
from schedules.timing import Timing, steady_jitter

logger = logging.getLogger(__name__)
PIPELINE_GONE = "Its pipeline is no longer in the project."


class ScheduleType(models.TextChoices):
    TIME = "time"
    EVENT = "event"
    API = "api"


class Source(models.TextChoices):
    """Where a schedule is written down."""

    UI = "ui"
    API = "api"
    CODE = "code"  # triggers.yaml


class PipelineScheduleQuerySet(models.QuerySet["PipelineSchedule"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def due(self, moment: datetime) -> Self:
        """Active time schedules whose next moment has come, the longest overdue first."""
        return self.filter(is_active=True, next_due_at__lte=moment).order_by("next_due_at", "id")

    def late(self, moment: datetime) -> Self:
        """Those whose moment is past for longer than a scheduler that is well would leave it."""
        return self.due(moment - ON_TIME)

    def next_due(self) -> datetime | None:
        """When the next active schedule is due; may be in the past."""
        planned = self.filter(is_active=True, next_due_at__isnull=False)
        return planned.order_by("next_due_at", "id").values_list("next_due_at", flat=True).first()

    def next_resume(self) -> datetime | None:
        """When the next pause that has an end is over; may be in the past."""
        paused = self.filter(paused_until__isnull=False).order_by("paused_until")
        return paused.values_list("paused_until", flat=True).first()

    def claimed(self) -> Self:
        """Hold the rows until the commit; what another scheduler holds is left out."""
        return self.select_for_update(of=("self",), skip_locked=True, no_key=True)

    def unplanned(self) -> Self:
        """Active time schedules that nobody has planned yet, for example rows written by hand."""
        return self.filter(
            is_active=True, next_due_at=None, last_enabled_at=None, problem="", schedule_type=ScheduleType.TIME
        )

    def orphaned(self) -> Self:
        """Active schedules that were set aside because their pipeline's folder was gone."""
        return self.filter(is_active=True, next_due_at=None, problem=PIPELINE_GONE)

    def mended(self) -> Self:
        """Schedules that go on, but still say that their pipeline was invalid, which it no longer is."""
        told = self.set_aside().filter(is_active=True, next_due_at__isnull=False, problem__startswith="Pipeline ")
        return told.filter(pipeline__is_valid=True, pipeline__is_present=True)

    def ready_to_start(self) -> Self:
        """With all that a run needs, in one query; without the text of the code files, which may be long."""
        return self.select_related("pipeline__current_version").defer("pipeline__current_version__files")

    def for_list(self) -> Self:
        return self.select_related("pipeline").order_by("pipeline__uuid", "name", "id")

    def matching(self, text: str, state: str, moment: datetime) -> Self:
        """Those whose name or pipeline holds the text, and that are "active", "paused", "set aside" or "late"."""
        found = self.filter(Q(name__icontains=text) | Q(pipeline__uuid__icontains=text)) if text else self
        match state:
            case "active" | "paused":
                return found.filter(is_active=state == "active")
            case "set aside":
                return found.set_aside()
            case "late":
                return found.filter(pk__in=self.model.objects.late(moment).order_by().values("pk"))
        return found

    def coming(self) -> Self:
        """Active schedules in the order in which they are due."""
        coming = self.filter(is_active=True, next_due_at__isnull=False)
        return coming.select_related("pipeline").order_by("next_due_at", "id")

    def set_aside(self) -> Self:
        """Those that cannot fire as they are written."""
        return self.exclude(problem="")

    def next_of_pipelines(self, pipelines: Iterable[Pipeline]) -> dict[int, list["PipelineSchedule"]]:
        """Return each pipeline's schedules (by its id), the one due next first and paused ones last."""
        found: dict[int, list[PipelineSchedule]] = {pipeline.pk: [] for pipeline in pipelines}
        in_order = F("next_due_at").asc(nulls_last=True)
        for schedule in self.filter(pipeline__in=list(found)).order_by("-is_active", in_order, "id"):
            found[schedule.pipeline_id].append(schedule)
        return found


class PipelineSchedule(models.Model):
    """When a pipeline should run ("trigger" on the pages)."""

    pipeline = models.ForeignKey("pipelines.Pipeline", on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    schedule_type = models.CharField(max_length=10, choices=ScheduleType.choices, default=ScheduleType.TIME)
    schedule_interval = models.CharField(max_length=256, blank=True)  # "@daily", "0 6 * * 1-5": as typed
    timezone = models.CharField(max_length=64, default="UTC")  # IANA name, as typed
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=False)
    last_enabled_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)  # while inactive: when it resumes by itself
    # Every moment up to this one is accounted for in the ledger; what is due next is a pure function of it.
    decided_until = models.DateTimeField(null=True, blank=True)
    # A cache of that function, never the truth: null when nothing is due any more.
    next_due_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=500, blank=True)  # why it was set aside; empty when well
    variables = models.JSONField(default=dict, blank=True)
    sla = models.DurationField(null=True, blank=True)
    # Mage's settings: skip_if_previous_running, allow_blocks_to_fail, create_initial_pipeline_run, pipeline_run_limit,
    # timeout, timeout_status, retry_config, …: schedules.decisions.Settings says which and their defaults.
    settings = models.JSONField(default=dict, blank=True)
    token_hash = models.CharField(max_length=64, blank=True)  # SHA-256 of an API trigger's token
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.UI)
    source_hash = models.CharField(max_length=64, blank=True)  # of its entry in triggers.yaml, when last taken over
    # `id` of its entry in triggers.yaml: a rename there keeps the row. (db_default: older processes write rows too.)
    code_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PipelineScheduleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "name"], name="a_pipeline_has_a_trigger_name_once"),
            models.UniqueConstraint(
                fields=["pipeline", "code_id"], condition=~Q(code_id=""), name="a_pipeline_has_a_trigger_id_once"
            ),
        ]
        indexes = [
            # scheduler: what is due, and when to wake next
            models.Index(fields=["next_due_at", "id"], name="schedule_due", condition=Q(is_active=True)),
            # scheduler: those to look at again when their run ends
            models.Index(
                fields=["next_due_at"],
                name="schedule_always_on",
                condition=Q(is_active=True, schedule_interval=Kind.ALWAYS_ON.value),
            ),
            # triggers.yaml: which pipelines have triggers in their file
            models.Index(fields=["pipeline"], name="schedule_in_code", condition=Q(source="code")),
            # scheduler: whose problem may be mended
            models.Index(fields=["id"], name="schedule_with_problem", condition=~Q(problem="")),
            # scheduler: whose pause is over
            models.Index(fields=["paused_until"], name="schedule_pause_over", condition=Q(paused_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        changed = kwargs.get("update_fields")
        if changed is None or {"settings", "schedule_type"} & set(changed):
            self.keep_links()

    def keep_links(self) -> None:
        """Keep the index behind the setting `after` in step with it; nonsense in the settings follows nothing."""
        try:
            after = self.checked_settings().after if self.schedule_type == ScheduleType.EVENT else None
        except Refusal:
            after = None
        wanted = set(after.pipelines) if after else set()
        there = set(self.links.values_list("pipeline_uuid", flat=True))
        if there - wanted:
            self.links.filter(pipeline_uuid__in=there - wanted).delete()
        missing = [ChainLink(schedule=self, pipeline_uuid=uuid) for uuid in sorted(wanted - there)]
        ChainLink.objects.bulk_create(missing, ignore_conflicts=True)

    @property
    def status(self) -> str:
        """Mage's word for `is_active`."""
        return "active" if self.is_active else "inactive"

    def timetable(self, shelf: Shelf | None = None) -> Timetable:
        """Return the rule of instants, with hours and calendar; raises the `Refusal` of whatever is wrong.

        A `shelf` of calendars saves a query where several schedules are asked.
        """
        settings = self.checked_settings()
        return parse(
            self.schedule_interval,
            self.timezone,
            start=self.start_time,
            end=self.end_time,
            dst=settings.dst,
            hours=settings.active_hours,
            days=(shelf or Shelf()).day_rule(settings),
        )

    def checked_settings(self) -> Settings:
        """Return the settings; raises `InvalidSettings`."""
        return Settings.from_json(self.settings)

    def timing(self, lead: timedelta = timedelta(0), shelf: Shelf | None = None) -> Timing:
        """Return what says when this is due; `lead` is how long before a landing time it has to start.

        Raises `InvalidSchedule` or `InvalidSettings`.
        """
        shift = steady_jitter(self.pk or 0, self.checked_settings().jitter) - lead
        return Timing(self.timetable(shelf), shift, self.last_enabled_at)

    def pause(self, moment: datetime, until: datetime | None = None) -> None:
        """Switch off, for good or `until` then: nothing is due any more. Runs under way go on."""
        self.is_active, self.next_due_at, self.problem, self.paused_until = False, None, "", until
        self.save(update_fields=["is_active", "next_due_at", "problem", "paused_until", "updated_at"])
        events.publish_timer()

    def resume(self, moment: datetime) -> None:
        """Switch on at `moment`. What passed meanwhile is for the catch-up policy; the first time, nothing has.

        `@once` is due at its start, or at once.
        """
        is_first = self.last_enabled_at is None
        self.is_active, self.last_enabled_at, self.paused_until = True, moment, None
        self.decided_until = moment if is_first else self.decided_until or moment
        self.plan_next(moment)
        self.save(update_fields=[*PLANNED, "is_active", "last_enabled_at", "paused_until"])
        if is_first and not self.problem and self.schedule_type == ScheduleType.TIME:
            self.ask_for_initial_run(moment)
        events.publish_timer()

    def plan_next(self, moment: datetime) -> None:
        """Set, without saving, when this is due next, or the `problem` if that cannot be said.

        A schedule that was never planned is decided up to `moment`.
        """
        self.next_due_at, self.problem = None, ""
        if not self.is_active or self.schedule_type != ScheduleType.TIME:
            return
        self.decided_until = self.decided_until or moment
        try:
            lead = forecasts.leads({self.pk: self.checked_settings()}).get(self.pk, timedelta(0))
            self.next_due_at = self.timing(lead).next_due(self.decided_until)
        except Refusal as refusal:
            self.problem = str(refusal)[:500]
        except Exception as error:  # one schedule of many that the scheduler plans: the others go on
            logger.exception("schedule %s could not be planned", self.pk)
            self.problem = f"This schedule could not be read ({type(error).__name__})."

    def ask_for_initial_run(self, moment: datetime) -> None:
        """Let the moment that is current start now, where `create_initial_pipeline_run` asks for that."""
        timetable = self.timetable()
        if not timetable.rule or not self.checked_settings().create_initial_pipeline_run:
            return
        for instant in timetable.latest(moment - LONGEST_INTERVAL, moment, 1):
            following = timetable.next_after(instant.utc)
            self.occurrences.get_or_create(
                scheduled_for=instant.utc,
                defaults={
                    "pipeline_id": self.pipeline_id,
                    "local_time": instant.local.isoformat(),
                    "interval_end": following.utc if following else None,
                    "decision": Decision.WAITING,
                    "reason": "The initial run of a trigger that was switched on for the first time.",
                    "decided_at": moment,
                },
            )

    def rotate_token(self) -> str:
        """Give an API trigger a new token and return it: it is not kept and cannot be shown again."""
        token = secrets.token_urlsafe(32)
        self.token_hash = hash_of(token)
        self.save(update_fields=["token_hash", "updated_at"])
        return token

    def token_matches(self, text: str) -> bool:
        return bool(self.token_hash) and hmac.compare_digest(self.token_hash, hash_of(text))


LONGEST_INTERVAL = timedelta(days=366)
PLANNED = ("next_due_at", "decided_until", "problem", "updated_at")


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


class ChainLink(models.Model):
    """One pipeline whose runs a chained schedule waits for: the index behind its setting `after`."""

    schedule = models.ForeignKey(PipelineSchedule, on_delete=models.CASCADE, related_name="links")
    pipeline_uuid = models.CharField(max_length=255, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "pipeline_uuid"], name="a_schedule_follows_a_pipeline_once"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} after {self.pipeline_uuid}"
