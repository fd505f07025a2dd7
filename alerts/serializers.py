"""What the API says about incidents, alert rules, channels and messages, and what it takes."""

import copy
from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts import channel_changes, incidents, rule_changes, standing
from alerts.models import AlertRule, Channel, ChannelKind, Incident, Severity, Step
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from pipelines.serializers import Choice, Flag, Instant, JSONObject, Seconds, StrictSerializer, Text, Whole
from schedules.days.calendar_serializers import entity_tag, raise_all

MOST_CHANNELS = 100
MOST_TOLD = 200  # changes and breaches of one incident


# --- incidents ------------------------------------------------------------------------------------------------------


class IncidentSerializer(StrictSerializer):
    """An incident. `state` is open, acknowledged, snoozed or closed; `run_id` is the latest run that shows it.

    One with a `members_count` stands for so many that opened at once, and is told instead of them; theirs is its
    number in `gathered_in_id`.
    """

    id = serializers.IntegerField(read_only=True)
    state = serializers.SerializerMethodField()
    severity = serializers.ChoiceField(choices=Severity.values, read_only=True)
    title = serializers.CharField(read_only=True)
    detail = serializers.CharField(read_only=True)
    fingerprint = serializers.CharField(read_only=True)
    rule_id = serializers.IntegerField(read_only=True, allow_null=True)
    pipeline_uuid = serializers.CharField(source="pipeline.uuid", default=None, read_only=True, allow_null=True)
    trigger_id = serializers.IntegerField(read_only=True, allow_null=True)
    block_uuid = serializers.CharField(read_only=True)
    run_id = serializers.IntegerField(read_only=True, allow_null=True)
    runbook_url = serializers.CharField(read_only=True)
    breaches_count = serializers.IntegerField(read_only=True)
    opened_at = serializers.DateTimeField(read_only=True)
    last_seen_at = serializers.DateTimeField(read_only=True)
    acknowledged_at = serializers.DateTimeField(read_only=True, allow_null=True)
    acknowledged_by = serializers.CharField(read_only=True)
    assignee = serializers.CharField(source="assignee.username", default=None, read_only=True, allow_null=True)
    snoozed_until = serializers.DateTimeField(read_only=True, allow_null=True)
    closed_at = serializers.DateTimeField(read_only=True, allow_null=True)
    closed_by = serializers.CharField(read_only=True)
    close_reason = serializers.CharField(read_only=True)
    told_at = serializers.DateTimeField(read_only=True, allow_null=True)
    gathered_in_id = serializers.IntegerField(read_only=True, allow_null=True)
    members_count = serializers.IntegerField(read_only=True)

    def get_state(self, incident: Incident) -> str:
        return standing.state_of(incident, timezone.now())


class ChangeSerializer(StrictSerializer):
    """One thing that happened to an incident; `by` is empty for what happened by itself."""

    id = serializers.IntegerField(read_only=True)
    step = serializers.ChoiceField(choices=Step.values, read_only=True)
    by = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)
    at = serializers.DateTimeField(read_only=True)


class BreachSerializer(StrictSerializer):
    """One time the rule was broken. `muted_by` is the maintenance window in which nothing was told of it."""

    id = serializers.IntegerField(read_only=True)
    rule_id = serializers.IntegerField(read_only=True)
    key = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)
    run_id = serializers.IntegerField(read_only=True, allow_null=True)
    muted_by = serializers.CharField(read_only=True)
    happened_at = serializers.DateTimeField(read_only=True)
    noted_at = serializers.DateTimeField(read_only=True)


class IncidentDetailSerializer(IncidentSerializer):
    """With its history and its latest breaches, or those of its members, the newest first."""

    changes = serializers.SerializerMethodField()
    breaches = serializers.SerializerMethodField()

    @extend_schema_field(ChangeSerializer(many=True))
    def get_changes(self, incident: Incident) -> Any:
        return ChangeSerializer(incident.changes.order_by("-id")[:MOST_TOLD], many=True).data

    @extend_schema_field(BreachSerializer(many=True))
    def get_breaches(self, incident: Incident) -> Any:
        return BreachSerializer(incidents.breaches_of(incident).order_by("-id")[:MOST_TOLD], many=True).data


class AssignSerializer(StrictSerializer):
    """`user` is a user's name; null for nobody."""

    user = Text(allow_null=True, max_length=150)


class SnoozeSerializer(StrictSerializer):
    """Either `until` a moment or `for` so many seconds."""

    until = Instant(required=False)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "for": Seconds(required=False)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"until": "Give until or for, one of them."}, code="required")
        return attrs


class NoteSerializer(StrictSerializer):
    text = Text(max_length=4000)


class CloseSerializer(StrictSerializer):
    reason = Text(required=False, allow_blank=True, max_length=500)


class RetriedSerializer(StrictSerializer):
    """`count` runs began again; with `dry_run`, would."""

    count = serializers.IntegerField(read_only=True)
    dry_run = serializers.BooleanField(read_only=True)


# --- rules ----------------------------------------------------------------------------------------------------------


class PipelineUuid(serializers.CharField):
    """A pipeline by its uuid; null for none."""

    def to_internal_value(self, data: Any) -> Any:
        found = Pipeline.objects.filter(uuid=data) if isinstance(data, str) and "\x00" not in data else None
        pipeline = found.select_related("current_version").first() if found is not None else None
        if pipeline is None:
            raise serializers.ValidationError(f"There is no pipeline {str(data)[:80]!r}.", code="unknown_pipeline")
        return pipeline

    def to_representation(self, value: Any) -> str:
        return str(value.uuid)


