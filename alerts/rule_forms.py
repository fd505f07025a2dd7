"""The form of an alert rule: only the fields of its kind are taken, and checked by the rules of the API."""

import copy
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from alerts import kinds, rule_changes
from alerts.models import AlertRule, Channel, Kind, Severity
from alerts.serializers import tag_of_rule
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.viewer_zone import viewer_zone
from schedules.days.calendar_forms import CheckedForm
from schedules.models import PipelineSchedule
from schedules.pages.form_fields import choice, flag, number, span

MOST_CHOICES = 500
SPANS = {"finish_within", "fresh_for", "wait_for"}
TOLD = ("tells_recovery", "gathers", "quiet_from", "quiet_until")
SAME = ("name", "kind", "severity", "is_active", "runbook_url", *TOLD)
# Of each kind: its settings, and the fields of the form that hold them.
FIELDS_OF_KIND: Mapping[str, Mapping[str, str]] = {
    Kind.CONSECUTIVE_FAILURES: {"count": "count"},
    Kind.DEADLINE: {"seconds": "finish_within", "since": "since"},
    Kind.FRESHNESS: {"seconds": "fresh_for"},
    Kind.SLOWER: {"factor": "factor", "samples": "samples"},
    Kind.QUEUE_TIME: {"seconds": "wait_for"},
    Kind.OCCURRENCE_MISSED: {"decisions": "decisions"},
    Kind.LOG_PATTERN: {"pattern": "pattern"},
    Kind.ROW_COUNT: {"low": "low", "high": "high"},
}
KINDS = (
    (Kind.RUN_FAILED, "a run fails"),
    (Kind.BLOCK_FAILED, "a block fails"),
    (Kind.CONSECUTIVE_FAILURES, "runs fail in a row"),
    (Kind.SLA, "an SLA of a run or a block passes"),
    (Kind.DEADLINE, "a run is not finished in time"),
    (Kind.FRESHNESS, "there is no completed run for a while"),
    (Kind.SLOWER, "a run or a block is slower than usual"),
    (Kind.QUEUE_TIME, "a run waits too long to begin"),
    (Kind.OCCURRENCE_MISSED, "a moment is missed"),
    (Kind.LOG_PATTERN, "a log says something"),
    (Kind.ROW_COUNT, "a block returns too few or too many rows"),
    (Kind.UNHEALTHY, "schedulers, workers or storage are in trouble"),
    (Kind.DELIVERY_FAILED, "a message cannot be delivered"),
)


def typed(label: str, longest: int, help_text: str = "", **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"spellcheck": "false", **attrs})
    return forms.CharField(required=False, label=label, max_length=longest, help_text=help_text, widget=widget)


def hours(label: str) -> forms.TimeField:
    return forms.TimeField(
        required=False,
        label=label,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        error_messages={"invalid": "Use hours and minutes, for example 22:00."},
    )


class ChannelsField(forms.ModelMultipleChoiceField[Channel]):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name}" if obj.is_active else f"{obj.name} (switched off)"


