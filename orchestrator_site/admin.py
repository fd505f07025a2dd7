"""The admin site: API tokens can be looked at and revoked, never made or read; django-q2's own tables are not shown.

Reading one of its result rows unpickles it, which executes whatever is in there; and its schedules are not run here.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django_q import models as django_q

from orchestrator_site.models import ApiToken, SavedView
from pipelines.admin import ReadOnlyAdmin

for each in (django_q.Failure, django_q.OrmQ, django_q.Schedule, django_q.Success):
    if admin.site.is_registered(each):
        admin.site.unregister(each)


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin[ApiToken]):
    """Neither the token (nobody has it) nor its hash is shown."""

    readonly_fields = ["user", "name", "key_id", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"]
    exclude = ["key_hash"]
    list_display = ["name", "user", "key_id", "scopes", "expires_at", "last_used_at", "revoked_at"]
    list_select_related = ["user"]
    list_filter = ["user"]
    search_fields = ["name", "key_id", "user__username"]
    ordering = ["-id"]
    actions = ["revoke"]

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        queryset.filter(revoked_at=None).update(revoked_at=timezone.now())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SavedView)
class SavedViewAdmin(admin.ModelAdmin[SavedView]):
    list_display = ["name", "page", "query", "user", "created_at"]
    list_select_related = ["user"]
    list_filter = ["page"]
    search_fields = ["name", "query", "user__username"]
    raw_id_fields = ["user"]
    readonly_fields = ["created_at"]
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a view is kept on its page


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who changed what on the administration pages."""

    list_display = ["action_time", "user", "content_type", "object_repr", "action_flag"]
    list_select_related = ["user", "content_type"]
    list_filter = ["action_flag", "content_type"]
    search_fields = ["object_repr", "user__username", "change_message"]
    show_full_result_count = False
    ordering = ["-id"]
