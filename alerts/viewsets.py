"""Incidents in the API: what is wrong, and what people do about it."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from alerts import incidents, standing
from alerts.models import Incident, Severity
from alerts.pages.acting import person
from alerts.serializers import (
    AssignSerializer,
    CloseSerializer,
    IncidentDetailSerializer,
    IncidentSerializer,
    NoteSerializer,
    RetriedSerializer,
    SnoozeSerializer,
)
from pipelines.filters import choice, flag, instant, number, text
from pipelines.viewsets import Resource, is_dry_run, validated

DRY_RUN = OpenApiParameter("dry_run", str, enum=["true", "false"], description="Say how many, and begin none.")


def by_state(states: Iterable[str]) -> OpenApiParameter:
    """Describe the parameter that narrows a list by what timestamps tell."""
    return OpenApiParameter("state", str, enum=list(states), description="As of now; every state if not given.")


class NarrowedByState(Resource):
    """A list that takes `state`, which is told by timestamps and has no column."""

    states: ClassVar[Iterable[str]]

    def query_parameters(self) -> list[str]:
        return [*super().query_parameters(), *(["state"] if self.action == "list" else [])]

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = super().filter_queryset(queryset)
        if self.action != "list" or "state" not in self.request.query_params:
            return found
        state = choice("", self.states).read(self.request.query_params["state"], "state")
        return self.in_state(found, state)

    def in_state(self, found: Any, state: str) -> QuerySet[Any]:
        raise NotImplementedError


@extend_schema_view(list=extend_schema(parameters=[by_state(standing.STATES[:-1])]))
@extend_schema(tags=["incidents"])
class IncidentViewSet(NarrowedByState, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """What is wrong, since when, and who looks after it."""

    queryset = Incident.objects.select_related("pipeline", "assignee").alias(is_member=Q(gathered_in__isnull=False))
    states = standing.STATES[:-1]
    filters = {
        "id": number("id"),
        "severity": choice("severity", Severity.values),
        "pipeline_uuid": text("pipeline__uuid"),
        "rule_id": number("rule_id"),
        "run_id": number("run_id"),
        "assignee": text("assignee__username"),
        "gathered_in_id": number("gathered_in_id"),
        "is_member": flag("is_member"),
        "opened_at": instant("opened_at"),
        "last_seen_at": instant("last_seen_at"),
        "closed_at": instant("closed_at"),
    }
    search_fields = ("title", "pipeline__uuid")
    orders = ("id", "opened_at", "last_seen_at")
    scopes = dict.fromkeys(("acknowledge", "assign", "snooze", "wake", "note", "close", "retry"), "run")
    action_parameters = {"retry": ("dry_run",)}

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return IncidentDetailSerializer if self.action == "retrieve" else IncidentSerializer

    def in_state(self, found: Any, state: str) -> QuerySet[Any]:
        return standing.in_state(found, state, timezone.now())

    def act(self, request: Request, do: Callable[..., Incident], *given: Any) -> Response:
        """Do something to the incident and tell how it stands then; refuse if it is closed."""
        done = do(self.get_object(), timezone.now(), request.user.get_username(), *given)
        return Response(IncidentSerializer(done).data)

    @extend_schema(request=None, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Look after it: no reminders come any more."""
        return self.act(request, incidents.acknowledge)

    @extend_schema(request=AssignSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Give it to a user, or with null to nobody."""
        return self.act(request, incidents.assign, person(validated(AssignSerializer, request)["user"] or ""))

    @extend_schema(request=SnoozeSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: str) -> Response:
        """Put it aside until then; nothing is told of it meanwhile."""
        given = validated(SnoozeSerializer, request)
        until: datetime = given["until"] if "until" in given else timezone.now() + given["for"]
        return self.act(request, incidents.snooze, until)

    @extend_schema(request=None, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def wake(self, request: Request, pk: str) -> Response:
        """End its snooze."""
        return self.act(request, incidents.wake)

    @extend_schema(request=NoteSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def note(self, request: Request, pk: str) -> Response:
        """Write something into its history."""
        return self.act(request, incidents.note, validated(NoteSerializer, request)["text"])

    @extend_schema(request=CloseSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        """Close it by hand; if the trouble is seen again, a new one opens."""
        return self.act(request, incidents.close, validated(CloseSerializer, request).get("reason", ""))

    @extend_schema(request=None, responses=RetriedSerializer, parameters=[DRY_RUN])
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Run its failed runs again (of its members, if it stands for many) that are still failed, at most 200."""
        incident: Incident = self.get_object()
        if is_dry_run(request):
            count = min(incidents.failed_runs(incident).count(), incidents.RETRIED_AT_ONCE)
            return Response({"count": count, "dry_run": True})
        begun = incidents.retry_all(incident, timezone.now(), request.user.get_username())
        return Response({"count": begun, "dry_run": False})
