"""The forms of a calendar and of a maintenance window: what people type, checked by the rules of the API."""

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from pipelines.refusal import Refusal
from runs.viewer_zone import viewer_zone
from schedules.days import calendar_changes, window_changes
from schedules.days.calendar_serializers import CalendarSerializer, MaintenanceWindowSerializer, entity_tag
from schedules.days.calendars import Calendar, CalendarKind
from schedules.days.day_sets import WEEKDAYS, entries_of, lines_of
from schedules.days.ics_days import MOST_BYTES
from schedules.days.maintenance import Effect, MaintenanceWindow, Scope
from schedules.pages.form_fields import choice, flag, span, wall_clock, zone
from schedules.timetable import read_zone, zone_or_utc

TIMES = ("starts_at", "ends_at", "until")
RANGE = "A window is open for whole minutes, at most 31 days: for example 2 h, or 90 min."


class StaleForm(Refusal):
    """Someone else changed the row since the form was opened."""


class CheckedForm(forms.Form):
    """A form whose rules are those of a row; it remembers what the row was when it was opened."""

    tag = forms.CharField(required=False, widget=forms.HiddenInput)
    is_stale = False

    def style(self) -> None:
        for field in self.fields.values():
            if isinstance(field, forms.BooleanField | forms.MultipleChoiceField):
                continue
            kind = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
            field.widget.attrs["class"] = f"{kind} {field.widget.attrs.get('class', '')}".strip()

    def tell(self, found: Iterable[Refusal], names: Mapping[str, str]) -> None:
        """Put what is wrong beside the fields; `names` are those of the form where they differ."""
        for mistake in found:
            name = names.get(mistake.field, mistake.field)
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, str(mistake))

    def check_not_stale(self, now: str, changed_at: datetime, what: str) -> None:
        if self.cleaned_data["tag"] in ("", now):
            return
        self.is_stale = True
        self.data = {**{name: self.data[name] for name in self.data}, "tag": now}
        raise StaleForm(f"Someone changed this {what} at {changed_at:%H:%M} UTC.", hint="Review and save again.")


