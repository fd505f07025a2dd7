"""Pipelines and versions to look at (they are changed on disk), secrets to set (their values are never shown)."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from pipelines import secrets
from pipelines.models import Pipeline, PipelineVersion, Secret
from pipelines.refusal import Refusal


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    list_display = ("uuid", "name", "type", "is_present", "is_valid", "updated_at")
    list_filter = ("is_present", "is_valid", "type")
    search_fields = ("uuid", "name")
    exclude = ("fingerprint",)


@admin.register(PipelineVersion)
class PipelineVersionAdmin(ReadOnlyAdmin):
    list_display = ("pipeline", "content_hash", "created_at")
    list_select_related = ("pipeline",)
    search_fields = ("pipeline__uuid", "content_hash")


class SecretForm(forms.ModelForm[Secret]):
    value = forms.CharField(
        widget=forms.PasswordInput(render_value=False),
        strip=False,
        help_text="It is never shown again. Blocks get it with get_secret_value('name').",
    )

    class Meta:
        model = Secret
        fields = ("name",)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        try:
            secrets.check(data.get("name") or self.instance.name, data.get("value", ""))
        except Refusal as refusal:
            self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))
        return data


@admin.register(Secret)
class SecretAdmin(admin.ModelAdmin[Secret]):
    form = SecretForm
    list_display = ("name", "created_at", "updated_at")
    search_fields = ("name",)

    def get_readonly_fields(self, request: HttpRequest, obj: Secret | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()  # the name is encrypted with the value

    def save_model(self, request: HttpRequest, obj: Secret, form: Any, change: bool) -> None:
        obj.token = secrets.encrypt(obj.name, form.cleaned_data["value"])
        super().save_model(request, obj, form, change)
