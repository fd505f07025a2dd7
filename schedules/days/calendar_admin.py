"""Calendars and maintenance windows on the admin site: checked and saved as everywhere else."""

import copy
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from pipelines.refusal import Refusal
from schedules.days import calendar_changes, window_changes
from schedules.days.calendars import Calendar
from schedules.days.maintenance import MaintenanceWindow


def refuse_beside_fields(form: Any, row: Model, mistakes: Any) -> None:
    """Put what is wrong with the row as typed beside the fields."""
    draft = copy.copy(row)
    for name, value in form.cleaned_data.items():
        setattr(draft, name, value)
    found: list[Refusal] = mistakes(draft)
    for mistake in found:
        form.add_error(mistake.field if mistake.field in form.fields else None, str(mistake))


class CalendarAdminForm(ModelForm[Calendar]):
    def clean(self) -> dict[str, Any]:
        if not self.errors:
            refuse_beside_fields(self, self.instance, calendar_changes.mistakes)
            before = self.initial.get("name")
            if before and before != self.cleaned_data.get("name") and calendar_changes.users_of(before):
                self.add_error("name", "Triggers use this calendar by its name.")
        return self.cleaned_data


class WindowAdminForm(ModelForm[MaintenanceWindow]):
    def clean(self) -> dict[str, Any]:
        if not self.errors:
            refuse_beside_fields(self, self.instance, window_changes.mistakes)
        return self.cleaned_data


@admin.register(Calendar)
class CalendarAdmin(admin.ModelAdmin[Calendar]):
    """Deleting is left to the page of a calendar, which says who uses it."""

    form = CalendarAdminForm
    list_display = ["name", "kind", "describe", "updated_at"]
    list_filter = ["kind"]
    search_fields = ["name", "description"]
    ordering = ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: Calendar | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Calendar, form: Any, change: bool) -> None:
        calendar_changes.check(obj)  # reads the events of an iCalendar file
        calendar_changes.save(obj, timezone.now())


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(admin.ModelAdmin[MaintenanceWindow]):
    form = WindowAdminForm
    list_display = ["name", "effect", "scope", "value", "starts_at", "ends_at", "recurrence", "is_active"]
    list_filter = ["effect", "scope", "is_active"]
    search_fields = ["name", "reason", "value"]
    ordering = ["name"]

    def save_model(self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool) -> None:
        window_changes.change(obj, {})

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        window_changes.delete(obj)
