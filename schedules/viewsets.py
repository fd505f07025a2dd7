"""Triggers and occurrences in the API: write down, pause, resume, preview, fire."""

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines import catalog
from pipelines.filters import choice, instant, number, read_number, text
from pipelines.refusal import Refusal
from pipelines.serializers import read_instant
from pipelines.viewsets import Resource, validated
from runs.models import Origin
from runs.reasons.why_serializers import ExplanationSerializer
from runs.serializers import PipelineRunSerializer, StartSerializer
from runs.viewsets import IDEMPOTENCY_KEY, RunList, start
from schedules import scheduler, triggers
from schedules.mage_trigger import check_active
from schedules.models import Decision, Occurrence, PipelineSchedule, ScheduleType, Source
from schedules.pages import plans
from schedules.pages.held_resource import HeldActions
from schedules.pages.pauses import check_until
from schedules.reasons.drift import cadence
from schedules.reasons.drift_serializers import CadenceSerializer, told
from schedules.reasons.why import why_occurrence, why_schedule
from schedules.serializers import (
    NewScheduleSerializer,
    OccurrenceSerializer,
    PauseSerializer,
    PipelineScheduleSerializer,
    PreviewInstantSerializer,
    PreviewSerializer,
    SchedulePlanSerializer,
    entity_tag,
)
from schedules.trigger_checks import check, check_name

MOST_PREVIEWED = 100
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag it was read with: 412 if it changed meanwhile."
)


