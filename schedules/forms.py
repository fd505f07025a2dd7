"""The form of a trigger: what people type, handed to `schedules.triggers`, whose refusals land beside the fields."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from pipelines.refusal import Refusal
from runs.forms import JSONObjectField
from schedules.models import PipelineSchedule, ScheduleType, Source
from schedules.policies import Settings
from schedules.serializers import entity_tag
from schedules.timetable import Timetable, parse, read_zone
from schedules.triggers import change, create

YEAR = 31_536_000
SLA_RANGE = "SLA must be a whole number of seconds from 1 to 31 536 000."
LIMIT_RANGE = "Limit must be at least 1, or empty for no limit."
TIMEOUT_RANGE = "Time-out must be a whole number of seconds from 1 to 31 536 000."
# The settings this form shows; the others of a schedule stay as they are.
SHOWN_SETTINGS = (
    "skip_if_previous_running",
    "allow_blocks_to_fail",
    "create_initial_pipeline_run",
    "pipeline_run_limit",
    "on_pipeline_run_limit_reached",
    "timeout",
    "timeout_status",
)


class StaleForm(Refusal):
    """Someone else changed the trigger since the form was opened."""


def whole(message: str, **options: Any) -> forms.IntegerField:
    wrong = dict.fromkeys(("invalid", "min_value", "max_value"), message)
    return forms.IntegerField(required=False, error_messages=wrong, **options)


def wall_clock(label: str) -> forms.DateTimeField:
    """A local time of the schedule's own zone; the zone is put on in `clean`."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
    formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]
    return NaiveDateTimeField(label=label, required=False, widget=widget, input_formats=formats)


