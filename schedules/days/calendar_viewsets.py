"""Calendars and maintenance windows in the API."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.filters import choice, instant, number, text
from pipelines.refusal import Refusal
from pipelines.viewsets import Resource, validated
from schedules.days import calendar_changes, window_changes
from schedules.days.calendar_serializers import (
    CalendarSerializer,
    DaysSerializer,
    MaintenanceWindowSerializer,
    entity_tag,
)
from schedules.days.calendars import Calendar, CalendarKind
from schedules.days.maintenance import Effect, MaintenanceWindow, Scope
from schedules.viewsets import IF_MATCH

MOST_DAYS = 1100
YEAR = timedelta(days=365)


class Written(mixins.ListModelMixin, Resource):
    """Reading, and changing what still is what the caller's If-Match says."""

    what: ClassVar[str]

    def retrieve(self, request: Request, pk: str) -> Response:
        return self.told(self.get_object())

    def told(self, row: Model, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer_class()(row).data, status=code, headers={"ETag": self.tag(row)})

    def tag(self, row: Model) -> str:
        """Return the ETag of what people decided about the row."""
        return entity_tag(row, self.get_serializer_class()(row).data)

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        return queryset.select_for_update() if self.action in ("partial_update", "destroy") else queryset

    def locked(self) -> Any:
        row = self.get_object()
        expected = self.request.headers.get("If-Match", "*")
        if expected != "*" and self.tag(row) not in [each.strip() for each in expected.split(",")]:
            when = f" at {row.updated_at:%H:%M} UTC" if hasattr(row, "updated_at") else ""
            raise Refusal(
                f"Someone changed this {self.what}{when}.",
                hint="Read it again, then send your change with its new ETag.",
                code="stale",
            )
        return row

    def changed(self, request: Request, change: Callable[[Any, dict[str, Any]], None]) -> Response:
        with transaction.atomic():
            row = self.locked()
            serializer = self.get_serializer_class()(row, data=request.data, partial=True)
            serializer.is_valid(raise_exception=True)
            change(row, serializer.validated_data)
        return self.told(row)


@extend_schema(tags=["calendars"])
class CalendarViewSet(Written):
    """Named sets of days, combined in the setting `calendar` of triggers."""

    what = "calendar"
    queryset = Calendar.objects.all()
    serializer_class = CalendarSerializer
    filters = {
        "id": number("id"),
        "name": text("name"),
        "kind": choice("kind", CalendarKind.values),
        "created_at": instant("created_at"),
    }
    search_fields = ("name", "description")
    orders = ("id", "name")
    scopes = {"days": "read"}
    action_parameters = {"days": ("from", "until")}

    def create(self, request: Request) -> Response:
        return self.told(calendar_changes.create(validated(CalendarSerializer, request), timezone.now()), 201)

    @extend_schema(parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is sent; active triggers that use it are planned anew from now."""
        moment = timezone.now()
        return self.changed(request, lambda row, fields: calendar_changes.change(row, fields, moment))

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a calendar. 409 while triggers use it."""
        with transaction.atomic():
            calendar_changes.delete(self.locked())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        request=None,
        responses=DaysSerializer,
        parameters=[
            OpenApiParameter("from", str, description="A date such as 2026-12-24; today (UTC) if not given."),
            OpenApiParameter(
                "until", str, description=f"A date, included; within {MOST_DAYS} days; a year later if not given."
            ),
        ],
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def days(self, request: Request, pk: str) -> Response:
        """The days of a calendar, with their names."""
        named, query = self.get_object().days(), request.query_params
        first = read_date(query["from"], "from") if "from" in query else timezone.now().date()
        last = read_date(query["until"], "until") if "until" in query else first + YEAR
        if not 0 <= (last - first).days < MOST_DAYS:
            raise Refusal(
                f"until is not within {MOST_DAYS} days from {first}.",
                field="until",
                hint="Ask for a shorter time, from the first day to the last.",
                code="invalid_range",
            )
        span = (first + timedelta(days=count) for count in range((last - first).days + 1))
        return Response({"days": [{"date": day, "name": name} for day in span if (name := named(day)) is not None]})


@extend_schema(tags=["maintenance_windows"])
class MaintenanceWindowViewSet(Written):
    """Times in which starts are held, alerts muted, or both."""

    what = "window"
    queryset = MaintenanceWindow.objects.all()
    serializer_class = MaintenanceWindowSerializer
    filters = {
        "id": number("id"),
        "name": text("name"),
        "scope": choice("scope", Scope.values),
        "effect": choice("effect", Effect.values),
        "is_active": choice("is_active", {"true": True, "false": False}),
        "starts_at": instant("starts_at"),
        "ends_at": instant("ends_at"),
    }
    search_fields = ("name", "reason", "value")
    orders = ("id", "name")

    def create(self, request: Request) -> Response:
        return self.told(window_changes.create(validated(MaintenanceWindowSerializer, request)), 201)

    @extend_schema(parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is sent; takes effect at once."""
        return self.changed(request, window_changes.change)

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a window; what it holds may start."""
        with transaction.atomic():
            window_changes.delete(self.locked())
        return Response(status=status.HTTP_204_NO_CONTENT)


def read_date(typed: str, field: str) -> date:
    try:
        found = date.fromisoformat(typed)
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year <= 2200:
        raise Refusal(
            f"{typed[:80]!r} is not a date of the years 1970 to 2200.",
            field=field,
            hint="For example 2026-12-24.",
            code="invalid_date",
        )
    return found
