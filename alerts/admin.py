"""Alerts on the admin site: rules are checked as everywhere, channels without their secrets, history to be read."""

import copy
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerts import channel_changes, rule_changes
from alerts.models import AlertRule, Breach, Change, Channel, Delivery, Incident
from pipelines.large_admin import LargeAdmin

HTTPS: dict[Any, dict[str, str]] = {models.URLField: {"assume_scheme": "https"}}


class AlertRuleAdminForm(forms.ModelForm[AlertRule]):
    def clean(self) -> dict[str, Any]:
        if self.errors:
            return self.cleaned_data
        draft = copy.copy(self.instance)
        rule_changes.give(draft, self.cleaned_data)
        for mistake in rule_changes.mistakes(draft):
            field = mistake.field.partition(".")[0]
            self.add_error(field if field in self.fields else None, str(mistake))
        return self.cleaned_data


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin[AlertRule]):
    form = AlertRuleAdminForm
    formfield_overrides = HTTPS
    list_display = ["name", "kind", "severity", "is_active", "pipeline", "updated_at"]
    list_select_related = ["pipeline"]
    list_filter = ["is_active", "kind", "severity"]
    search_fields = ["name", "pipeline__uuid", "tag", "block_uuid"]
    raw_id_fields = ["pipeline"]
    readonly_fields = ["created_by", "created_at", "updated_at"]
    ordering = ["name"]
    actions = ["switch_on", "switch_off"]

    @admin.action(description="Switch the selected rules on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        self.switch(request, queryset, is_active=True)

    @admin.action(description="Switch the selected rules off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        self.switch(request, queryset, is_active=False)

    def switch(self, request: HttpRequest, queryset: QuerySet[AlertRule], *, is_active: bool) -> None:
        moment, found = timezone.now(), list(queryset.exclude(is_active=is_active))
        for rule in found:
            rule_changes.switch(rule, is_active, moment)
        self.message_user(request, f"{len(found)} switched {'on' if is_active else 'off'}.")

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        moment = timezone.now()
        if not change:
            obj.created_by, obj.created_at = request.user.get_username(), moment
        rule_changes.change(obj, {}, moment)


class ChannelAdminForm(forms.ModelForm[Channel]):
    def clean_name(self) -> str:
        channel, name = copy.copy(self.instance), str(self.cleaned_data["name"])
        try:
            channel_changes.check_name(channel, name.strip())
        except ValueError as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return name.strip()


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin[Channel]):
    """Neither the address nor the key is shown; both are set on the channel's own page."""

    form = ChannelAdminForm
    exclude = ["address", "signing_key"]
    readonly_fields = ["kind", "shown_address", "problem", "last_sent_at", "last_failed_at", "created_at"]
    list_display = ["name", "kind", "shown_address", "is_active", "last_sent_at", "last_failed_at", "problem"]
    list_filter = ["kind", "is_active"]
    search_fields = ["name", "shown_address"]
    ordering = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Incident)
class IncidentAdmin(LargeAdmin):
    formfield_overrides = HTTPS
    list_display = ["id", "title", "severity", "pipeline", "breaches_count", "opened_at", "assignee", "closed_at"]
    list_select_related = ["pipeline", "assignee"]
    list_filter = ["severity", ("closed_at", admin.EmptyFieldListFilter)]
    search_fields = ["title", "fingerprint", "pipeline__uuid"]


@admin.register(Breach)
class BreachAdmin(LargeAdmin):
    list_display = ["id", "key", "rule", "incident", "run_id", "muted_by", "happened_at"]
    list_select_related = ["rule", "incident"]
    search_fields = ["key"]
    numbers = ("pk", "incident_id", "run_id")


@admin.register(Change)
class ChangeAdmin(LargeAdmin):
    list_display = ["at", "incident", "step", "by", "message"]
    list_select_related = ["incident"]
    list_filter = ["step"]
    search_fields = ["by", "message"]
    numbers = ("pk", "incident_id")


@admin.register(Delivery)
class DeliveryAdmin(LargeAdmin):
    list_display = ["id", "title", "channel", "service", "state", "tries", "next_try_at", "sent_at", "last_error"]
    list_select_related = ["channel"]
    list_filter = ["event_type", ("given_up_at", admin.EmptyFieldListFilter), "channel"]
    search_fields = ["title", "uuid"]