class CalendarForm(CheckedForm):
    """A new calendar, or (with `calendar`) a change of one. Only the fields of its kind are taken."""

    name = forms.CharField(
        max_length=64,
        help_text="Expressions use it: de_holidays or weekend.",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "placeholder": "de_holidays"}),
        error_messages=dict.fromkeys(("required", "max_length"), "Name: 1–64 of the letters a–z, digits, _ and -."),
    )
    description = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}))
    kind = choice("Its days are", CalendarKind.choices)
    country = forms.CharField(
        required=False,
        max_length=80,
        help_text="A code of ISO 3166, such as DE or US.",
        widget=forms.TextInput(attrs={"list": "countries", "spellcheck": "false"}),
    )
    subdivision = forms.CharField(
        required=False, max_length=80, label="Part of it", help_text="For example BY; empty for the whole country."
    )
    weekdays = forms.MultipleChoiceField(
        required=False,
        label="Days of the week",
        choices=[(name, name.capitalize()) for name in WEEKDAYS],
        widget=forms.CheckboxSelectMultiple,
    )
    dates = forms.CharField(
        required=False,
        max_length=300_000,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
        help_text="One a line: 2026-05-15 Bridge day. Without a year it comes every year: 12-24 Christmas Eve.",
    )
    file = forms.FileField(required=False, label="iCalendar file", help_text="An .ics file of at most 1 MB.")

    def __init__(
        self,
        data: QueryDict | None = None,
        files: MultiValueDict[str, UploadedFile[Any]] | None = None,
        *,
        calendar: Calendar | None = None,
    ) -> None:
        super().__init__(data, files, initial=values_of_calendar(calendar) if calendar else {})
        self.calendar = calendar
        self.style()
        if calendar and calendar.ics:
            self.fields["file"].help_text = "The file that was given stays unless you choose another."

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file is None:
            return self.calendar.ics if self.calendar else ""
        if file.size > MOST_BYTES:
            raise forms.ValidationError(f"The file has {file.size:,} bytes; the limit is {MOST_BYTES:,}.")
        try:
            return str(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise forms.ValidationError(f"The file is not UTF-8 at byte {error.start}.") from None

    def clean(self) -> dict[str, Any]:
        self.draft = copy.copy(self.calendar) if self.calendar else Calendar()  # with what is typed; never saved
        for name, value in self.fields_of_calendar().items():
            setattr(self.draft, name, value)
        self.tell(calendar_changes.mistakes(self.draft), {"ics": "file"})
        return self.cleaned_data

    def fields_of_calendar(self) -> dict[str, Any]:
        found = self.cleaned_data
        typed = {
            "country": found.get("country", "").strip().upper(),
            "subdivision": found.get("subdivision", "").strip(),
            "weekdays": found.get("weekdays", []),
            "dates": entries_of(found.get("dates", "")),
            "ics": found.get("file", ""),
        }
        kind = found.get("kind", "")
        own = calendar_changes.FIELDS_OF_KIND.get(kind, ())
        of_kind = {name: typed[name] if name in own else empty for name, empty in calendar_changes.EMPTY.items()}
        return {"name": found.get("name", ""), "description": found.get("description", ""), "kind": kind, **of_kind}

    def save(self, moment: datetime) -> Calendar | None:
        """Make or change the calendar; None when it was refused (see the errors)."""
        try:
            if self.calendar is None:
                return calendar_changes.create(self.fields_of_calendar(), moment)
            self.check_not_stale(tag_of_calendar(self.calendar), self.calendar.updated_at, "calendar")
            calendar_changes.change(self.calendar, self.fields_of_calendar(), moment)
            return self.calendar
        except Refusal as refusal:
            self.tell([refusal], {"ics": "file"})
            return None


def tag_of_calendar(calendar: Calendar) -> str:
    return entity_tag(calendar, CalendarSerializer(calendar).data)


def values_of_calendar(calendar: Calendar) -> dict[str, Any]:
    same = ("name", "description", "kind", "country", "subdivision", "weekdays")
    values = {name: getattr(calendar, name) for name in same}
    return {**values, "dates": lines_of(calendar.dates), "tag": tag_of_calendar(calendar)}


class WindowForm(CheckedForm):
    """A new maintenance window, or (with `window`) a change of one."""

    name = forms.CharField(max_length=100, error_messages={"required": "Name: 1–100 printable characters."})
    effect = choice(
        "It",
        [
            (Effect.BOTH, "holds starts and mutes alerts"),
            (Effect.HOLD_STARTS, "holds starts"),
            (Effect.MUTE_ALERTS, "mutes alerts"),
        ],
    )
    scope = choice("For", Scope.choices)
    value = forms.CharField(
        required=False,
        max_length=255,
        label="Which",
        help_text="The tag, the pipeline or the executor.",
        widget=forms.TextInput(attrs={"list": "values", "spellcheck": "false"}),
    )
    again = choice("It is open", [("", "once"), ("again", "again and again")])
    timezone = zone()
    starts_at = wall_clock("From")
    ends_at = wall_clock("To")
    recurrence = forms.CharField(
        required=False,
        max_length=256,
        label="Opens",
        help_text="Cron, 0 22 * * 6, or RRULE:FREQ=MONTHLY;BYDAY=1SU;BYHOUR=2.",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "placeholder": "0 22 * * 6"}),
    )
    duration = span("For how long", "2 h")
    until = wall_clock("Not after")
    reason = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    is_active = flag("Active")

    def __init__(self, data: QueryDict | None = None, *, window: MaintenanceWindow | None = None) -> None:
        super().__init__(data, initial=values_of_window(window) if window else self.fresh())
        self.window = window
        self.style()

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        if found.get("again") and not found.get("recurrence") and "recurrence" not in self.errors:
            self.add_error("recurrence", "When does it open? Write cron, or an RRULE.")
        duration = found.get("duration")
        if duration is not None and not (isinstance(duration, int) and 0 < duration <= 31 * 86_400):
            self.add_error("duration", RANGE)
        self.put_zone_on()
        self.draft = copy.copy(self.window) if self.window else MaintenanceWindow()  # with what is typed; never saved
        for name, value in self.fields_of_window().items():
            setattr(self.draft, name, value)
        self.tell(window_changes.mistakes(self.draft), {})
        return found

    @staticmethod
    def fresh() -> dict[str, Any]:
        """Return what an empty form begins with: whoever opens it thinks by their own clocks."""
        return {"is_active": True, "timezone": viewer_zone().key}

    def put_zone_on(self) -> None:
        """Read the times as local ones of the window's zone."""
        found = self.cleaned_data
        try:
            zone = read_zone(found.get("timezone", "UTC"))
        except Refusal as refusal:
            self.add_error("timezone", str(refusal))
            return
        for name in TIMES:
            if wall := found.get(name):
                found[name] = wall.replace(tzinfo=zone).astimezone(UTC)
                back = found[name].astimezone(zone).replace(tzinfo=None)
                if back != wall:
                    self.add_error(name, f"{wall:%H:%M} does not exist in {zone.key} on that day; use {back:%H:%M}.")

    def fields_of_window(self) -> dict[str, Any]:
        found, nothing = dict(self.cleaned_data), {"recurrence": "", "duration": None, "until": None}
        seconds = found.get("duration")
        found["duration"] = timedelta(seconds=seconds) if isinstance(seconds, int) else None
        found |= {"ends_at": None} if found.pop("again", "") else nothing
        found |= {"value": ""} if found.get("scope") == Scope.ALL else {}
        given = {name: value for name, value in found.items() if name != "tag"}
        return {"name": "", "timezone": "UTC", **given}

    def save(self) -> MaintenanceWindow | None:
        """Make or change the window; None when it was refused (see the errors)."""
        try:
            if self.window is None:
                return window_changes.create(self.fields_of_window())
            self.check_not_stale(tag_of_window(self.window), self.window.updated_at, "window")
            window_changes.change(self.window, self.fields_of_window())
            return self.window
        except Refusal as refusal:
            self.tell([refusal], {})
            return None


def tag_of_window(window: MaintenanceWindow) -> str:
    return entity_tag(window, MaintenanceWindowSerializer(window).data)


def values_of_window(window: MaintenanceWindow) -> dict[str, Any]:
    same = ("name", "effect", "scope", "value", "timezone", "recurrence", "reason", "is_active")
    zone = zone_or_utc(window.timezone)
    walls = {
        name: moment.astimezone(zone).replace(tzinfo=None) if (moment := getattr(window, name)) else None
        for name in TIMES
    }
    return {
        **{name: getattr(window, name) for name in same},
        **walls,
        "again": "again" if window.recurrence else "",
        "duration": round(window.duration.total_seconds()) if window.duration else None,
        "tag": tag_of_window(window),
    }
