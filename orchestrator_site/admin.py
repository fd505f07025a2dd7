"""The admin site: API tokens can be looked at and revoked, never made or read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from orchestrator_site.models import ApiToken


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
