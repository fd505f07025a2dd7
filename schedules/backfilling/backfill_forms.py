"""The forms of backfills: the planner, whose refusals land beside the fields, and what is changed under way."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django import forms

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.forms import JSONObjectField
from runs.repeats import kept_or_made
from schedules.backfilling import backfills
from schedules.backfilling.slot_states import Plan
from schedules.forms import instant_of
from schedules.models import Backfill, IntervalType, PipelineSchedule, ScheduleType, Which
from schedules.pages.form_fields import wall_clock, zone
from schedules.timetable import read_zone, zone_or_utc

T = TypeVar("T")
WEEK = timedelta(days=7)
INTERVALS = [
    (IntervalType.DAY, "days"),
    (IntervalType.HOUR, "hours"),
    (IntervalType.WEEK, "weeks"),
    (IntervalType.MONTH, "months"),
    (IntervalType.YEAR, "years"),
    (IntervalType.SCHEDULE, "the trigger's own moments"),
    (IntervalType.MINUTE, "minutes"),
    (IntervalType.SECOND, "seconds"),
]
WHICH = [
    (Which.MISSING, "those that are missing"),
    (Which.FAILED, "those whose last run failed"),
    (Which.ALL, "all, also those that were completed"),
]


class BackfillForm(forms.Form):
    """What is to be run again, as it is typed. `pipelines` are the names to choose from."""

    pipeline = forms.ChoiceField(error_messages={"invalid_choice": "There is no pipeline named %(value)s."})
    schedule = forms.ChoiceField(
        label="Trigger",
        required=False,
        help_text="Its variables and settings are used, and its ledger tells what became of each slot.",
        error_messages={"invalid_choice": "This pipeline has no such trigger."},
    )
    start_at = wall_clock("First slot")
    end_at = wall_clock("Last slot")
    timezone = zone()
    interval_units = forms.IntegerField(label="A slot every", initial=1)
    interval_type = forms.ChoiceField(label="Interval", choices=INTERVALS)
    which = forms.ChoiceField(label="Run", choices=WHICH, initial=Which.MISSING)
    run_limit = forms.IntegerField(label="Runs at a time", initial=1)
    newest_first = forms.BooleanField(label="Newest first", required=False)
    priority = forms.IntegerField(initial=50, help_text="Lower goes first; what is due now has 0.")
    name = forms.CharField(required=False, max_length=200, help_text="May stay empty.")
    variables = JSONObjectField(
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": '{"full": true}'}),
        help_text="A JSON object; it goes before the variables of the trigger and the pipeline.",
    )
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"invalid": "Open the page again, then start."})

    def __init__(self, data: Any = None, *, pipelines: Sequence[str], initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"key": uuid.uuid4(), **(initial or {})})
        chosen = str((data if data is not None else self.initial).get("pipeline") or "")
        self.chosen = Pipeline.objects.present().filter(uuid=chosen).first() if "\x00" not in chosen else None
        timed = self.chosen.schedules.order_by("name") if self.chosen else PipelineSchedule.objects.none()
        self.offer("pipeline", [("", "Choose one"), *((name, name) for name in pipelines)])
        self.offer("schedule", [("", "none"), *((str(each.pk), label_of(each)) for each in timed[:500])])
        for name in ("start_at", "end_at"):
            self.fields[name].required = True
            self.fields[name].help_text = "Included; in the time zone below."
        for field in self.fields.values():
            if not isinstance(field, forms.BooleanField):
                kind = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
                field.widget.attrs["class"] = f"{kind} {field.widget.attrs.get('class', '')}".strip()

    def offer(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        """Read the times as local ones of the zone."""
        found = self.cleaned_data
        try:
            zone = read_zone(found.get("timezone", "UTC"))
        except Refusal as refusal:
            self.add_error("timezone", str(refusal))
            return found
        for name in ("start_at", "end_at"):
            if wall := found.get(name):
                found[name] = instant_of(wall, zone)
        return found

    def draft(self) -> Backfill:
        found = dict(self.cleaned_data)
        found.pop("key")
        pk, name = found.pop("schedule"), found.pop("pipeline")
        pipeline = self.chosen
        assert pipeline is not None, name  # it is one of the choices
        return backfills.draft(pipeline, backfills.find_schedule(pipeline, pk=int(pk)) if pk else None, found)

    def plan(self, moment: datetime) -> Plan | None:
        """Return the plan of what is typed, or None: see the errors."""
        return self.tried(lambda: backfills.plan(self.draft(), moment)) if self.is_valid() else None

    def start(self, user: Any, moment: datetime) -> Backfill | None:
        """Start it, once however often the same form is sent; None when it was refused (see the errors)."""
        if not self.is_valid():
            return None
        key = f"page:{user.pk}:{self.cleaned_data['key']}"

        def make() -> Backfill:
            backfill = self.draft()
            backfill.created_by, backfill.idempotency_key = user.get_username(), key
            backfills.start(backfill, moment)
            return backfill

        def find(key: str) -> Backfill | None:
            return Backfill.objects.filter(idempotency_key=key).first()

        return self.tried(lambda: kept_or_made(key, make, find)[0])

    def tried(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except Refusal as refusal:
            self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))
            return None


class ChangeForm(forms.Form):
    """What may be changed of a backfill that is not over."""

    run_limit = forms.IntegerField(label="Runs at a time", help_text="Takes effect at once; runs under way go on.")
    priority = forms.IntegerField(help_text="Lower goes first; what is due now has 0.")
    name = forms.CharField(required=False, max_length=200)

    def __init__(self, data: Any = None, *, backfill: Backfill) -> None:
        values = {name: getattr(backfill, name) for name in backfills.CHANGEABLE}
        super().__init__(data, initial=values, auto_id="change_%s")
        self.backfill = backfill
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"

    def save(self) -> bool:
        """Change it; False when that was refused (see the errors)."""
        if not self.is_valid():
            return False
        try:
            backfills.change(self.backfill, self.cleaned_data)
        except Refusal as refusal:
            self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))
            return False
        return True


def label_of(schedule: PipelineSchedule) -> str:
    if schedule.schedule_type != ScheduleType.TIME:
        return f"{schedule.name} ({schedule.schedule_type})"
    return f"{schedule.name}: {schedule.schedule_interval}, {schedule.timezone}"


def last_week(schedule: PipelineSchedule | None, moment: datetime) -> dict[str, Any]:
    """Return what an unasked planner begins with: the days, or the trigger's moments, of the last week."""
    name = schedule.timezone if schedule else "UTC"
    midnight = moment.astimezone(zone_or_utc(name)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    is_timed = schedule is not None and schedule.schedule_type == ScheduleType.TIME
    return {
        "timezone": name,
        "start_at": midnight - WEEK,
        "end_at": midnight,
        "interval_type": IntervalType.SCHEDULE if is_timed else IntervalType.DAY,
    }
