"""What people type on the pages of runs: filters, and the variables of a run to start."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms

from pipelines.parsers import MAX_BYTES, read_json
from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun, PipelineRunQuerySet
from runs.models.runs import choices
from runs.repeats import kept_or_started
from runs.states import RunStatus

MOST_VARIABLES = MAX_BYTES // 4


class JSONObjectField(forms.CharField):
    """A JSON object as text; empty is {}. Its errors name the line and column."""

    widget = forms.Textarea

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, strip=False, **options)

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        if not text.strip():
            return {}
        if len(text) > MOST_VARIABLES:
            raise forms.ValidationError(
                f"Variables are {len(text):,} characters long; the limit is {MOST_VARIABLES:,}.", code="too_large"
            )
        try:
            found = read_json(text.encode("utf-8", "surrogatepass"))
        except Refusal as refusal:
            raise forms.ValidationError(in_words(refusal), code=refusal.code) from refusal
        if not isinstance(found, dict):
            raise forms.ValidationError(
                'Variables must be a JSON object, for example {"day": "2025-03-02"}.', code="not_an_object"
            )
        return found

    def validate(self, value: Any) -> None:
        """Nothing more: `CharField` would look for text."""

    def run_validators(self, value: Any) -> None:
        """Nothing more."""


def in_words(refusal: Refusal) -> str:
    if "line" in refusal.message and "column" in refusal.message:
        place = refusal.message.partition(": ")[2].rstrip(".")
        return f"Variables must be a JSON object ({place})."
    return str(refusal).replace("The body", "The text").replace("in the body", "in it")


class StartForm(forms.Form):
    """Variables for one run, and a key that makes pressing the button twice start it once."""

    variables = JSONObjectField(
        label="Variables of this run",
        widget=forms.Textarea(
            attrs={
                "rows": 5,
                "class": "form-control",
                "spellcheck": "false",
                "autofocus": True,
                "placeholder": '{"day": "2025-03-02"}',
            }
        ),
        help_text="A JSON object; it goes before the variables of the trigger and the pipeline. May stay empty.",
    )
    key = forms.UUIDField(widget=forms.HiddenInput, error_messages={"invalid": "Open the page again, then start."})

    @classmethod
    def fresh(cls) -> "StartForm":
        return cls(initial={"key": uuid.uuid4()}, auto_id="start_%s")

    @classmethod
    def sent(cls, data: Any) -> "StartForm":
        return cls(data, auto_id="start_%s")

    def start(self, create: Callable[..., PipelineRun], *, user: Any, moment: datetime) -> PipelineRun | None:
        """Return the run that `create` made, now or when the same form was sent before; None if the form has errors.

        `create` takes what `create_run` takes beside the pipeline; its Refusal becomes an error of the form.
        """
        if not self.is_valid():
            return None
        key, variables = f"page:{user.pk}:{self.cleaned_data['key']}", self.cleaned_data["variables"]
        fields = {"moment": moment, "origin": Origin.MANUAL, "variables": variables, "started_by": user.get_username()}
        try:
            return kept_or_started(key, lambda: create(idempotency_key=key, **fields))[0]
        except Refusal as refusal:
            self.add_error("variables" if refusal.field == "variables" else None, str(refusal))
            return None


def what_came_of(run: PipelineRun) -> str:
    """Say whether a run that someone asked for is started or waits, and for what."""
    name = f"Run {run.pk} of {run.pipeline.uuid}"
    return f"{name} {run.reason or 'waits.'}" if run.status == RunStatus.INITIAL else f"{name} is started."


FILTERS = ("q", "status", "pipeline", "origin", "trigger")


class RunFilter(forms.Form):
    """The query string of the list of runs: a link is a view."""

    q = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Number, pipeline or trigger", "aria-label": "Search runs"}
        ),
    )
    status = forms.ChoiceField(required=False, choices=[("", "Any state"), *choices(RunStatus)])
    pipeline = forms.CharField(required=False, max_length=200)
    origin = forms.ChoiceField(required=False, choices=[("", "Any origin"), *Origin.choices])
    trigger = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def __init__(self, data: Any, *, pipelines: list[str]) -> None:
        super().__init__(data)
        self.fields["pipeline"].widget = forms.Select(
            choices=[("", "Any pipeline"), *((name, name) for name in pipelines)], attrs={"aria-label": "Pipeline"}
        )
        for name in ("status", "origin"):
            self.fields[name].widget.attrs["aria-label"] = name.capitalize()
        for name in ("status", "origin", "pipeline"):
            self.fields[name].widget.attrs["class"] = "form-select"
        self.fields["q"].widget.attrs["class"] = "form-control"

    def clean_q(self) -> str:
        text = str(self.cleaned_data["q"])
        if "\x00" in text:
            raise forms.ValidationError("The search contains a character that cannot be stored.")
        return text

    @property
    def is_used(self) -> bool:
        return any(self.cleaned_data.get(name) for name in FILTERS)

    def used(self) -> list[tuple[str, Any]]:
        """Return the filters that are set, for a form that hands them on."""
        return [(name, value) for name in FILTERS if (value := self.cleaned_data.get(name))]

    def chosen(self, runs: PipelineRunQuerySet, but: str = "") -> PipelineRunQuerySet:
        """Narrow `runs` by what was asked (`but` one); a part not understood is left out (its error is shown)."""
        self.is_valid()
        for name, lookup in LOOKUPS.items():
            if name != but and (value := self.cleaned_data.get(name)):
                runs = runs.filter(**{lookup: value})
        text = self.cleaned_data.get("q")
        return runs.matching(text) if text else runs


LOOKUPS = {
    "status": "status",
    "pipeline": "pipeline__uuid",
    "origin": "origin",
    "trigger": "trigger_id",
    "before": "pk__lt",
}
