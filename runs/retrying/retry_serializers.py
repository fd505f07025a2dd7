"""What the API takes to repeat a run or to mark a block of it, and what it says would happen."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from pipelines.differences import Difference, Setting
from pipelines.serializers import Choice, Flag, JSONObject, StrictSerializer, Text
from runs.retrying.marking import LONGEST_REASON, MARKS
from runs.retrying.repeat_plans import Line, Plan
from runs.retrying.version_changes import VersionChange


class RetrySerializer(StrictSerializer):
    """What runs again: from a block on, the `whole` run, or what is `incomplete` (the default); with which version."""

    from_block = Text(required=False, max_length=255)
    incomplete = Flag(required=False)
    whole = Flag(required=False)
    version = Choice(choices=["pinned", "current"], required=False, default="pinned")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        whole, incomplete = attrs.pop("whole", None), attrs.pop("incomplete", None)
        if "from_block" in attrs and (whole is not None or incomplete is not None):
            raise serializers.ValidationError("Give from_block, incomplete or whole, not both.", code="contradiction")
        if whole is not None and incomplete is not None and whole == incomplete:
            raise serializers.ValidationError("Give incomplete or whole, not both.", code="contradiction")
        attrs["incomplete"] = not (whole if whole is not None else incomplete is False)
        return attrs


class MarkSerializer(StrictSerializer):
    """How a block run is to end, and why."""

    status = Choice(choices=list(MARKS))
    reason = Text(min_length=1, max_length=LONGEST_REASON)


class LineSerializer(StrictSerializer):
    """`status` is empty for a block that is new."""

    block_uuid = serializers.CharField(read_only=True)
    status = serializers.CharField(read_only=True)
    why = serializers.CharField(read_only=True)


class SettingSerializer(StrictSerializer):
    key = serializers.CharField(read_only=True)
    old = serializers.JSONField(read_only=True, allow_null=True)
    new = serializers.JSONField(read_only=True, allow_null=True)


class DifferenceSerializer(StrictSerializer):
    """How a block differs between the two versions. `code` is a unified diff; `does_otherwise`: it runs again."""

    block_uuid = serializers.CharField(read_only=True)
    kind = serializers.ChoiceField(choices=["added", "removed", "changed"], read_only=True)
    type = serializers.CharField(read_only=True)
    does_otherwise = serializers.BooleanField(read_only=True)
    code = serializers.CharField(read_only=True)
    settings = SettingSerializer(many=True, read_only=True)
    upstream = JSONObject(read_only=True, allow_null=True)
    conditions = serializers.ListField(child=serializers.CharField(), read_only=True)


class VersionChangeSerializer(StrictSerializer):
    pinned = serializers.CharField(read_only=True)
    current = serializers.CharField(read_only=True)
    variables = SettingSerializer(many=True, read_only=True)
    differences = DifferenceSerializer(many=True, read_only=True)


class RetryPlanSerializer(StrictSerializer):
    """What a retry would do. `refused` says why its limits would not let it; `version` is null for the pinned one."""

    refused = serializers.CharField(read_only=True)
    again = LineSerializer(many=True, read_only=True)
    kept = LineSerializer(many=True, read_only=True)
    removed = LineSerializer(many=True, read_only=True)
    version = VersionChangeSerializer(read_only=True, allow_null=True)


def plan_as_dict(plan: Plan, refused: str) -> dict[str, Any]:
    return {
        "refused": refused,
        **{name: lines_as_dicts(getattr(plan, name)) for name in ("again", "kept", "removed")},
        "version": change_as_dict(plan.change) if plan.change else None,
    }


def lines_as_dicts(lines: list[Line]) -> list[Mapping[str, str]]:
    return [vars(line) for line in lines]


def change_as_dict(change: VersionChange) -> dict[str, Any]:
    return {
        "pinned": change.pinned.content_hash,
        "current": change.current.content_hash,
        "variables": settings_as_dicts(change.variables),
        "differences": [difference_as_dict(each) for each in change.differences],
    }


def difference_as_dict(difference: Difference) -> dict[str, Any]:
    upstream = difference.upstream
    return {
        "block_uuid": difference.block,
        "kind": difference.kind,
        "type": difference.type,
        "does_otherwise": difference.does_otherwise,
        "code": difference.code,
        "settings": settings_as_dicts(difference.settings),
        "upstream": {"old": list(upstream[0]), "new": list(upstream[1])} if upstream else None,
        "conditions": list(difference.conditions),
    }


def settings_as_dicts(settings: Any) -> list[dict[str, Any]]:
    return [Setting._asdict(setting) for setting in settings]
