"""Retention in the API: the rules of each pipeline, and what they would let go now. Nothing is removed by asking."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.filters import text
from pipelines.models import Pipeline
from pipelines.serializers import StrictSerializer
from pipelines.viewsets import Resource
from runs.retaining import retention, retention_preview


class RuleSerializer(StrictSerializer):
    """What goes: older than `age_hours`, or beyond the newest `count`; neither is kept for ever."""

    age_hours = serializers.IntegerField(read_only=True, allow_null=True)
    count = serializers.IntegerField(read_only=True, allow_null=True)
    in_words = serializers.CharField(read_only=True)


class GoingSerializer(StrictSerializer):
    """Runs that would go, or lose logs or outputs; what they hold on disk, null where that is not cheap to know."""

    runs = serializers.IntegerField(read_only=True)
    files = serializers.IntegerField(read_only=True, allow_null=True)
    bytes = serializers.IntegerField(read_only=True, allow_null=True)


class RulesSerializer(StrictSerializer):
    runs = RuleSerializer(read_only=True)
    logs = RuleSerializer(read_only=True)
    outputs = RuleSerializer(read_only=True)


class WouldGoSerializer(StrictSerializer):
    runs = GoingSerializer(read_only=True)
    logs = GoingSerializer(read_only=True)
    outputs = GoingSerializer(read_only=True)


class RetentionSerializer(StrictSerializer):
    """A pipeline that has rules. Files of runs that would go are counted with the runs."""

    pipeline_uuid = serializers.CharField(read_only=True)
    rules = RulesSerializer(read_only=True)
    would_go = WouldGoSerializer(read_only=True)


@extend_schema(tags=["retention"])
class RetentionViewSet(mixins.ListModelMixin, Resource):
    queryset = Pipeline.objects.filter(current_version__settings__has_key="retention")
    serializer_class = RetentionSerializer
    filters = {"pipeline_uuid": text("uuid")}
    orders = ("uuid", "id")
    default_order = "uuid"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Pipelines with rules about how long things are kept, and what would go now. Without rules nothing goes."""
        pipelines = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        policies = retention.policies([pipeline.pk for pipeline in pipelines])
        by_id = {each.policy.pipeline_id: each for each in retention_preview.preview(policies, timezone.now())}
        found = [by_id[pipeline.pk].as_dict() for pipeline in pipelines if pipeline.pk in by_id]
        return self.get_paginated_response(found)
