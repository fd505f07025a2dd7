"""What the API says about backfills and their plans, and how one is asked for."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from pipelines.serializers import Choice, Flag, Instant, JSONObject, Seconds, StrictSerializer, Text, Whole
from schedules.backfilling.backfills import CHANGEABLE
from schedules.backfilling.slot_states import STATES as SLOT_STATES
from schedules.backfilling.slot_states import Plan, PlannedSlot
from schedules.models import BACKFILL_STATES, Backfill, Decision, IntervalType, Which


class BackfillSerializer(StrictSerializer):
    """Runs for slots of the past. `progress` counts its slots by state: completed, failed, waiting, …"""

    id = serializers.IntegerField(read_only=True)
    pipeline_uuid = Text(source="pipeline.uuid", max_length=200)
    pipeline_schedule_id = Whole(
        source="schedule_id", required=False, allow_null=True, min_value=1, max_value=2**63 - 1
    )
    name = Text(required=False, allow_blank=True, max_length=200)
    interval_type = Choice(choices=IntervalType.choices, required=False)
    interval_units = Whole(required=False)
    timezone = Text(required=False, max_length=64)
    start_at = Instant()
    end_at = Instant()
    which = Choice(choices=Which.choices, required=False)
    newest_first = Flag(required=False)
    run_limit = Whole(required=False)
    priority = Whole(required=False)
    variables = JSONObject(required=False)
    status = serializers.ChoiceField(choices=BACKFILL_STATES, source="state", read_only=True)
    progress = serializers.SerializerMethodField()
    created_by = Text(read_only=True)
    created_at = serializers.DateTimeField(read_only=True)
    started_at = serializers.DateTimeField(read_only=True)
    paused_at = serializers.DateTimeField(read_only=True)
    cancelled_at = serializers.DateTimeField(read_only=True)
    completed_at = serializers.DateTimeField(read_only=True)

    def get_progress(self, backfill: Backfill) -> dict[str, int]:
        counts: Mapping[int, Mapping[str, int]] = self.context["progress"]
        return dict(counts[backfill.pk])

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        if isinstance(self.instance, Backfill):  # what has been started keeps its slots
            for name, field in fields.items():
                field.read_only = name not in CHANGEABLE
        return fields


class ForecastSerializer(StrictSerializer):
    """When the rest may be done; seconds."""

    run_duration = Seconds(read_only=True, allow_null=True)
    remaining = Seconds(read_only=True, allow_null=True)
    finish_at = serializers.DateTimeField(read_only=True, allow_null=True)


class BackfillDetailSerializer(BackfillSerializer):
    forecast = serializers.SerializerMethodField()

    def get_forecast(self, backfill: Backfill) -> ForecastSerializer:
        return ForecastSerializer(self.context["forecast"]).data  # type: ignore[return-value]  # for the schema


class PlannedSlotSerializer(StrictSerializer):
    """A slot as it stands. `decision` is what the ledger says of it where no run does."""

    slot = serializers.DateTimeField(read_only=True)
    local_time = serializers.CharField(read_only=True)
    interval_end = serializers.DateTimeField(read_only=True, allow_null=True)
    state = serializers.ChoiceField(choices=[(word, word) for word in SLOT_STATES], read_only=True)
    decision = serializers.ChoiceField(choices=Decision.choices, read_only=True, allow_null=True)
    pipeline_run_id = serializers.IntegerField(read_only=True, allow_null=True)
    to_run = serializers.BooleanField(read_only=True)


class PlanSerializer(StrictSerializer):
    """What a backfill would do; nothing was started."""

    counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    to_run = serializers.IntegerField(read_only=True)
    slots = PlannedSlotSerializer(many=True, read_only=True)


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """`PlanSerializer`'s shape, written out: ten thousand slots would take it seconds."""
    return {"counts": plan.counts, "to_run": len(plan.chosen), "slots": [slot_as_dict(each) for each in plan.slots]}


def slot_as_dict(planned: PlannedSlot) -> dict[str, Any]:
    slot = planned.slot
    return {
        "slot": slot.at,
        "local_time": slot.local_time,
        "interval_end": slot.end,
        "state": planned.state,
        "decision": planned.decision or None,
        "pipeline_run_id": planned.run_id,
        "to_run": planned.is_chosen,
    }


def entity_tag(backfill: Backfill) -> str:
    """Return the ETag of what people may change of a backfill; its progress does not change it."""
    said = json.dumps([backfill.pk, *(getattr(backfill, name) for name in CHANGEABLE)])
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