class NaiveDateTimeField(forms.DateTimeField):
    """A date and time without a zone, which Django would take for the server's."""

    default_error_messages = {"invalid": "Use a date and a time, for example 2025-03-02 06:00."}

    def prepare_value(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> datetime | None:
        found = super().to_python(value)
        return found.replace(tzinfo=None) if found else None


class ScheduleForm(forms.Form):
    """A new trigger, or (with `schedule`) a change of one."""

    pipeline = forms.ChoiceField()
    name = forms.CharField(
        max_length=100,
        error_messages=dict.fromkeys(("required", "max_length"), "Name: 1–100 letters, digits, _ - and space."),
    )
    schedule_type = forms.ChoiceField(
        label="Starts by",
        choices=[(ScheduleType.TIME, "time"), (ScheduleType.API, "API call with a token")],
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
    timezone = forms.CharField(
        label="Time zone",
        initial="UTC",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "zones", "spellcheck": "false"}),
        error_messages={"required": "Use an IANA name such as Europe/Berlin, or UTC."},
    )
    start_time = wall_clock("Not before")
    end_time = wall_clock("Not after")
    description = forms.CharField(
        required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}), help_text="What it is for."
    )
    variables = JSONObjectField(
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": '{"country": "DE"}'}),
        help_text="A JSON object; every run of this trigger gets these.",
    )
    skip_if_previous_running = forms.BooleanField(required=False, label="Skip while the previous run is not finished")
    allow_blocks_to_fail = forms.BooleanField(required=False, label="Go on with other blocks when one fails")
    create_initial_pipeline_run = forms.BooleanField(required=False, label="Run once as soon as it is switched on")
    pipeline_run_limit = whole(LIMIT_RANGE, min_value=1, max_value=1_000_000, label="Runs at a time, at most")
    on_pipeline_run_limit_reached = forms.ChoiceField(
        required=False, label="At the limit", choices=[("skip", "skip the moment"), ("wait", "wait for room")]
    )
    timeout = whole(TIMEOUT_RANGE, min_value=1, max_value=YEAR, label="Time-out (seconds)")
    timeout_status = forms.ChoiceField(
        required=False,
        label="After the time-out the run is",
        choices=[("failed", "failed"), ("cancelled", "cancelled")],
    )
    sla = whole(SLA_RANGE, min_value=1, max_value=YEAR, label="SLA (seconds)")
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
        choice = self.fields["pipeline"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(uuid, uuid) for uuid in ([schedule.pipeline.uuid] if schedule else pipelines)]
        choice.error_messages["invalid_choice"] = "There is no pipeline named %(value)s."
        for name in ("start_time", "end_time"):
            self.fields[name].help_text = "In the zone above; may stay empty."
        for field in self.fields.values():
            if not isinstance(field, forms.BooleanField):
                kind = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
                field.widget.attrs["class"] = f"{kind} {field.widget.attrs.get('class', '')}".strip()

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        try:
            zone = read_zone(found.get("timezone", "UTC"))
        except Refusal as refusal:
            self.add_error("timezone", str(refusal))
            return found
        for name in ("start_time", "end_time"):
            if wall := found.get(name):
                found[name] = instant_of(wall, zone)
                back = found[name].astimezone(zone)
                if back.replace(tzinfo=None) != wall:
                    self.add_error(name, f"{wall:%H:%M} does not exist in {zone.key} on that day; use {back:%H:%M}.")
        return found

    def save(self, moment: datetime) -> tuple[PipelineSchedule, str] | None:
        """Make or change the trigger; return it and a new token, or None when it was refused (see the errors)."""
        try:
            if self.schedule is None:
                pipeline, is_active = self.cleaned_data["pipeline"], self.cleaned_data["is_active"]
                return create(
                    pipeline, self.fields_of_trigger({}), is_active=is_active, source=Source.UI, moment=moment
                )
            self.check_not_stale(self.schedule)
            fields = self.fields_of_trigger(self.schedule.settings)
            change(self.schedule, fields, is_active=self.cleaned_data["is_active"], moment=moment)
            return self.schedule, ""
        except StaleForm as stale:
            assert self.schedule is not None
            self.is_stale = True
            self.add_error(None, str(stale))
            self.data = {**{name: self.data[name] for name in self.data}, "tag": entity_tag(self.schedule)}
            return None
        except Refusal as refusal:
            name = refusal.field.removeprefix("settings.").partition(".")[0]
            self.add_error(name if name in self.fields else None, str(refusal))
            return None

    def check_not_stale(self, schedule: PipelineSchedule) -> None:
        if self.cleaned_data["tag"] not in ("", entity_tag(schedule)):
            raise StaleForm(
                f"Someone changed this trigger at {schedule.updated_at:%H:%M} UTC.",
                hint="Review and save again.",
                code="stale",
            )

    def fields_of_trigger(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = self.cleaned_data
        is_timed = found["schedule_type"] == ScheduleType.TIME
        plain = Settings()
        shown = {name: found[name] for name in SHOWN_SETTINGS if found[name] not in ("", getattr(plain, name))}
        others = {name: value for name, value in settings.items() if name not in SHOWN_SETTINGS}
        return {
            "name": found["name"],
            "description": found["description"],
            "schedule_type": found["schedule_type"],
            "schedule_interval": found["schedule_interval"].strip() if is_timed else "",
            "timezone": found["timezone"],
            "start_time": found["start_time"],
            "end_time": found["end_time"],
            "variables": found["variables"],
            "sla": timedelta(seconds=found["sla"]) if found["sla"] else None,
            "settings": others | shown,
        }


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a wall clock shows this in a zone: the first time, or, for a missing time, after the gap."""
    return wall.replace(tzinfo=zone).astimezone(UTC)


def typed_timetable(typed: QueryDict) -> Timetable:
    """Read the rule in an unfinished form, without times that make no sense yet; raises `InvalidSchedule`."""
    zone = typed.get("timezone", "")[:100] or "UTC"
    limits: dict[str, datetime | None] = {}
    for name in ("start_time", "end_time"):
        try:
            wall = ScheduleForm.base_fields[name].clean(typed.get(name, ""))
        except forms.ValidationError:
            wall = None
        limits[name] = instant_of(wall, read_zone(zone)) if wall else None
    interval = typed.get("schedule_interval", "")[:300]
    return parse(interval, zone, start=limits["start_time"], end=limits["end_time"])


def values_of(schedule: PipelineSchedule) -> dict[str, Any]:
    """Return what the form shows of a trigger."""
    zone = read_zone(schedule.timezone)
    walls = {
        name: moment.astimezone(zone).replace(tzinfo=None) if (moment := getattr(schedule, name)) else None
        for name in ("start_time", "end_time")
    }
    same = ("name", "schedule_type", "schedule_interval", "timezone", "description", "is_active")
    return {
        **{name: getattr(schedule, name) for name in same},
        **{name: schedule.settings.get(name) for name in SHOWN_SETTINGS},
        **walls,
        "pipeline": schedule.pipeline.uuid,
        "variables": json.dumps(schedule.variables, indent=2, ensure_ascii=False) if schedule.variables else "",
        "sla": round(schedule.sla.total_seconds()) if schedule.sla else None,
        "tag": entity_tag(schedule),
    }
