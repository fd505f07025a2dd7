"""Alert rules in the API: written, changed, deleted, checked as on their pages."""

from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import rule_changes
from alerts.models import AlertRule, Kind, Severity
from alerts.serializers import AlertRuleSerializer, tag_of_rule
from pipelines.filters import choice, flag, number, text
from pipelines.refusal import Refusal
from pipelines.viewsets import validated
from schedules.days.calendar_viewsets import Written
from schedules.viewsets import IF_MATCH


@extend_schema(tags=["alert_rules"])
class AlertRuleViewSet(Written):
    """What people want to be told of."""

    what = "rule"
    queryset = AlertRule.objects.prefetch_related("channels")
    serializer_class = AlertRuleSerializer
    filters = {
        "id": number("id"),
        "name": text("name"),
        "kind": choice("kind", Kind.values),
        "severity": choice("severity", Severity.values),
        "is_active": flag("is_active"),
        "pipeline_uuid": text("pipeline__uuid"),
    }
    search_fields = ("name",)
    orders = ("id", "name")

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Refusal) and exc.field == "pipeline":
            exc.field = "pipeline_uuid"  # as it is called here
        return super().handle_exception(exc)

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        return queryset.select_related("pipeline") if self.action in ("list", "retrieve") else queryset

    def tag(self, row: Model) -> str:
        assert isinstance(row, AlertRule)
        return tag_of_rule(row)

    def create(self, request: Request) -> Response:
        """Write down a rule; watched at once unless `is_active` is false."""
        fields = validated(AlertRuleSerializer, request)
        rule = rule_changes.create(fields, request.user.get_username(), timezone.now())
        return self.told(rule, status.HTTP_201_CREATED)

    @extend_schema(parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is sent; `settings` and `channels` are replaced as a whole."""
        return self.changed(request, lambda rule, fields: rule_changes.change(rule, fields, timezone.now()))

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a rule with its breaches; its incidents stay."""
        with transaction.atomic():
            rule_changes.delete(self.locked())
        return Response(status=status.HTTP_204_NO_CONTENT)
