"""The expected load in the API."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pipelines.filters import check_parameters
from pipelines.serializers import StrictSerializer
from schedules.simulating import load_forecast

COME_BACK = 2  # seconds


class HourSerializer(StrictSerializer):
    """One hour: runs that hold a worker, and moments that wait; averages, but for `peak` and `starts`."""

    begin = serializers.DateTimeField(read_only=True)
    average = serializers.FloatField(read_only=True)
    peak = serializers.IntegerField(read_only=True)
    starts = serializers.IntegerField(read_only=True)
    waiting_for_limits = serializers.FloatField(read_only=True)
    waiting_for_workers = serializers.FloatField(read_only=True)


class LoadSerializer(StrictSerializer):
    """What the coming week is expected to bring; spans are in seconds. docs/load.md explains the parts."""

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateTimeField(read_only=True), **super().get_fields()}

    until = serializers.DateTimeField(read_only=True)
    is_cut_short = serializers.BooleanField(read_only=True)
    timezone = serializers.CharField(read_only=True)
    workers = serializers.IntegerField(read_only=True)
    schedules = serializers.IntegerField(read_only=True)
    left_out = serializers.DictField(read_only=True, child=serializers.CharField())
    durations = serializers.DictField(read_only=True)
    decisions = serializers.DictField(read_only=True, child=serializers.IntegerField())
    queueing = serializers.DictField(read_only=True)
    missed = serializers.DictField(read_only=True)
    hours = HourSerializer(many=True, read_only=True)
    collisions = serializers.ListField(read_only=True, child=serializers.DictField())
    quiet_slots = serializers.ListField(read_only=True, child=serializers.DictField())
    advice = serializers.DictField(read_only=True, allow_null=True)
    computed_at = serializers.DateTimeField(read_only=True)
    is_current = serializers.BooleanField(read_only=True)


class LoadView(APIView):
    @extend_schema(
        tags=["load"],
        operation_id="load_retrieve",
        responses={200: LoadSerializer, 202: OpenApiResponse(description="It is being worked out: ask again.")},
        parameters=[
            OpenApiParameter("from", str, description="A moment in ISO 8601; this hour if not given."),
            OpenApiParameter(
                "until", str, description="A moment in ISO 8601, at most 31 days later; a week if not given."
            ),
            OpenApiParameter("timezone", str, description="Of the times of the day; UTC if not given."),
            OpenApiParameter("workers", int, description="Runs at a time; those of the workers alive if not given."),
            OpenApiParameter("quantile", float, description="Of past durations; 0.5 if not given."),
            OpenApiParameter("minutes", int, description="Length of the quiet times, 1 to 1440; 30 if not given."),
        ],
    )
    def get(self, request: Request) -> Response:
        """The load that the active schedules are expected to bring. 202 with Retry-After while it is worked out."""
        check_parameters(request, load_forecast.PARAMETERS)
        now = timezone.now()
        found = load_forecast.answer(load_forecast.read_question(request.query_params.dict(), now), now)
        if found.told is None:
            return Response({"detail": "Being worked out."}, status=202, headers={"Retry-After": str(COME_BACK)})
        return Response({**found.told, "computed_at": found.at, "is_current": found.is_current})
