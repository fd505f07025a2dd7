"""What the API says about calendars and maintenance windows, and how they are written down and checked."""

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Model
from rest_framework import serializers

from pipelines.refusal import Refusal
from pipelines.serializers import Flag, Instant, JSONObject, Seconds, StrictSerializer, Text
from schedules.days import calendar_changes, window_changes
from schedules.days.calendars import Calendar
from schedules.days.ics_days import MOST_BYTES
from schedules.days.maintenance import MaintenanceWindow


def raise_all(found: Iterable[Refusal]) -> None:
    """Raise what is wrong as one validation error that names each field."""
    errors = {mistake.field: serializers.ErrorDetail(str(mistake), code=mistake.code) for mistake in found}
    if errors:
        raise serializers.ValidationError(errors)


class CalendarSerializer(StrictSerializer):
    """A calendar. `kind` is holidays (`country`, `subdivision`), weekdays, dates or ics (the text of a file)."""

    id = serializers.IntegerField(read_only=True)
    name = Text(max_length=64)
    description = Text(required=False, allow_blank=True, max_length=10_000)
    kind = Text(max_length=20)
    country = Text(required=False, allow_blank=True, max_length=80)
    subdivision = Text(required=False, allow_blank=True, max_length=80)
    weekdays = serializers.ListField(child=Text(max_length=20), required=False, max_length=7)
    dates = serializers.ListField(child=JSONObject(), required=False, max_length=2000)
    ics = Text(required=False, allow_blank=True, max_length=MOST_BYTES, write_only=True)
    summary = serializers.CharField(source="describe", read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        draft = copy.copy(self.instance) if self.instance else Calendar()
        calendar_changes.give(draft, attrs)
        # Another's name is a conflict, not a mistake: it is refused where the calendar is saved.
        raise_all(each for each in calendar_changes.mistakes(draft) if each.code != "duplicate_name")
        return attrs


class DayQuerySerializer(StrictSerializer):
    date = serializers.DateField(read_only=True)
    name = serializers.CharField(read_only=True)


class DaysSerializer(StrictSerializer):
    """The days of a calendar in a span of time, both ends included."""

    days = DayQuerySerializer(many=True, read_only=True)


class MaintenanceWindowSerializer(StrictSerializer):
    """A window: `starts_at` and `ends_at` for one that is open once, `recurrence` and `duration` (seconds) for others.

    `value` is the tag, the pipeline's uuid or the executor's name that `scope` asks for.
    """

    id = serializers.IntegerField(read_only=True)
    name = Text(max_length=100)
    scope = Text(required=False, max_length=20)
    value = Text(required=False, allow_blank=True, max_length=255)
    effect = Text(required=False, max_length=20)
    starts_at = Instant(required=False, allow_null=True)
    ends_at = Instant(required=False, allow_null=True)
    recurrence = Text(required=False, allow_blank=True, max_length=256)
    duration = Seconds(required=False, allow_null=True)
    timezone = Text(required=False, max_length=64)
    until = Instant(required=False, allow_null=True)
    reason = Text(required=False, allow_blank=True, max_length=2000)
    is_active = Flag(required=False)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        draft = copy.copy(self.instance) if self.instance else MaintenanceWindow()
        for name, value in attrs.items():
            setattr(draft, name, value)
        raise_all(each for each in window_changes.mistakes(draft) if each.code != "duplicate_name")
        return attrs


READ_ONLY: Sequence[str] = ("summary", "created_at", "updated_at")


def entity_tag(row: Model, data: Mapping[str, Any]) -> str:
    """Return the ETag of what people decided about a calendar or a window."""
    decided = {name: value for name, value in data.items() if name not in READ_ONLY}
    said = json.dumps([row.pk, decided, getattr(row, "ics", "")], sort_keys=True, default=str)
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
