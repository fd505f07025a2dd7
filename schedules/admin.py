"""The admin site: schedules can be looked after, the ledger of occurrences only looked at."""

import copy
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from pipelines.admin import ReadOnlyAdmin
from pipelines.large_admin import LargeAdmin
from pipelines.project import trigger_rules
from pipelines.refusal import Refusal
from schedules import firing, scheduler, trigger_checks, triggers
from schedules.days import calendar_admin as calendar_admin  # registers its own
from schedules.files.triggers_plan import is_in_code
from schedules.models import Backfill, ChainLink, Occurrence, PipelineSchedule, Source

RULES = ("schedule_type", "schedule_interval", "timezone", "start_time", "end_time", "settings")


class ScheduleAdminForm(ModelForm[PipelineSchedule]):
    """Refuses what the pages refuse; what is wrong already does not stand in the way of a pause."""

    def clean(self) -> dict[str, Any]:
        draft = copy.copy(self.instance)
        for name, value in self.cleaned_data.items():
            setattr(draft, name, value)
        checks: list[Callable[[], None]] = []
        if "name" in self.changed_data and draft.name:
            checks.append(lambda: trigger_checks.check_name(draft.name))
        # (A JSON field counts an empty object as changed.)
        is_changed = any(
            (getattr(self.instance, name, None) or None) != (getattr(draft, name) or None) for name in RULES
        )
        if not self.errors and (self.instance.pk is None or is_changed):
            checks.append(lambda: trigger_checks.check(draft))
        for check in checks:
            try:
                check()
            except Refusal as refusal:
                field = (refusal.field or "").partition(".")[0]
                self.add_error(field if field in self.fields else None, str(refusal))
        return self.cleaned_data


@admin.register(PipelineSchedule)
class PipelineScheduleAdmin(admin.ModelAdmin[PipelineSchedule]):
    """An edit here takes effect from now, as everywhere; the token is never shown."""

    form = ScheduleAdminForm
    list_display = ["name", "pipeline", "schedule_type", "schedule_interval", "timezone", "is_active", "next_due_at"]
    list_select_related = ["pipeline"]
    list_filter = [
        "schedule_type",
        "is_active",
        ("paused_until", admin.EmptyFieldListFilter),
        ("problem", admin.EmptyFieldListFilter),
        "source",
    ]
    search_fields = ["name", "pipeline__uuid"]
    raw_id_fields = ["pipeline"]
    readonly_fields = [
        "last_enabled_at",
        "decided_until",
        "paused_until",
        "next_due_at",
        "problem",
        "source",
        "source_hash",
        "code_id",
        "created_at",
        "updated_at",
    ]
    exclude = ["token_hash"]
    ordering = ["pipeline__uuid", "name", "id"]
    actions = ["pause", "resume"]

    @admin.action(description="Pause the selected triggers", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[PipelineSchedule]) -> None:
        self.steer(request, queryset, triggers.pause, "paused")

    @admin.action(description="Resume the selected triggers", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[PipelineSchedule]) -> None:
        self.steer(request, queryset, triggers.resume, "active")

    def steer(
        self, request: HttpRequest, queryset: QuerySet[PipelineSchedule], act: Callable[..., Any], word: str
    ) -> None:
        """Do the same to each, as the buttons of its page do; say of each that refuses why."""
        done, moment = 0, timezone.now()
        for schedule in queryset:
            try:
                act(schedule, moment)
                done += 1
            except Refusal as refusal:
                self.message_user(request, f"The trigger {schedule.name}: {refusal}", messages.ERROR)
        self.message_user(request, f"{done} {word}.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Where the files are authoritative, triggers are written there."""
        return super().has_add_permission(request) and not trigger_rules(settings.PROJECT_DIR).files_are_authoritative

    def has_change_permission(self, request: HttpRequest, obj: PipelineSchedule | None = None) -> bool:
        """What is in code is changed in its file, or on the pages, which write it there."""
        return super().has_change_permission(request, obj) and not (obj and is_in_code(obj))

    def has_delete_permission(self, request: HttpRequest, obj: PipelineSchedule | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and is_in_code(obj))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PipelineSchedule]) -> None:
        queryset.filter(~Q(source=Source.CODE) | Q(source_hash="")).delete()

    def save_model(
        self, request: HttpRequest, obj: PipelineSchedule, form: ModelForm[PipelineSchedule], change: bool
    ) -> None:
        moment = timezone.now()
        if change:
            firing.settle(obj.pk, moment)
            obj.decided_until = moment
        super().save_model(request, obj, form, change)
        if obj.is_active and (not change or "is_active" in form.changed_data):
            obj.resume(moment)
        elif not obj.is_active:
            obj.pause(moment)
        else:
            scheduler.plan_next(obj, moment)


@admin.register(Occurrence)
class OccurrenceAdmin(LargeAdmin):
    """The ledger is written by the scheduler alone."""

    list_display = [
        "pipeline",
        "schedule",
        "backfill",
        "scheduled_for",
        "decision",
        "reason",
        "pipeline_run",
        "decided_at",
    ]
    list_select_related = ["pipeline", "schedule", "backfill", "pipeline_run"]
    list_filter = ["decision", "origin", ("backfill", admin.EmptyFieldListFilter)]
    raw_id_fields = ["schedule", "pipeline_run"]
    search_fields = ["schedule__name", "pipeline__uuid"]
    date_hierarchy = None  # counting every moment of every day takes long


@admin.register(Backfill)
class BackfillAdmin(ReadOnlyAdmin):
    """Started, steered and changed on its own page, which keeps its slots in step."""

    list_display = [
        "name",
        "pipeline",
        "schedule",
        "state",
        "start_at",
        "end_at",
        "run_limit",
        "created_by",
        "started_at",
    ]
    list_select_related = ["pipeline", "schedule"]
    list_filter = ["interval_type", "which"]
    search_fields = ["name", "pipeline__uuid"]
    exclude = ["idempotency_key", "request_digest"]
    ordering = ["-id"]


@admin.register(ChainLink)
class ChainLinkAdmin(ReadOnlyAdmin):
    """Written with the trigger's setting `after`."""

    list_display = ["schedule", "pipeline_uuid"]
    list_select_related = ["schedule"]
    search_fields = ["pipeline_uuid", "schedule__name"]