class ChannelIds(serializers.ListField):
    """The numbers of channels."""

    child = Whole(min_value=1, max_value=2**63 - 1)

    def to_internal_value(self, data: Any) -> list[Any]:
        ids = super().to_internal_value(data)
        found = {channel.pk: channel for channel in Channel.objects.filter(pk__in=ids)}
        if missing := [number for number in ids if number not in found]:
            raise serializers.ValidationError(f"There is no channel {missing[0]}.", code="unknown_channel")
        return [found[number] for number in dict.fromkeys(ids)]

    def to_representation(self, data: Any) -> list[Any]:
        return sorted(channel.pk for channel in data.all())


class AlertRuleSerializer(StrictSerializer):
    """A rule: what it watches (`kind`, `settings`), about whom, how loudly, and the channels that are told.

    `settings` by kind: consecutive_failures {count}, deadline {seconds, since: due or start}, freshness {seconds},
    slower {factor, samples}, queue_time {seconds}, occurrence_missed {decisions}, log_pattern {pattern},
    row_count {low, high}; the other kinds have none. Quiet hours are times of day in `timezone`. With `gathers` many
    incidents at once are told as one.
    """

    id = serializers.IntegerField(read_only=True)
    name = Text(max_length=rule_changes.LONGEST_NAME)
    kind = Text(max_length=30)
    settings = JSONObject(required=False)
    severity = Text(required=False, max_length=10)
    is_active = Flag(required=False)
    pipeline_uuid = PipelineUuid(source="pipeline", required=False, allow_null=True)
    tag = Text(required=False, allow_blank=True, max_length=rule_changes.LONGEST_TAG)
    trigger_id = Whole(required=False, allow_null=True, min_value=1, max_value=2**63 - 1)
    block_uuid = Text(required=False, allow_blank=True, max_length=rule_changes.LONGEST_BLOCK)
    channels = ChannelIds(required=False, max_length=MOST_CHANNELS)
    tells_recovery = Flag(required=False)
    gathers = Flag(required=False)
    renotify_every = Seconds(required=False, allow_null=True)
    quiet_from = serializers.TimeField(required=False, allow_null=True, format="%H:%M")
    quiet_until = serializers.TimeField(required=False, allow_null=True, format="%H:%M")
    timezone = Text(required=False, max_length=64)
    runbook_url = Text(required=False, allow_blank=True, max_length=rule_changes.LONGEST_URL)
    sentence = serializers.SerializerMethodField()
    created_by = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def get_sentence(self, rule: AlertRule) -> str:
        return rule_changes.in_words(rule, rule.channels.all())

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        draft = copy.copy(self.instance) if self.instance else AlertRule()
        rule_changes.give(draft, attrs)
        raise_named(rule_changes.mistakes(draft))
        return attrs


def raise_named(found: Iterable[Refusal]) -> None:
    """Raise what is wrong with the names that fields have here; another's name is a conflict, told when it is saved."""
    told = [mistake for mistake in found if mistake.code != "duplicate_name"]
    for mistake in told:
        if mistake.field == "pipeline":
            mistake.field = "pipeline_uuid"
    raise_all(told)


# --- channels and messages ------------------------------------------------------------------------------------------


class ChannelSerializer(StrictSerializer):
    """A channel. `address` is written and never told again: `shown_address` is what may be seen of it.

    `kind` is apprise (slack://…, mailtos://…) or webhook (https://…), and stays what it is.
    """

    id = serializers.IntegerField(read_only=True)
    name = Text(max_length=channel_changes.LONGEST_NAME)
    kind = Choice(choices=ChannelKind.choices)
    address = Text(max_length=2000, write_only=True)
    shown_address = serializers.CharField(read_only=True)
    is_active = Flag(required=False)
    problem = serializers.CharField(read_only=True)
    last_sent_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_failed_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)


class NewChannelSerializer(ChannelSerializer):
    """With the key that its messages are signed with, of a webhook: it is shown this once."""

    signing_key = serializers.CharField(read_only=True, required=False)


class DeliverySerializer(StrictSerializer):
    """A message. `state` is waiting, trying, sent or failed; `uuid` is the same in every try."""

    id = serializers.IntegerField(read_only=True)
    uuid = serializers.UUIDField(read_only=True)
    state = serializers.ChoiceField(choices=["waiting", "trying", "sent", "failed"], read_only=True)
    event_type = serializers.CharField(read_only=True)
    title = serializers.CharField(read_only=True)
    channel_id = serializers.IntegerField(read_only=True, allow_null=True)
    service = serializers.CharField(read_only=True)
    incident_id = serializers.IntegerField(source="change.incident_id", default=None, read_only=True, allow_null=True)
    pipeline_uuid = serializers.CharField(read_only=True)
    run_id = serializers.IntegerField(read_only=True, allow_null=True)
    tries = serializers.IntegerField(read_only=True)
    next_try_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_error = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    sent_at = serializers.DateTimeField(read_only=True, allow_null=True)
    given_up_at = serializers.DateTimeField(read_only=True, allow_null=True)


# --- entity tags ----------------------------------------------------------------------------------------------------

RULE_SAYS, CHANNEL_SAYS = ("sentence",), ("problem", "last_sent_at", "last_failed_at")


def tag_of_rule(rule: AlertRule) -> str:
    """Return the ETag of what people decided about a rule."""
    data = AlertRuleSerializer(rule).data
    return entity_tag(rule, {name: value for name, value in data.items() if name not in RULE_SAYS})


def tag_of_channel(channel: Channel) -> str:
    """Return the ETag of what people decided about a channel."""
    data = ChannelSerializer(channel).data
    return entity_tag(channel, {name: value for name, value in data.items() if name not in CHANNEL_SAYS})
