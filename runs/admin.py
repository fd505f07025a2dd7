"""The admin site: what happened can be looked at and not changed; pools can be looked after."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from pipelines.admin import ReadOnlyAdmin
from pipelines.large_admin import LargeAdmin, ValuesOfNewest
from runs import lifecycle
from runs.models import Attempt, BlockRun, Event, PipelineRun, Pool, Removal, Worker


@admin.register(PipelineRun)
class PipelineRunAdmin(LargeAdmin):
    list_display = (
        "id",
        "pipeline",
        "status",
        "origin",
        "trigger_name",
        "execution_date",
        "started_at",
        "completed_at",
    )
    list_select_related = ("pipeline",)
    list_filter = ("status", "origin", "passed_sla", "is_kept")
    search_fields = ("pipeline__uuid", "trigger_name")
    date_hierarchy = None  # counting every run of every day takes long
    raw_id_fields = ("parent_block_run",)
    actions = ("cancel", "keep", "leave")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PipelineRun]:
        return super().get_queryset(request).defer("event", "variables")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Who may change runs may steer them; their rows are changed by nobody."""
        return request.user.has_perm("runs.change_pipelinerun")

    @admin.action(description="Cancel the selected runs", permissions=["steer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[PipelineRun]) -> None:
        name, moment = request.user.get_username(), timezone.now()
        cancelled = sum(
            lifecycle.cancel(run, moment=moment, reason=f"cancelled by {name} in the administration", by=name)
            for run in queryset
            if not run.is_finished
        )
        self.message_user(request, f"{cancelled} cancelled; finished runs stay as they are.", messages.SUCCESS)

    @admin.action(description="Keep the selected runs from retention", permissions=["steer"])
    def keep(self, request: HttpRequest, queryset: QuerySet[PipelineRun]) -> None:
        queryset.update(is_kept=True)

    @admin.action(description="Leave the selected runs to retention", permissions=["steer"])
    def leave(self, request: HttpRequest, queryset: QuerySet[PipelineRun]) -> None:
        queryset.update(is_kept=False)


@admin.register(BlockRun)
class BlockRunAdmin(LargeAdmin):
    list_display = ("id", "block_uuid", "role", "pipeline_run", "status", "attempt", "started_at", "completed_at")
    list_filter = ("status", "role", ("type", ValuesOfNewest))
    search_fields = ("block_uuid",)
    numbers = ("pk", "pipeline_run_id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BlockRun]:
        return super().get_queryset(request).select_related("pipeline_run").defer("config", "output", "fanout")


@admin.register(Attempt)
class AttemptAdmin(LargeAdmin):
    list_display = ("block_run", "number", "ended_as", "host", "started_at", "ended_at")
    list_select_related = ("block_run",)
    list_filter = (("ended_as", ValuesOfNewest),)
    search_fields = ("host",)
    numbers = ("block_run_id",)


@admin.register(Event)
class EventAdmin(LargeAdmin):
    list_display = ("happened_at", "kind", "pipeline_run", "message")
    list_select_related = ("pipeline_run",)
    list_filter = (("kind", ValuesOfNewest),)
    search_fields = ("message",)
    numbers = ("pipeline_run_id",)


@admin.register(Removal)
class RemovalAdmin(ReadOnlyAdmin):
    """What retention still has to remove; it is removed by the scheduler, and then the row is gone."""

    list_display = ("run_id", "kind", "decided_at", "problem", "try_after")
    list_filter = ("kind", ("problem", admin.EmptyFieldListFilter))
    search_fields = ("=run_id", "problem")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "host", "pid", "started_at", "seen_at", "lease_until", "stopped_at")
    list_filter = ("kind", ("stopped_at", admin.EmptyFieldListFilter))
    search_fields = ("host", "=pid")


@admin.register(Pool)
class PoolAdmin(admin.ModelAdmin[Pool]):
    """A pool of the project's file is changed there."""

    list_display = ("name", "slots", "used", "from_file", "description")
    search_fields = ("name",)
    readonly_fields = ("from_file",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pool]:
        return super().get_queryset(request).with_use()  # type: ignore[attr-defined,no-any-return]

    @admin.display(description="slots in use")
    def used(self, pool: Any) -> int:
        return int(pool.used)

    def get_readonly_fields(self, request: HttpRequest, obj: Pool | None = None) -> tuple[str, ...]:
        return ("name", "from_file") if obj else ("from_file",)  # blocks name it

    def has_change_permission(self, request: HttpRequest, obj: Pool | None = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.from_file)

    def has_delete_permission(self, request: HttpRequest, obj: Pool | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.from_file)
