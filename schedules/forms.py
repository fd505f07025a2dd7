"""The form of a trigger: what people type, handed to `schedules.triggers`, whose refusals land beside the fields."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.forms import JSONObjectField
from schedules.models import PipelineSchedule, ScheduleType, Source
from schedules.pages import form_settings
from schedules.pages.form_fields import TagsField, wall_clock, zone
from schedules.pages.plans import draft
from schedules.pages.setting_fields import SettingsFields
from schedules.policies import mistakes
from schedules.serializers import entity_tag
from schedules.timetable import read_zone, zone_or_utc
from schedules.triggers import change, create

YEAR = 31_536_000
SLA_RANGE = "SLA must be a whole number of seconds from 1 to 31 536 000."
# Where the form's name of a setting says more than the setting's own.
SAID = {
    "pipeline_run_limit": "Limit must be at least 1, or empty for no limit.",
    "timeout": "Time-out must be a whole number of seconds from 1 to 31 536 000.",
}


class StaleForm(Refusal):
    """Someone else changed the trigger since the form was opened."""


class ScheduleForm(SettingsFields):
    """A new trigger, or (with `schedule`) a change of one."""

    pipeline = forms.ChoiceField(widget=forms.Select(attrs={"data-pick": ""}))
    name = forms.CharField(
        max_length=100,
        error_messages=dict.fromkeys(("required", "max_length"), "Name: 1–100 letters, digits, _ - and space."),
    )
    schedule_type = forms.ChoiceField(
        label="Starts by",
        choices=[
            (ScheduleType.TIME, "time"),
            (ScheduleType.EVENT, "the end of other pipelines' runs"),
            (ScheduleType.API, "API call with a token"),
        ],
        initial=ScheduleType.TIME,
    )
    schedule_interval = forms.CharField(
        label="When",
        required=False,
        max_length=256,
        help_text="@hourly, @daily, @weekly, @monthly, @once, @always_on; cron: minute hour day month weekday; "
        "every 90 minutes from 06:00; on 2026-12-24T18:00, 2026-12-31T18:00; "
        "or RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18.",
        widget=forms.TextInput(
            attrs={"placeholder": "0 6 * * 1-5", "list": "intervals", "class": "mono", "spellcheck": "false"}
        ),
    )
    timezone = zone()
    start_time = wall_clock("Not before")
    end_time = wall_clock("Not after")
    description = forms.CharField(
        required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What it is for."
    )
    variables = JSONObjectField(
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": '{"country": "DE"}'}),
        help_text="A JSON object; every run of this trigger gets these.",
    )
    tags = TagsField(required=False, help_text="Words, with commas between them.")
    is_active = forms.BooleanField(required=False, initial=True, label="Active")
    tag = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        pipelines: Sequence[str] = (),
        schedule: PipelineSchedule | None = None,
        **initial: Any,
    ) -> None:
        super().__init__(data, initial=(values_of(schedule) if schedule else {}) | initial)
        self.schedule = schedule
        self.is_stale = False
        self.offer("pipeline", [schedule.pipeline.uuid] if schedule else pipelines)
        followed = self.initial.get("after_pipelines") or []
        self.offer("after_pipelines", dict.fromkeys([*pipelines, *followed]))
        for name in ("start_time", "end_time"):
            self.fields[name].help_text = "In the zone above; may stay empty."
        for field in self.fields.values():
            if not isinstance(field, forms.BooleanField):
                kind = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
                field.widget.attrs["class"] = f"{kind} {field.widget.attrs.get('class', '')}".strip()

    def offer(self, name: str, uuids: Iterable[str]) -> None:
        choice = self.fields[name]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(uuid, uuid) for uuid in uuids]
        choice.error_messages["invalid_choice"] = "There is no pipeline named %(value)s."

    def clean(self) -> dict[str, Any]:
        self.put_zone_on()
        found = self.cleaned_data
        sla = found.get("sla")
        if sla is not None and not (isinstance(sla, int) and 1 <= sla <= YEAR):
            self.add_error("sla", SLA_RANGE)
        for mistake in mistakes(form_settings.settings_of(found, self.stored_settings)):
            name = form_settings.field_of(mistake.field)
            self.add_error(name if name in self.fields else None, SAID.get(name, str(mistake)))
        if found.get("schedule_type") == ScheduleType.EVENT and self.must_follow and not found.get("after_pipelines"):
            self.add_error("after_pipelines", "Choose the pipelines whose runs it follows.")
        return found

    def put_zone_on(self) -> None:
        """Read the times as local ones of the trigger's zone."""
        found = self.cleaned_data
        try:
            zone = read_zone(found.get("timezone", "UTC"))
        except Refusal as refusal:
            self.add_error("timezone", str(refusal))
            return
        for name in ("start_time", "end_time"):
            if wall := found.get(name):
                found[name] = instant_of(wall, zone)
                back = found[name].astimezone(zone)
                if back.replace(tzinfo=None) != wall:
                    self.add_error(name, f"{wall:%H:%M} does not exist in {zone.key} on that day; use {back:%H:%M}.")

    @property
    def stored_settings(self) -> Mapping[str, Any]:
        return self.schedule.settings if self.schedule else {}

    @property
    def must_follow(self) -> bool:
        """A trigger that is started by events alone follows no pipeline, and may stay so."""
        was_event = self.schedule is not None and self.schedule.schedule_type == ScheduleType.EVENT
        return "after" in self.stored_settings or not was_event

    def save(self, moment: datetime) -> tuple[PipelineSchedule, str] | None:
        """Make or change the trigger; return it and a new token, or None when it was refused (see the errors)."""
        try:
            if self.schedule is None:
                pipeline, is_active = self.cleaned_data["pipeline"], self.cleaned_data["is_active"]
                return create(pipeline, self.fields_of_trigger(), is_active=is_active, source=Source.UI, moment=moment)
            self.check_not_stale(self.schedule)
            change(self.schedule, self.fields_of_trigger(), is_active=self.cleaned_data["is_active"], moment=moment)
            return self.schedule, ""
        except StaleForm as stale:
            assert self.schedule is not None
            self.is_stale = True
            self.add_error(None, str(stale))
            self.data = {**{name: self.data[name] for name in self.data}, "tag": entity_tag(self.schedule)}
            return None
        except Refusal as refusal:
            name = form_settings.field_of(refusal.field)
            self.add_error(name if name in self.fields else None, str(refusal))
            return None

    def check_not_stale(self, schedule: PipelineSchedule) -> None:
        if self.cleaned_data["tag"] not in ("", entity_tag(schedule)):
            raise StaleForm(
                f"Someone changed this trigger at {schedule.updated_at:%H:%M} UTC.",
                hint="Review and save again.",
                code="stale",
            )

    def draft(self) -> PipelineSchedule:
        """Return what would be saved, as far as it is right; nothing is. A wrong rule is in it as it was typed."""
        fields = self.fields_of_trigger()
        for name in ("schedule_interval", "timezone"):
            if name in self.errors:
                fields[name] = self.data.get(name, "")[:300]
        found = draft(self.schedule, fields, is_active=self.cleaned_data.get("is_active", False))
        if self.schedule is None:
            chosen = Pipeline.objects.filter(uuid=self.cleaned_data.get("pipeline", "")).first()
            found.pipeline_id = chosen.pk if chosen else 0
        return found

    def fields_of_trigger(self) -> dict[str, Any]:
        """Return what was typed as fields of the model; what is wrong is left out."""
        found = self.cleaned_data
        kind = found.get("schedule_type", ScheduleType.TIME)
        return {
            **{name: found.get(name, "") for name in ("name", "description")},
            "tags": found.get("tags", []),
            "schedule_type": kind,
            "schedule_interval": found.get("schedule_interval", "").strip() if kind == ScheduleType.TIME else "",
            "timezone": found.get("timezone", "UTC"),
            "start_time": found.get("start_time"),
            "end_time": found.get("end_time"),
            "variables": found.get("variables", {}),
            "sla": timedelta(seconds=found["sla"]) if found.get("sla") else None,
            "settings": form_settings.settings_of(found, self.stored_settings),
        }


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a wall clock shows this in a zone: the first time, or, for a missing time, after the gap."""
    return wall.replace(tzinfo=zone).astimezone(UTC)


def values_of(schedule: PipelineSchedule) -> dict[str, Any]:
    """Return what the form shows of a trigger."""
    zone = zone_or_utc(schedule.timezone)
    walls = {
        name: moment.astimezone(zone).replace(tzinfo=None) if (moment := getattr(schedule, name)) else None
        for name in ("start_time", "end_time")
    }
    same = ("name", "schedule_type", "schedule_interval", "timezone", "description", "tags", "is_active")
    return {
        **{name: getattr(schedule, name) for name in same},
        **form_settings.values_of(schedule.settings),
        **walls,
        "pipeline": schedule.pipeline.uuid,
        "variables": json.dumps(schedule.variables, indent=2, ensure_ascii=False) if schedule.variables else "",
        "sla": round(schedule.sla.total_seconds()) if schedule.sla else None,
        "tag": entity_tag(schedule),
    }
