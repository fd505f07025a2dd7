"""Backfills in the API: planned, started, followed, paused, resumed, cancelled, tried again."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from pipelines import catalog
from pipelines.filters import choice, instant, number, text
from pipelines.refusal import Refusal
from pipelines.viewsets import Resource, is_dry_run, validated
from runs.repeats import make_once
from runs.viewsets import IDEMPOTENCY_KEY
from schedules.backfilling import backfill_endings, backfills
from schedules.backfilling.backfill_progress import forecast, progress
from schedules.backfilling.backfill_serializers import (
    BackfillDetailSerializer,
    BackfillSerializer,
    PlanSerializer,
    entity_tag,
    plan_as_dict,
)
from schedules.models import Backfill, IntervalType
from schedules.viewsets import IF_MATCH

DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="true: answer with the plan and start nothing.")


@extend_schema(tags=["backfills"])
class BackfillViewSet(mixins.ListModelMixin, Resource):
    """Runs for slots of the past."""

    queryset = Backfill.objects.select_related("pipeline", "schedule")
    serializer_class = BackfillSerializer
    filters = {
        "id": number("id"),
        "name": text("name"),
        "pipeline_uuid": text("pipeline__uuid"),
        "pipeline_schedule_id": number("schedule_id"),
        "interval_type": choice("interval_type", IntervalType.values),
        "created_at": instant("created_at"),
    }
    search_fields = ("name", "pipeline__uuid", "created_by")
    orders = ("id", "created_at")
    scopes = {"create": "run", "pause": "run", "resume": "run", "cancel": "run", "retry": "run"}
    action_parameters = {"create": ("dry_run",)}

    page: Sequence[Backfill] = ()

    def paginate_queryset(self, queryset: Any) -> Any:
        self.page = super().paginate_queryset(queryset) or ()
        return self.page

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "progress": progress(self.page)}

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Refusal):
            exc.field = {"schedule": "pipeline_schedule_id", "pipeline": "pipeline_uuid"}.get(exc.field, exc.field)
        return super().handle_exception(exc)

    @extend_schema(responses=BackfillDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """A backfill with how far it is, and when it may be done."""
        return told(self.get_object())

    @extend_schema(
        request=BackfillSerializer,
        responses={200: PlanSerializer, 201: BackfillDetailSerializer},
        parameters=[DRY_RUN, IDEMPOTENCY_KEY],
        operation_id="backfills_create",
    )
    def create(self, request: Request) -> Response:
        """Start a backfill: 201 with it, 200 with the one that this Idempotency-Key started before.

        With `dry_run=true`, answer 200 with every slot and its state, and start nothing.
        """
        fields = validated(BackfillSerializer, request)
        if is_dry_run(request):
            plan = backfills.plan(asked_for(fields), timezone.now())
            return Response(plan_as_dict(plan))
        backfill, is_new = make_once(
            request,
            owner=f"user:{request.user.pk}",
            find=lambda key: Backfill.objects.for_list().filter(idempotency_key=key).first(),
            make=lambda key, digest: start(
                fields, created_by=request.user.get_username(), idempotency_key=key, request_digest=digest
            ),
        )
        where = reverse("api:backfills-detail", [backfill.pk], request=request)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return told(backfill, code=code, headers={"Location": where})

    @extend_schema(parameters=[IF_MATCH], responses=BackfillDetailSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the run limit, the priority or the name of a backfill that is not over; takes effect at once."""
        with transaction.atomic():
            self.queryset = Backfill.objects.select_for_update(of=("self",)).select_related("pipeline", "schedule")
            backfill: Backfill = self.get_object()
            check_tag(request, backfill)
            serializer = BackfillSerializer(backfill, data=request.data, partial=True)
            serializer.is_valid(raise_exception=True)
            backfills.change(backfill, serializer.validated_data)
        return told(backfill)

    @extend_schema(request=None, responses=BackfillDetailSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Start nothing more of it until it is resumed; runs under way go on. 409 unless it is running."""
        backfill = self.get_object()
        backfills.pause(backfill, timezone.now())
        return told(backfill)

    @extend_schema(request=None, responses=BackfillDetailSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on with a paused backfill. 409 if it is not paused."""
        backfill = self.get_object()
        backfills.resume(backfill, timezone.now())
        return told(backfill)

    @extend_schema(request=None, responses={202: BackfillDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Start nothing more of it and stop its runs with their processes. 409 when it is over."""
        backfill = self.get_object()
        backfill_endings.cancel(backfill, timezone.now(), by=request.user.get_username())
        return told(backfill, code=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: BackfillDetailSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Run the slots again that failed or could not be started. 409 when there is none, or it is cancelled."""
        backfill = self.get_object()
        backfills.retry_failed(backfill, timezone.now())
        return told(backfill, code=status.HTTP_202_ACCEPTED)


def asked_for(fields: Mapping[str, Any], **more: Any) -> Backfill:
    """Return the backfill that a body describes, not stored yet; refuse an unknown pipeline or trigger."""
    fields = {**fields, **more}
    pipeline, schedule_id = catalog.find(fields.pop("pipeline")["uuid"]), fields.pop("schedule_id", None)
    schedule = backfills.find_schedule(pipeline, pk=schedule_id) if schedule_id is not None else None
    return backfills.draft(pipeline, schedule, fields)


def start(fields: Mapping[str, Any], **more: Any) -> Backfill:
    backfill = asked_for(fields, **more)
    backfills.start(backfill, timezone.now())
    return backfill


def check_tag(request: Request, backfill: Backfill) -> None:
    expected = request.headers.get("If-Match", "*")
    if expected != "*" and entity_tag(backfill) not in [tag.strip() for tag in expected.split(",")]:
        hint = "Read it again, then send your change with its new ETag."
        raise Refusal("Someone changed this backfill meanwhile.", hint=hint, code="stale")


def told(backfill: Backfill, *, code: int = status.HTTP_200_OK, headers: Mapping[str, str] | None = None) -> Response:
    """The backfill with its progress, its forecast and its ETag."""
    counts = progress([backfill])
    context = {"progress": counts, "forecast": forecast(backfill, counts[backfill.pk], timezone.now())}
    data = BackfillDetailSerializer(backfill, context=context).data
    return Response(data, status=code, headers={"ETag": entity_tag(backfill), **(headers or {})})