@extend_schema(tags=["pipeline_schedules"])
class PipelineScheduleViewSet(mixins.ListModelMixin, Resource):
    queryset = PipelineSchedule.objects.select_related("pipeline")
    serializer_class = PipelineScheduleSerializer
    filters = {
        "id": number("id"),
        "name": text("name"),
        "pipeline_uuid": text("pipeline__uuid"),
        "schedule_type": choice("schedule_type", ScheduleType.values),
        "status": choice("is_active", {"active": True, "inactive": False}),
        "source": choice("source", Source.values),
        "next_pipeline_run_date": instant("next_due_at"),
        "created_at": instant("created_at"),
    }
    search_fields = ("name", "description", "pipeline__uuid", "pipeline__name")
    orders = ("id", "name", "created_at")
    scopes = {"preview": "read", "plan": "read", "plan_new": "read", "pause": "run", "resume": "run"}
    action_parameters = {"preview": ("count", "from")}

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Refusal) and exc.field == "pipeline":
            exc.field = "pipeline_uuid"  # as it is called here
        return super().handle_exception(exc)

    def retrieve(self, request: Request, pk: str) -> Response:
        return tagged(self.get_object())

    @extend_schema(responses={201: NewScheduleSerializer})
    def create(self, request: Request) -> Response:
        """Write down a trigger; inactive unless `status` says otherwise. An API trigger's token is shown this once."""
        fields = validated(PipelineScheduleSerializer, request)
        uuid, is_active = fields.pop("pipeline")["uuid"], fields.pop("status", "inactive") == "active"
        schedule, token = triggers.create(uuid, fields, is_active=is_active, source=Source.API, moment=timezone.now())
        return tagged(schedule, code=status.HTTP_201_CREATED, token=token)

    @extend_schema(parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is sent; refuse the rest as a whole if any of it is wrong."""
        with transaction.atomic():
            schedule = self.locked()
            serializer = PipelineScheduleSerializer(schedule, data=request.data, partial=True)
            serializer.is_valid(raise_exception=True)
            fields = serializer.validated_data
            is_active = fields.pop("status") == "active" if "status" in fields else None
            triggers.change(schedule, fields, is_active=is_active, moment=timezone.now())
        return tagged(schedule)

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a trigger and its occurrences; its runs stay."""
        with transaction.atomic():
            triggers.delete(self.locked())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=PauseSerializer, responses=PipelineScheduleSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Switch off, for good or `until` a moment.

        For good means in `triggers.yaml` too; where that cannot be written, until the entry there changes.
        """
        schedule, moment = self.get_object(), timezone.now()
        until = check_until(validated(PauseSerializer, request).get("until"), moment)
        triggers.pause(schedule, moment, until)
        return tagged(schedule)

    @extend_schema(request=None, responses=PipelineScheduleSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Switch on from now. In `triggers.yaml` too; where that cannot be written, until the entry there changes."""
        schedule = self.get_object()
        triggers.resume(schedule, timezone.now())
        return tagged(schedule)

    @extend_schema(request=None, responses=PipelineScheduleSerializer)
    @action(detail=True, methods=["post"])
    def save_in_code(self, request: Request, pk: str) -> Response:
        """Write a trigger that was made by hand into its pipeline's `triggers.yaml`, without its token."""
        with transaction.atomic():
            schedule = self.locked()
            triggers.save_in_code(schedule)
        return tagged(schedule)

    @extend_schema(request=None, responses=NewScheduleSerializer)
    @action(detail=True, methods=["post"])
    def rotate_token(self, request: Request, pk: str) -> Response:
        """Give an API trigger a new token, shown this once; the old one ends at once."""
        schedule = self.get_object()
        if schedule.schedule_type != ScheduleType.API:
            raise Refusal(f"A trigger of type {schedule.schedule_type} has no token.", code="conflict")
        return tagged(schedule, token=triggers.rotate_token(schedule))

    @extend_schema(
        request=None,
        responses=PreviewSerializer,
        parameters=[
            OpenApiParameter("count", int, description=f"1 to {MOST_PREVIEWED}; 10 if not given."),
            OpenApiParameter("from", str, description="A moment in ISO 8601; now if not given."),
        ],
        filters=False,
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def preview(self, request: Request, pk: str) -> Response:
        """The next moments, with what clock changes do to them."""
        schedule, query = self.get_object(), request.query_params
        if schedule.schedule_type != ScheduleType.TIME:
            raise Refusal(f"A trigger of type {schedule.schedule_type} has no timetable.", code="conflict")
        count = read_number(query.get("count", "10"), "count", low=1, high=MOST_PREVIEWED)
        start = read_instant(query["from"].replace(" ", "+"), field="from") if "from" in query else timezone.now()
        timetable = schedule.timetable()
        upcoming = timetable.upcoming(start, count)
        return Response(
            {
                "expression": schedule.schedule_interval,
                "timezone": schedule.timezone,
                "description": timetable.describe(),
                "next": PreviewInstantSerializer(upcoming, many=True).data,
            }
        )

    @extend_schema(request=PipelineScheduleSerializer(partial=True), responses=SchedulePlanSerializer)
    @action(detail=True, methods=["post"])
    def plan(self, request: Request, pk: str) -> Response:
        """What a PATCH with this body would change; nothing does. Refuses what the PATCH would refuse."""
        schedule = self.get_object()
        serializer = PipelineScheduleSerializer(schedule, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        return Response(SchedulePlanSerializer(planned(schedule, dict(serializer.validated_data))).data)

    @extend_schema(
        operation_id="pipeline_schedules_plan_new", request=PipelineScheduleSerializer, responses=SchedulePlanSerializer
    )
    @action(detail=False, methods=["post"], url_path="plan", pagination_class=None)
    def plan_new(self, request: Request) -> Response:
        """What writing down this trigger would do; nothing is kept."""
        fields = validated(PipelineScheduleSerializer, request)
        pipeline = catalog.find(fields.pop("pipeline")["uuid"])
        return Response(SchedulePlanSerializer(planned(None, {**fields, "pipeline": pipeline})).data)

    @extend_schema(responses=ExplanationSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def why(self, request: Request, pk: str) -> Response:
        """Why the trigger is not running: what its next start has to pass, as if it came now."""
        return Response(ExplanationSerializer(why_schedule(self.get_object(), timezone.now())).data)

    @extend_schema(responses=CadenceSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def drift(self, request: Request, pk: str) -> Response:
        """How often the trigger really runs, beside how often it says, and what makes the difference."""
        return Response(CadenceSerializer(told(cadence(self.get_object()))).data)

    def locked(self) -> PipelineSchedule:
        """Return the trigger, its row held, if it still is what the caller's If-Match says."""
        queryset = PipelineSchedule.objects.select_for_update(of=("self",), no_key=True).select_related("pipeline")
        self.queryset = queryset
        schedule: PipelineSchedule = self.get_object()
        expected = self.request.headers.get("If-Match", "*")
        if expected != "*" and entity_tag(schedule) not in [tag.strip() for tag in expected.split(",")]:
            raise Refusal(
                f"Someone changed this trigger at {schedule.updated_at:%H:%M} UTC.",
                hint="Read it again, then send your change with its new ETag.",
                code="stale",
            )
        return schedule


@extend_schema(tags=["pipeline_schedules"])
class RunsOfScheduleViewSet(RunList):
    """The runs of one trigger; a POST fires it now."""

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(trigger_id=find(self.kwargs["schedule_id"]).pk)

    @extend_schema(
        request=StartSerializer,
        responses={200: PipelineRunSerializer, 201: PipelineRunSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def create(self, request: Request, schedule_id: str) -> Response:
        """Start a run with the trigger's settings. 409 while it is inactive."""
        schedule = find(schedule_id)
        check_active(schedule)
        return start(request, partial(scheduler.start_now, schedule, origin=Origin.API))


@extend_schema(tags=["occurrences"])
class OccurrenceViewSet(HeldActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Every moment a trigger was due, with the decision and the reason."""

    queryset = Occurrence.objects.all()
    serializer_class = OccurrenceSerializer
    filters = {
        "id": number("id"),
        "pipeline_schedule_id": number("schedule_id"),
        "pipeline_uuid": text("pipeline__uuid"),
        "pipeline_run_id": number("pipeline_run_id"),
        "backfill_id": number("backfill_id"),
        "decision": choice("decision", Decision.values),
        "scheduled_for": instant("scheduled_for"),
    }
    search_fields = ("reason", "schedule__name")
    searches_newest = 20_000
    orders = ("id", "scheduled_for")

    @extend_schema(responses=ExplanationSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def why(self, request: Request, pk: str) -> Response:
        """What became of the moment and, while it waits or its run goes on, what stands in its way now."""
        self.queryset = Occurrence.objects.with_all()
        return Response(ExplanationSerializer(why_occurrence(self.get_object(), timezone.now())).data)


def find(schedule_id: str) -> PipelineSchedule:
    schedule = PipelineSchedule.objects.ready_to_start().filter(pk=int(schedule_id)).first()
    if schedule is None:
        raise Refusal(f"There is no trigger {schedule_id}.", code="unknown_schedule")
    return schedule


def planned(schedule: PipelineSchedule | None, fields: dict[str, Any]) -> plans.Plan:
    wanted = fields.pop("status", None if schedule else "inactive")
    draft = plans.draft(schedule, fields, is_active=None if wanted is None else wanted == "active")
    if "name" in fields:
        check_name(draft.name)
    check(draft)
    return plans.plan(schedule, draft, timezone.now())


def tagged(schedule: PipelineSchedule, *, code: int = status.HTTP_200_OK, token: str = "") -> Response:
    """The trigger with its ETag, and with its token if that was just made."""
    data: dict[str, Any] = dict(PipelineScheduleSerializer(schedule).data)
    if token:
        data["token"] = token
    return Response(data, status=code, headers={"ETag": entity_tag(schedule)})
