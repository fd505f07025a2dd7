"""Maintenance windows: times in which starts are held, alerts muted, or both. Which are open is told by `windows`."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q

from schedules.rules.cron_fields import InvalidSchedule
from schedules.rules.intervals import span_in_words
from schedules.timetable import Kind, Timetable, parse

LONGEST = timedelta(days=31)


class Scope(models.TextChoices):
    ALL = "all", "everything"
    TAG = "tag", "what has a tag"
    PIPELINE = "pipeline", "one pipeline"
    EXECUTOR = "executor", "what runs on an executor"


class Effect(models.TextChoices):
    HOLD_STARTS = "hold_starts", "hold starts"
    MUTE_ALERTS = "mute_alerts", "mute alerts"
    BOTH = "both", "hold starts and mute alerts"


class MaintenanceWindowQuerySet(models.QuerySet["MaintenanceWindow"]):
    def possible(self, moment: datetime) -> Self:
        """The active windows that may be open or come; one-off ones that are over are left out."""
        return self.filter(Q(ends_at__gt=moment) | ~Q(recurrence=""), is_active=True).order_by("id")


class MaintenanceWindow(models.Model):
    """One span of time (`starts_at` to `ends_at`, excluded), or one that comes again (`recurrence`, `duration`)."""

    name = models.CharField(max_length=100, unique=True)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.ALL)
    value = models.CharField(max_length=255, blank=True)  # the tag, the pipeline's uuid, the executor's name
    effect = models.CharField(max_length=12, choices=Effect.choices, default=Effect.BOTH)
    starts_at = models.DateTimeField(null=True, blank=True)  # of a recurring one: none begins before
    ends_at = models.DateTimeField(null=True, blank=True)
    recurrence = models.CharField(max_length=256, blank=True)  # cron or an RRULE
    duration = models.DurationField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    until = models.DateTimeField(null=True, blank=True)  # no recurring one begins after
    reason = models.TextField(blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = MaintenanceWindowQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def timetable(self) -> Timetable:
        """Return when a recurring window begins; raises `InvalidSchedule` naming the field that is wrong."""
        try:
            found = parse(self.recurrence, self.timezone, start=self.starts_at, end=self.until)
        except InvalidSchedule as refusal:
            field = {"schedule_interval": "recurrence", "end_time": "until"}.get(refusal.field, refusal.field)
            raise InvalidSchedule(refusal.message, hint=refusal.hint, field=field, code=refusal.code) from None
        if found.kind not in (Kind.CRON, Kind.RRULE):
            raise InvalidSchedule(
                "A window comes again by cron or an RRULE.",
                hint="For example 0 22 * * 6, or RRULE:FREQ=MONTHLY;BYDAY=1SU;BYHOUR=2.",
                field="recurrence",
            )
        return found

    def opening_at(self, moment: datetime) -> tuple[datetime, datetime] | None:
        """Return the span (from, to) that holds `moment`; of several that overlap, the one that began last."""
        if not self.recurrence:
            begin, end = self.starts_at, self.ends_at
            return (begin, end) if begin and end and begin <= moment < end else None
        duration = self.checked_duration()
        found = self.timetable().latest(moment - duration, moment, 1)
        return (found[0].utc, found[0].utc + duration) if found else None

    def next_opening(self, moment: datetime) -> tuple[datetime, datetime] | None:
        """Return the first span (from, to) that begins after `moment`."""
        if not self.recurrence:
            begin, end = self.starts_at, self.ends_at
            return (begin, end) if begin and end and begin > moment else None
        found = self.timetable().next_after(moment)
        return (found.utc, found.utc + self.checked_duration()) if found else None

    def checked_duration(self) -> timedelta:
        if self.duration is None or not timedelta(0) < self.duration <= LONGEST:
            raise InvalidSchedule(f"A window is open for at most {LONGEST.days} days.", field="duration")
        return self.duration

    def describe(self) -> str:
        """Say when, in words: "at 22:00 on Saturday, for 4 hours"."""
        if not self.recurrence:
            return "once"
        return f"{self.timetable().describe()}, for {span_in_words(self.checked_duration())}"
