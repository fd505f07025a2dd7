"""The kinds of fields on the form of a trigger: text in, JSON out.

What cannot be read is handed on as it was typed: the rules of `schedules.policies` refuse it, with the same words as in
the API and in `triggers.yaml`.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.utils import timezone

from schedules.spans import read_span, write_span

MOST_TAGS, LONGEST_TAG = 50, 100


class NumberField(forms.CharField):
    """A number; empty is None."""

    widget = forms.TextInput(attrs={"inputmode": "numeric"})

    def to_python(self, value: Any) -> Any:
        return read_number(str(super().to_python(value) or ""))


class SpanField(forms.CharField):
    """A length of time in words or seconds, as seconds; empty is None."""

    def to_python(self, value: Any) -> Any:
        text = str(super().to_python(value) or "")
        seconds = read_span(text)
        return (text or None) if seconds is None else seconds

    def prepare_value(self, value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return write_span(value) if is_number else value


class LimitsField(forms.CharField):
    """Runs at a time for each value of a variable: "customer: 1, region: 2" as a mapping; empty is None."""

    def to_python(self, value: Any) -> Any:
        found: dict[str, Any] = {}
        for part in re.split(r"[,;\n]", str(super().to_python(value) or "")):
            name, mark, number = re.sub(r"=(?=[^=:]*$)", ":", part).rpartition(":")
            if not part.strip():
                continue
            name = (name if mark else part).strip()
            if name in found:
                raise forms.ValidationError(f"{name[:80]} is named twice.")
            found[name] = read_number(number.strip()) if mark else 1
        return found or None

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(f"{name}: {limit}" for name, limit in value.items()) if isinstance(value, Mapping) else value


class TagsField(forms.CharField):
    """Words with commas between them, as a list."""

    def to_python(self, value: Any) -> Any:
        tags = list(dict.fromkeys(tag.strip() for tag in str(super().to_python(value) or "").split(",") if tag.strip()))
        if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
            raise forms.ValidationError(f"At most {MOST_TAGS} tags, each of at most {LONGEST_TAG} characters.")
        return tags

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class NaiveDateTimeField(forms.DateTimeField):
    """A date and time without a zone, which Django would take for the server's."""

    default_error_messages = {"invalid": "Use a date and a time, for example 2025-03-02 06:00."}

    def prepare_value(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> datetime | None:
        with timezone.override(UTC):  # where every local time exists, once
            found = super().to_python(value)
        return found.replace(tzinfo=None) if found else None


class PipelinesField(forms.MultipleChoiceField):
    default_error_messages = {"invalid_choice": "There is no pipeline named %(value)s."}


def wall_clock(label: str) -> NaiveDateTimeField:
    """A local time of the schedule's own zone; the zone is put on in `clean`."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
    formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"]
    return NaiveDateTimeField(label=label, required=False, widget=widget, input_formats=formats)


def zone() -> forms.CharField:
    return forms.CharField(
        label="Time zone",
        initial="UTC",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "zones", "spellcheck": "false"}),
        error_messages={"required": "Use an IANA name such as Europe/Berlin, or UTC."},
    )


def flag(label: str, help_text: str = "") -> forms.BooleanField:
    return forms.BooleanField(required=False, label=label, help_text=help_text)


def number(label: str, default: str = "", help_text: str = "") -> NumberField:
    """`default` is shown where nothing is typed."""
    widget = forms.TextInput(attrs={"inputmode": "numeric", "placeholder": default})
    return NumberField(required=False, label=label, widget=widget, help_text=help_text)


def span(label: str, default: str = "", help_text: str = "") -> SpanField:
    return SpanField(
        required=False, label=label, widget=forms.TextInput(attrs={"placeholder": default}), help_text=help_text
    )


def choice(label: str, choices: Iterable[tuple[str, str]], help_text: str = "") -> forms.ChoiceField:
    """The first of the choices is the default."""
    listed = list(choices)
    words = ", ".join(name for name, _ in listed if name)
    wrong = {"invalid_choice": f"%(value)s is none of: {words}."}
    return forms.ChoiceField(
        required=False, label=label, choices=listed, initial=listed[0][0], error_messages=wrong, help_text=help_text
    )


def read_number(text: str) -> Any:
    """Return a number, None for nothing, and whatever else as it is."""
    text = text.strip()
    if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?\d{0,18}\.\d{1,18}", text, re.ASCII):
        return float(text)
    return text or None