class RuleForm(CheckedForm):
    """A new alert rule, or (with `rule`) a change of one."""

    name = forms.CharField(
        max_length=rule_changes.LONGEST_NAME, error_messages={"required": "Name: 1–200 printable characters."}
    )
    kind = choice("Tell when", KINDS)
    severity = choice("How bad it is", Severity.choices)
    count = number("How many in a row", "3")
    finish_within = span("Not finished within", "2 h")
    since = choice("Counted from", [("due", "the moment it was due"), ("start", "its start")])
    fresh_for = span("No completed run for", "6 h")
    factor = number("Longer than the usual (p95) times", "2")
    samples = number("Completed runs it takes to know", "10")
    wait_for = span("Waits longer than", "10 min")
    decisions = forms.MultipleChoiceField(
        required=False,
        label="Moments that are",
        choices=[(name, name) for name in kinds.DECISIONS],
        widget=forms.CheckboxSelectMultiple,
    )
    pattern = typed("A line that contains", kinds.LONGEST_PATTERN, "* stands for anything.", placeholder="* refused")
    low = number("Fewer rows than", "1")
    high = number("More rows than")
    pipeline = typed("Pipeline", 200, "Empty for every pipeline.", list="pipelines")
    pipeline_tag = typed("Tag", 100, "Pipelines with this tag.")
    trigger_id = forms.ChoiceField(required=False, label="Trigger")
    block_uuid = typed("Block", 255, "Empty for every block.", list="blocks")
    channels = ChannelsField(
        required=False, label="Tell", queryset=Channel.objects.order_by("name"), widget=forms.CheckboxSelectMultiple
    )
    tells_recovery = flag("Tell as well when it is well again")
    gathers = flag("Tell many at once, as after an outage, in one message")
    renotify_every = span("Remind every", "never", "While it is open and nobody has acknowledged it.")
    quiet_from, quiet_until = hours("Quiet from"), hours("Quiet until")
    timezone = typed("Time zone of the quiet hours", 64, list="zones")
    runbook_url = typed("Runbook", 500, "Where it is written what to do.", placeholder="https://wiki.example.com/etl")
    is_active = flag("Active")

    def __init__(self, data: QueryDict | None = None, *, rule: AlertRule | None = None, **begin: Any) -> None:
        fresh_rule = {**values_of(fresh()), "timezone": viewer_zone().key, **begin}
        super().__init__(data, initial=values_of(rule) if rule else fresh_rule)
        self.rule = rule
        triggers = PipelineSchedule.objects.order_by("pipeline__uuid", "name").values_list(
            "pk", "name", "pipeline__uuid"
        )
        listed = [(str(pk), f"{uuid}: {name}") for pk, name, uuid in triggers[:MOST_CHOICES]]
        self.fields["trigger_id"] = choice("Trigger", [("", "any"), *listed])
        self.style()
        del self.fields["channels"].widget.attrs["class"]  # they are boxes to tick

    def clean_pipeline(self) -> Pipeline | None:
        uuid = self.cleaned_data["pipeline"].strip()
        found = Pipeline.objects.filter(uuid=uuid).select_related("current_version").first() if uuid else None
        if uuid and found is None:
            raise forms.ValidationError(f"There is no pipeline {uuid[:80]!r}. Choose one of the list.")
        return found

    def clean(self) -> dict[str, Any]:
        for field in SPANS & set(self.of_kind().values()):
            if not isinstance(self.cleaned_data.get(field), int | float):
                self.add_error(field, "Write a length of time, for example 6 h or 90 min.")
        self.draft = copy.copy(self.rule) if self.rule else fresh()  # with what is typed; never saved
        rule_changes.give(self.draft, self.fields_of_rule())
        names = {f"settings.{name}": field for name, field in self.of_kind().items()}
        self.tell(rule_changes.mistakes(self.draft), {**names, "tag": "pipeline_tag"})
        return self.cleaned_data

    def of_kind(self) -> Mapping[str, str]:
        return FIELDS_OF_KIND.get(self.cleaned_data.get("kind", ""), {})

    def fields_of_rule(self) -> dict[str, Any]:
        """Return what is typed as fields of a rule, without what its kind has no use for."""
        found = self.cleaned_data
        kind = found.get("kind", "")
        given = {name: found.get(field) for name, field in self.of_kind().items()}
        is_scoped, is_of_block = kind not in kinds.UNSCOPED, kind in kinds.OF_BLOCKS
        every = found.get("renotify_every")
        return {
            **{name: found.get(name, "" if name in ("name", "runbook_url") else None) for name in SAME},
            "settings": {name: value for name, value in given.items() if value not in (None, "")},
            "pipeline": found.get("pipeline") if is_scoped else None,
            "tag": found.get("pipeline_tag", "") if is_scoped else "",
            "trigger_id": int(found.get("trigger_id") or 0) or None if is_scoped else None,
            "block_uuid": found.get("block_uuid", "") if is_of_block else "",
            "renotify_every": timedelta(seconds=every) if isinstance(every, int) and every < 10**9 else None,
            "timezone": found.get("timezone") or "UTC",
            "channels": list(found.get("channels") or []),
        }

    def clean_renotify_every(self) -> Any:
        every = self.cleaned_data["renotify_every"]
        if every is not None and not (isinstance(every, int) and every < 10**9):
            raise forms.ValidationError("Write a length of time, for example 4 h; or leave it empty.")
        return every

    def save(self, by: str, moment: datetime) -> AlertRule | None:
        """Make or change the rule; None when it was refused (see the errors)."""
        try:
            if self.rule is None:
                return rule_changes.create(self.fields_of_rule(), by, moment)
            self.check_not_stale(tag_of_rule(self.rule), self.rule.updated_at, "rule")
            rule_changes.change(self.rule, self.fields_of_rule(), moment)
            return self.rule
        except Refusal as refusal:
            self.tell([refusal], {})
            return None


def fresh() -> AlertRule:
    return AlertRule(kind=Kind.RUN_FAILED, severity=Severity.WARNING)


def values_of(rule: AlertRule) -> dict[str, Any]:
    """Return what the form begins with: the rule's own values, and defaults for the settings of other kinds."""
    values = {name: getattr(rule, name) for name in (*SAME, "timezone", "block_uuid")}
    for kind, fields in FIELDS_OF_KIND.items():
        settings = rule.settings if kind == rule.kind else kinds.defaults(kind)
        values |= {field: settings.get(name) for name, field in fields.items()}
    every = rule.renotify_every
    return {
        **values,
        "pipeline": rule.pipeline.uuid if rule.pipeline else "",
        "pipeline_tag": rule.tag,
        "trigger_id": str(rule.trigger_id or ""),
        "renotify_every": round(every.total_seconds()) if every else None,
        "channels": list(rule.channels.all()) if rule.pk else [],
        "tag": tag_of_rule(rule) if rule.pk else "",
    }
