"""How an explanation looks in the API."""

from rest_framework import serializers

from pipelines.serializers import StrictSerializer


class BlockerSerializer(StrictSerializer):
    """What stands in the way. `id` is a number, or a uuid for blocks and pipelines; `url` its page."""

    kind = serializers.CharField(read_only=True)
    id = serializers.CharField(read_only=True)
    label = serializers.CharField(read_only=True)  # type: ignore[assignment]
    url = serializers.CharField(read_only=True)


class CheckSerializer(StrictSerializer):
    """One condition of a start, in order. `passed` is null where it is not what decides."""

    name = serializers.CharField(read_only=True)
    passed = serializers.BooleanField(read_only=True, allow_null=True)
    detail = serializers.CharField(read_only=True)
    blockers = BlockerSerializer(many=True, read_only=True)
    clears_at = serializers.DateTimeField(read_only=True, allow_null=True)


class ExplanationSerializer(StrictSerializer):
    """Why something is not running: in one sentence, and condition by condition."""

    summary = serializers.CharField(read_only=True)
    is_running = serializers.BooleanField(read_only=True)
    checks = CheckSerializer(many=True, read_only=True)
