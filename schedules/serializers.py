"""What the API says about triggers and occurrences, and how a trigger is written down and checked."""

import hashlib
import json
from typing import Any

from rest_framework import serializers

from pipelines.serializers import Choice, Instant, JSONObject, Seconds, StrictSerializer, Text, Whole
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType, Source
from schedules.policies import mistakes

SCHEDULE_STATUSES = [("active", "Fires."), ("inactive", "Paused.")]
# What people decide about a trigger; everything else about it is ours. The entity tag is made of these.
WRITABLE = (
    "name",
    "description",
    "tags",
    "schedule_type",
    "schedule_interval",
    "timezone",
    "start_time",
    "end_time",
    "status",
    "variables",
    "sla",
    "settings",
)


class PipelineScheduleSerializer(StrictSerializer):
    """A trigger. `sla` is in seconds; `settings` are Mage's (skip_if_previous_running, timeout, …)."""

    id = serializers.IntegerField(read_only=True)
    pipeline_uuid = Text(source="pipeline.uuid", max_length=200)
    name = Text(max_length=100)
    description = Text(required=False, allow_blank=True, max_length=10_000)
    tags = serializers.ListField(child=Text(max_length=100), required=False, max_length=50)
    schedule_type = Choice(choices=ScheduleType.choices, required=False)
    schedule_interval = Text(required=False, allow_blank=True, max_length=256)
    timezone = Text(required=False, max_length=64)
    start_time = Instant(required=False, allow_null=True)
    end_time = Instant(required=False, allow_null=True)
    status = Choice(choices=SCHEDULE_STATUSES, required=False)
    variables = JSONObject(required=False)
    sla = Seconds(required=False, allow_null=True)
    settings = JSONObject(required=False)
    last_enabled_at = serializers.DateTimeField(read_only=True)
    paused_until = serializers.DateTimeField(read_only=True, allow_null=True)
    next_pipeline_run_date = serializers.DateTimeField(source="next_due_at", read_only=True)
    problem = Text(read_only=True)
    code_id = Text(read_only=True)
    source = serializers.ChoiceField(choices=Source.choices, read_only=True)  # type: ignore[assignment]
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        # A trigger stays with its pipeline.
        fields["pipeline_uuid"].read_only = self.instance is not None
        return fields

    def validate_settings(self, value: dict[str, Any]) -> dict[str, Any]:
        """Name every wrong setting, not only the first."""
        if found := mistakes(value):
            raise serializers.ValidationError(
                {
                    mistake.field.removeprefix("settings."): serializers.ErrorDetail(str(mistake), code=mistake.code)
                    for mistake in found
                }
            )
        return value


class NewScheduleSerializer(PipelineScheduleSerializer):
    """A trigger whose token was just made: the only time that it is shown."""

    token = Text(read_only=True, required=False)


class PauseSerializer(StrictSerializer):
    """`until` is when it is switched on again by itself; null for never."""

    until = Instant(required=False, allow_null=True)


class OccurrenceSerializer(serializers.ModelSerializer[Occurrence]):
    """One moment a trigger was due, what was decided, and why."""

    class Meta:
        model = Occurrence
        fields = [
            "id",
            "pipeline_schedule_id",
            "backfill_id",
            "scheduled_for",
            "local_time",
            "decision",
            "reason",
            "blocker_run_id",
            "cause_run_id",
            "pipeline_run_id",
            "backfill_id",
            "origin",
            "priority",
            "start_after",
            "expires_at",
            "decided_at",
        ]
        read_only_fields = fields

    pipeline_schedule_id = serializers.IntegerField(source="schedule_id", read_only=True, allow_null=True)
    pipeline_run_id = serializers.IntegerField(read_only=True, allow_null=True)
    backfill_id = serializers.IntegerField(read_only=True, allow_null=True)
    decision = serializers.ChoiceField(choices=Decision.choices, read_only=True)


class PreviewInstantSerializer(StrictSerializer):
    utc = serializers.DateTimeField(read_only=True)
    local = serializers.SerializerMethodField()
    note = serializers.CharField(source="remark", read_only=True, allow_null=True)

    def get_local(self, instant: Any) -> str:
        return str(instant.local.isoformat())


class PreviewSerializer(StrictSerializer):
    """The next moments of a trigger, with what clock changes do to them."""

    expression = serializers.CharField(read_only=True)
    timezone = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    next = PreviewInstantSerializer(many=True, read_only=True)


class ClockChangeSerializer(PreviewInstantSerializer):
    """A change of the clock that meets the rule, and what becomes of its times."""

    note = serializers.CharField(read_only=True)


class CollisionSerializer(StrictSerializer):
    """A moment that meets one of another trigger of the pipeline."""

    utc = serializers.DateTimeField(read_only=True)
    pipeline_schedule_id = serializers.IntegerField(source="schedule.pk", read_only=True)
    name = serializers.CharField(source="schedule.name", read_only=True)
    other_utc = serializers.DateTimeField(read_only=True)


class SchedulePlanSerializer(StrictSerializer):
    """What saving would change. `until` is as far as moments are compared; `usual_duration` is in seconds."""

    now = serializers.CharField(read_only=True)
    since = serializers.DateTimeField(read_only=True)
    until = serializers.DateTimeField(read_only=True)
    is_cut = serializers.BooleanField(read_only=True)
    before = PreviewInstantSerializer(many=True, read_only=True)
    after = PreviewInstantSerializer(many=True, read_only=True)
    added = PreviewInstantSerializer(many=True, read_only=True)
    removed = PreviewInstantSerializer(many=True, read_only=True)
    kept = PreviewInstantSerializer(many=True, read_only=True)
    clock_changes = ClockChangeSerializer(source="bites", many=True, read_only=True)
    usual_duration = Seconds(source="usual", read_only=True, allow_null=True)
    overlaps = PreviewInstantSerializer(many=True, read_only=True)
    collisions = CollisionSerializer(many=True, read_only=True)


class TriggeredRunSerializer(StrictSerializer):
    """A run in Mage's shape."""

    id = Whole(read_only=True)
    status = Text(read_only=True)
    execution_date = serializers.DateTimeField(read_only=True)
    pipeline_uuid = Text(read_only=True)
    pipeline_schedule_id = Whole(read_only=True)
    variables = JSONObject(read_only=True)


class TriggerAnswerSerializer(StrictSerializer):
    pipeline_run = TriggeredRunSerializer(read_only=True)


def entity_tag(schedule: PipelineSchedule) -> str:
    """Return the ETag of what people decided about a trigger; a firing does not change it."""
    data = PipelineScheduleSerializer(schedule).data
    said = json.dumps([schedule.pk, *(data[name] for name in WRITABLE)], sort_keys=True, default=str)
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
