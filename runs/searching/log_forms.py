"""What people ask of logs on pages: the query string is the view."""

from datetime import datetime
from typing import Any

from django import forms

from runs.models.written import choices
from runs.searching.scanning import LEVELS, SOURCES, Wanted
from runs.states import RunStatus
from runs.viewer_zone import read_local, viewer_zone, zone_of_form

LEVEL_CHOICES = [("", "Any level"), *((level, f"{level.lower()} and above") for level in LEVELS[1:-1])]
LEVEL_CHOICES.append(("CRITICAL", "critical"))
SOURCE_CHOICES = [("", "Any source"), *((source, source) for source in SOURCES)]


def search_field(placeholder: str, label: str) -> forms.CharField:
    looks = {"type": "search", "placeholder": placeholder, "aria-label": label, "class": "form-control"}
    return forms.CharField(required=False, max_length=200, strip=False, widget=forms.TextInput(attrs=looks))


def choice_field(label: str, options: list[tuple[str, str]]) -> forms.ChoiceField:
    looks = {"aria-label": label, "class": "form-select"}
    return forms.ChoiceField(required=False, choices=options, widget=forms.Select(attrs=looks))


def local_time(label: str) -> forms.CharField:
    looks = {"type": "datetime-local", "class": "form-control", "aria-label": label}
    return forms.CharField(required=False, max_length=40, widget=forms.TextInput(attrs=looks))


class LinesForm(forms.Form):
    """Which lines."""

    q = search_field("Text in the log", "Text to look for")
    level = choice_field("Level", LEVEL_CHOICES)
    source = choice_field("Source", SOURCE_CHOICES)

    def asked(self, name: str) -> Any:
        """Return what was asked for under a name; nothing of what was not understood."""
        self.is_valid()
        return self.cleaned_data.get(name) or ""

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.asked("q"), self.asked("level"), self.asked("source"))

    @property
    def is_used(self) -> bool:
        return not self.wanted.is_anything


class LogForm(LinesForm):
    """The page of one log: which lines, and where in it."""

    only = forms.BooleanField(required=False, label="only lines with it")
    at = forms.CharField(required=False, max_length=20)

    def place(self, name: str) -> int | None:
        """Return an offset from the query; None for none and for nonsense."""
        text = str(self.data.get(name, ""))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


class SearchForm(LinesForm):
    """The search across runs."""

    pipeline = forms.CharField(required=False, max_length=200)
    block = forms.CharField(required=False, max_length=200)
    state = choice_field("State of the run", [("", "Any state"), *choices(RunStatus)])
    since = local_time("Runs from")
    till = local_time("Runs to")
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def __init__(self, data: Any, *, pipelines: list[str]) -> None:
        has_times = any(data.get(name) for name in ("since", "till"))
        self.zone = zone_of_form(data) if has_times else viewer_zone()  # in which its times are meant
        super().__init__(data)
        looks = {"aria-label": "Pipeline", "class": "form-select", "data-pick": ""}
        options = [("", "Any pipeline"), *((name, name) for name in pipelines)]
        self.fields["pipeline"].widget = forms.Select(choices=options, attrs=looks)
        looks = {"aria-label": "Block", "class": "form-control", "placeholder": "Block"}
        self.fields["block"].widget = forms.TextInput(attrs=looks)

    def clean_since(self) -> datetime | None:
        return self.moment_of("since")

    def clean_till(self) -> datetime | None:
        return self.moment_of("till")

    def moment_of(self, name: str) -> datetime | None:
        given = self.cleaned_data[name]
        found = read_local(given, self.zone) if given else None
        if given and found is None:
            raise forms.ValidationError(f"{given[:40]!r} is no date and time. Write 2025-03-02T06:00, in {self.zone}.")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name in ("q", "pipeline", "block"):
            if "\x00" in str(cleaned.get(name) or ""):
                self.add_error(name, "It contains a character that no log and no name has.")
        return cleaned

    @property
    def is_used(self) -> bool:
        return super().is_used or any(self.asked(name) for name in ("pipeline", "block", "state", "since", "till"))
