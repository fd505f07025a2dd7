"""What people type to start a run: its variables."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms

from pipelines.parsers import MAX_BYTES, read_json
from pipelines.refusal import Refusal
from runs.models import Origin, PipelineRun
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
