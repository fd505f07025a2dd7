"""Run now, with a field for each variable that is known: its type is that of its default."""

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from pipelines.parsers import read_json
from pipelines.refusal import Refusal
from runs.forms import StartForm

MOST_FIELDS = 40
LONG_TEXT = 80  # characters of a default from which on its field has several lines
MOST_TEXT = 100_000
PREFIX = "variable:"


class VariableForm(StartForm):
    """What is left as it is by default is not sent along: it stays the pipeline's, or the trigger's, word.

    `known` are the variables with their defaults; those beyond the first fields are given as JSON, as are new ones.
    """

    def __init__(self, *args: Any, known: Mapping[str, Any], **options: Any) -> None:
        super().__init__(*args, **options)
        self.known = dict(list(known.items())[:MOST_FIELDS])
        self.unshown = len(known) - len(self.known)
        for place, (name, default) in enumerate(self.known.items()):
            field = field_of(name, default)
            field.widget.attrs |= {"id": f"start_variable_{place}", "autofocus": place == 0}
            self.fields[PREFIX + name] = field
        if self.known:
            self.fields["variables"].label = "Further variables, as JSON"
            self.fields["variables"].widget.attrs |= {"rows": 2, "autofocus": False}
            self.fields["variables"].help_text = "A JSON object of what has no field above. May stay empty."

    @classmethod
    def of(cls, known: Mapping[str, Any]) -> "VariableForm":
        return cls(known=known, initial={"key": uuid.uuid4()}, auto_id="start_%s")

    @classmethod
    def filled(cls, data: Any, known: Mapping[str, Any]) -> "VariableForm":
        return cls(data, known=known, auto_id="start_%s")

    @property
    def typed(self) -> list[BoundField]:
        return [self[PREFIX + name] for name in self.known]

    def clean(self) -> dict[str, Any]:
        """Join what was changed in the fields with what was written as JSON."""
        cleaned = super().clean() or {}
        further = cleaned.get("variables")
        changed = dict(self.changed())
        for name in changed.keys() & (further or {}).keys():
            self.add_error("variables", f"{name} is given here and in its own field; give it once.")
        if isinstance(further, dict):
            cleaned["variables"] = changed | further
        return cleaned

    def changed(self) -> Iterator[tuple[str, Any]]:
        """Yield the variables whose fields say something else than the defaults."""
        for name, default in self.known.items():
            if PREFIX + name not in self.data or PREFIX + name not in self.cleaned_data:
                continue
            value = self.cleaned_data[PREFIX + name]
            if not same(value, default) and value is not KEPT:
                yield name, value


class Kept:
    """Stands for a field that was left empty where that is no value: the default stays."""


KEPT = Kept()


def same(value: Any, default: Any) -> bool:
    """Tell whether it is the same value of the same kind: 1 is neither true nor 1.0 here."""
    return type(value) is type(default) and bool(value == default)


def field_of(name: str, default: Any) -> forms.Field:
    """Return the field that fits a default: yes or no, a number, text, or JSON."""
    plain: dict[str, Any] = {"label": name, "required": False}
    match default:
        case bool():
            return YesNoField(initial=default, **plain)
        case int() | float() if is_finite(default):
            return NumberField(kind=type(default), initial=default, **plain)
        case str():
            return TextField(initial=default, **plain)
    return JSONField(initial=json.dumps(default, ensure_ascii=False), **plain)


def is_finite(number: float) -> bool:
    """Tell whether a number can be reckoned with: a whole one may be larger than any with a fraction."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


class YesNoField(forms.ChoiceField):
    """Yes or no."""

    def __init__(self, *, initial: bool, **options: Any) -> None:
        choices = [("yes", "yes"), ("no", "no")]
        wrong = {"invalid_choice": "%(value)s is neither yes nor no."}
        super().__init__(
            choices=choices,
            initial="yes" if initial else "no",
            widget=forms.Select(attrs={"class": "form-select"}),
            error_messages=wrong,
            **options,
        )

    def clean(self, value: Any) -> Any:
        word = super().clean(value)
        return word == "yes" if word else KEPT


class NumberField(forms.CharField):
    """A number of the default's kind; a whole number may become one with a fraction."""

    def __init__(self, *, kind: type, initial: Any, **options: Any) -> None:
        self.kind = kind
        attrs = {"class": "form-control", "inputmode": "decimal" if kind is float else "numeric", "autocomplete": "off"}
        super().__init__(
            widget=forms.TextInput(attrs=attrs),
            initial=initial,
            max_length=400,
            help_text=f"A {'whole ' if kind is int else ''}number; empty: {initial}.",
            **options,
        )

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value) or "").strip()
        if not text:
            return KEPT
        try:
            found = self.kind(text)
        except ValueError:
            found = math.nan
        if not is_finite(found):
            what = "a whole number, for example 7" if self.kind is int else "a number, for example 0.5"
            raise forms.ValidationError(f"{text[:40]} is not {what}.", code="invalid")
        return found


class TextField(forms.CharField):
    """Text as it is typed, also none at all."""

    def __init__(self, *, initial: str, **options: Any) -> None:
        is_long = "\n" in initial or len(initial) > LONG_TEXT
        attrs: dict[str, Any] = {"class": "form-control", "spellcheck": "false"}
        widget = forms.Textarea(attrs=attrs | {"rows": 3}) if is_long else forms.TextInput(attrs=attrs)
        super().__init__(widget=widget, initial=initial, strip=False, max_length=MOST_TEXT, **options)
        self.default = initial

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value) or "")
        return self.default if text == self.default.replace("\n", "\r\n") else text  # browsers send their line ends


class JSONField(forms.CharField):
    """Any JSON value."""

    def __init__(self, *, initial: str, **options: Any) -> None:
        attrs = {"class": "form-control mono", "rows": 2 if len(initial) <= LONG_TEXT else 4, "spellcheck": "false"}
        super().__init__(
            widget=forms.Textarea(attrs=attrs),
            initial=initial,
            strip=False,
            max_length=MOST_TEXT,
            help_text="JSON; empty: as it is by default.",
            **options,
        )
        self.default = initial

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value) or "")
        if not text.strip() or text == self.default:
            return KEPT
        try:
            return read_json(text.encode("utf-8", "surrogatepass"))
        except Refusal as refusal:
            words = str(refusal).replace("The body", "The text").replace("in the body", "in it")
            raise forms.ValidationError(words, code=refusal.code) from refusal
