"""What the timeline is asked for: which pipelines, grouped by what, and which stretch of time in which zone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from pipelines.refusal import Refusal
from runs.viewer_zone import viewer_zone
from schedules.timetable import read_zone

HOURS = [("1", "1 hour"), ("6", "6 hours"), ("24", "24 hours"), ("48", "48 hours"), ("168", "7 days")]
GROUPS = [("", "By tag"), ("owner", "By owner"), ("executor", "By executor"), ("none", "Not grouped")]
STATES = [
    ("", "Any state"),
    ("failed", "with failed runs"),
    ("completed", "with completed runs"),
    ("cancelled", "with cancelled runs"),
    ("running", "with running runs"),
    ("initial", "with queued runs"),
    ("missed", "with missed moments"),
]
USED = ("q", "tag", "owner", "state", "group", "hours", "zone", "until")
DEFAULT_HOURS = 24
AHEAD = 0.25  # share of the window that lies in the future, until somebody moves it
FURTHEST = timedelta(days=1)  # into the future
YEARS = (1970, 2200)
LONGEST = 200


class TimelineForm(forms.Form):
    q = forms.CharField(
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Pipeline", "aria-label": "Search pipelines"}),
    )
    tag = forms.CharField(required=False, max_length=LONGEST)
    owner = forms.CharField(required=False, max_length=LONGEST)
    state = forms.ChoiceField(required=False, choices=STATES)
    group = forms.ChoiceField(required=False, choices=GROUPS)
    hours = forms.ChoiceField(required=False, choices=HOURS)
    zone = forms.CharField(required=False, max_length=64)
    until = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        for name, label in (("state", "State"), ("group", "Group"), ("hours", "How long")):
            self.fields[name].widget.attrs["aria-label"] = label
        for field in self.fields.values():
            is_choice = isinstance(field, forms.ChoiceField)
            field.widget.attrs["class"] = "form-select" if is_choice else "form-control"
        self.fields["hours"].widget.choices = [
            ("" if value == str(DEFAULT_HOURS) else value, label) for value, label in HOURS
        ]

    def offer(self, name: str, label: str, values: list[str], empty: str) -> None:
        """Let one of the values be chosen; another that is typed in the address is taken as well."""
        current = self.cleaned_data.get(name)
        more = [] if not current or current in values else [current]
        choices = [("", empty), *((value, value) for value in [*values, *more])]
        self.fields[name].widget = forms.Select(choices=choices, attrs={"aria-label": label, "class": "form-select"})

    def clean_zone(self) -> ZoneInfo | None:
        name = str(self.cleaned_data["zone"])
        try:
            return read_zone(name) if name else None
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def clean_until(self) -> datetime | None:
        text = str(self.cleaned_data["until"])
        try:
            found = datetime.fromisoformat(text.replace(" ", "+")) if text else None
        except ValueError:
            found = None
        is_moment = found is not None and found.tzinfo is not None and YEARS[0] <= found.year < YEARS[1]
        if text and not is_moment:
            raise forms.ValidationError("This is no moment. Write one such as 2025-03-02T12:00:00Z.")
        return found.astimezone(UTC) if found else None

    @property
    def is_used(self) -> bool:
        return any(self.data.get(name) for name in USED)

    def value(self, name: str) -> Any:
        """Return what was asked for, "" where it was not, or not understood."""
        return self.cleaned_data.get(name) or ""


@dataclass(frozen=True)
class Window:
    """The stretch that is shown; `is_live`: it moves with the clock."""

    begin: datetime
    end: datetime
    zone: ZoneInfo
    is_live: bool

    @property
    def length(self) -> timedelta:
        return self.end - self.begin

    def moved(self, share: float, now: datetime) -> str:
        """Return the end of the window moved by a share of its length, for a link; never further than a day ahead."""
        end = min(self.end + share * self.length, now + FURTHEST)
        return end.replace(microsecond=0).astimezone(UTC).isoformat().replace("+00:00", "Z")


def window(form: TimelineForm, now: datetime) -> Window:
    """Return the stretch that was asked for; a part that is not understood is as if it had been left out."""
    length = timedelta(hours=int(form.value("hours") or DEFAULT_HOURS))
    until = form.value("until")
    end = min(until, now + FURTHEST) if until else now + min(AHEAD * length, FURTHEST)
    return Window(end - length, end, form.value("zone") or viewer_zone(), not until)
