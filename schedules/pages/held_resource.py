"""Held moments in the API: released, dropped, one or many, counted first."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.refusal import Refusal
from pipelines.serializers import Choice, Flag, Instant, StrictSerializer, Text, Whole
from pipelines.viewsets import Resource, validated
from schedules import holding
from schedules.models import Decision, Occurrence
from schedules.serializers import OccurrenceSerializer

VERBS = {"release": holding.release, "drop": holding.drop}


class WhySerializer(StrictSerializer):
    """Why it was decided so, for the ledger."""

    reason = Text(required=False, allow_blank=True, max_length=holding.LONGEST_REASON)


class HeldFilterSerializer(StrictSerializer):
    """Which held moments; {} are all of them."""

    pipeline_schedule_id = Whole(required=False, min_value=1)
    pipeline_uuid = Text(required=False, max_length=200)
    scheduled_for__gte = Instant(required=False)
    scheduled_for__lt = Instant(required=False)
    q = Text(required=False, allow_blank=True, max_length=200)


class BulkSerializer(WhySerializer):
    """What to do with which held moments: either `ids` or a `filter`. With `dry_run` they are only counted."""

    verb = Choice(choices=list(VERBS))
    ids = serializers.ListField(child=Whole(min_value=1), required=False, max_length=holding.MOST_IDS)
    filter = HeldFilterSerializer(required=False)
    dry_run = Flag(required=False)


class CountSerializer(StrictSerializer):
    count = Whole(read_only=True)
    dry_run = Flag(read_only=True)


class HeldActions(Resource):
    """What people may decide about a moment."""

    scopes = {"release": "run", "drop": "run", "bulk": "run"}

    @extend_schema(request=WhySerializer, responses=OccurrenceSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Let a held moment start as soon as limits allow. 409 when it is not held."""
        return self.decide(request, "release")

    @extend_schema(request=WhySerializer, responses=OccurrenceSerializer)
    @action(detail=True, methods=["post"])
    def drop(self, request: Request, pk: str) -> Response:
        """Decide that a held moment will not be run. 409 when it is not held."""
        return self.decide(request, "drop")

    def decide(self, request: Request, verb: str) -> Response:
        occurrence, why = self.get_object(), validated(WhySerializer, request).get("reason", "")
        found = Occurrence.objects.filter(pk=occurrence.pk)
        if not VERBS[verb](found, timezone.now(), request.user.get_username(), why):
            raise Refusal(
                f"Occurrence {occurrence.pk} is not held: it is {Decision(occurrence.decision).label.lower()}.",
                code="conflict",
            )
        return Response(OccurrenceSerializer(found.get()).data)

    @extend_schema(request=BulkSerializer, responses=CountSerializer, filters=False)
    @action(detail=False, methods=["post"], pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Release or drop many held moments; those that are not held any more are left alone."""
        wanted = validated(BulkSerializer, request)
        found, is_dry = of_bulk(wanted), wanted.get("dry_run", False)
        act, why = VERBS[wanted["verb"]], wanted.get("reason", "")
        count = found.count() if is_dry else act(found, timezone.now(), request.user.get_username(), why)
        return Response({"count": count, "dry_run": is_dry})


def of_bulk(wanted: dict[str, Any]) -> QuerySet[Occurrence]:
    if ("ids" in wanted) == ("filter" in wanted):
        raise Refusal("Send either ids or a filter.", field="ids", hint="A filter {} stands for all that is held.")
    if "ids" in wanted:
        return holding.chosen(wanted["ids"])
    names = {
        "q": "text",
        "pipeline_schedule_id": "schedule_id",
        "scheduled_for__gte": "since",
        "scheduled_for__lt": "before",
    }
    return holding.matching(**{names.get(name, name): value for name, value in wanted["filter"].items()})
