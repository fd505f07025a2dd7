"""Runs and block runs in the API: read, start, cancel, retry, logs, outputs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import BaseSerializer
from rest_framework.utils.urls import replace_query_param

from pipelines import catalog
from pipelines.filters import choice, flag, instant, number, read_number, text
from pipelines.refusal import Refusal
from pipelines.viewsets import Resource, validated
from runs import lifecycle, logs
from runs.block_actions import BlockActions
from runs.block_bounds import bounded_blocks
from runs.bulk.actions import BulkActions
from runs.callback_actions import CallbackActions
from runs.comparing import compare_resource
from runs.comparing.compare_resource import CompareActions
from runs.models import BlockRun, Origin, PipelineRun, Role
from runs.outputs import output_actions
from runs.outputs.output_actions import OutputActions
from runs.reasons.why import why
from runs.reasons.why_serializers import ExplanationSerializer
from runs.repeats import start_once
from runs.retrying import retry_actions
from runs.retrying.retry_actions import RetryActions
from runs.run_log import read_run_log
from runs.serializers import (
    BlockLogSerializer,
    BlockRunDetailSerializer,
    BlockRunSerializer,
    CancelSerializer,
    PipelineRunDetailSerializer,
    PipelineRunSerializer,
    RunLogSerializer,
    StartSerializer,
    log_line,
)
from runs.states import BlockStatus, RunStatus

LOG_BYTES = 64 * 1024
MOST_LOG_BYTES = 1024 * 1024
LARGEST_LOG = 10**15  # bytes: what a block that never ends may have said in years
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key gives the same run. 1 to 255 characters."
)
LOG_PARAMETERS = [
    OpenApiParameter("limit", int, description=f"Bytes of a page: 1 to {MOST_LOG_BYTES}."),
    OpenApiParameter("as", str, enum=["json", "text"], description="`text` answers text/plain, as Accept would."),
]


class RunList(mixins.ListModelMixin, Resource):
    """What lists of runs have in common."""

    queryset = PipelineRun.objects.select_related("pipeline")
    serializer_class = PipelineRunSerializer
    filters = {
        "id": number("id"),
        "pipeline_uuid": text("pipeline__uuid"),
        "pipeline_schedule_id": number("trigger_id"),
        "status": choice("status", RunStatus),
        "origin": choice("origin", Origin.values),
        "is_kept": flag("is_kept"),
        "passed_sla": flag("passed_sla"),
        "parent_block_run_id": number("parent_block_run_id"),
        "execution_date": instant("execution_date"),
        "created_at": instant("created_at"),
        "started_at": instant("started_at"),
        "completed_at": instant("completed_at"),
    }
    search_fields = ("pipeline__uuid", "pipeline__name", "trigger_name", "reason")
    searches_newest = 20_000
    orders = ("id", "created_at", "execution_date")
    scopes = {"create": "run", "cancel": "run"}


@extend_schema(tags=["pipelines"])
class RunsOfPipelineViewSet(RunList):
    """The runs of one pipeline; a POST starts one."""

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(pipeline=catalog.find(self.kwargs["pipeline_uuid"]))

    @extend_schema(
        request=StartSerializer,
        responses={200: PipelineRunSerializer, 201: PipelineRunSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def create(self, request: Request, pipeline_uuid: str) -> Response:
        """Start a run by hand. The answer means that it is kept and will happen."""
        pipeline = catalog.as_saved(settings.PROJECT_DIR, catalog.find(pipeline_uuid))
        return start(request, partial(lifecycle.create_run, pipeline, origin=Origin.MANUAL))


@extend_schema(tags=["pipeline_runs"])
class PipelineRunViewSet(mixins.RetrieveModelMixin, RetryActions, BulkActions, CompareActions, RunList):
    action_parameters = {"logs": ("cursor", "limit", "as"), **retry_actions.PARAMETERS, **compare_resource.PARAMETERS}
    scopes = {**RunList.scopes, **retry_actions.SCOPES, "bulk": "run"}

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        if self.action == "retrieve":
            in_order = BlockRun.objects.for_page().defer("config", "output", "fanout").exclude(role=Role.MEMBER)
            queryset = queryset.select_related("version").prefetch_related(Prefetch("block_runs", in_order))
        return queryset

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return PipelineRunDetailSerializer if self.action == "retrieve" else PipelineRunSerializer

    @extend_schema(request=CancelSerializer, responses={202: PipelineRunSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a run and the processes of its blocks. 409 when it is finished."""
        run, by = self.get_object(), request.user.get_username()
        reason = validated(CancelSerializer, request).get("reason") or f"cancelled by {by}"
        if not lifecycle.cancel(run, moment=timezone.now(), reason=reason, by=by):
            raise conflict(self.get_object())
        return Response(PipelineRunSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses=ExplanationSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def why(self, request: Request, pk: str) -> Response:
        """Why the run is not running, or which of its blocks is not: every condition, and what is in the way."""
        return Response(ExplanationSerializer(why(self.get_object(), timezone.now())).data)

    @extend_schema(
        responses={(200, "application/json"): RunLogSerializer, (200, "text/plain"): OpenApiTypes.STR},
        parameters=[
            OpenApiParameter("cursor", str, description="Where the page starts: from `next`."),
            *LOG_PARAMETERS,
        ],
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def logs(self, request: Request, pk: str) -> HttpResponse:
        """The log of the whole run, block after block in topological order, each block's latest attempt."""
        page = read_run_log(self.get_object(), cursor=request.query_params.get("cursor", ""), limit=log_limit(request))
        following = None
        if page.cursor is not None:
            following = replace_query_param(request.build_absolute_uri(), "cursor", page.cursor)
        if wants_text(request):
            return plain(page.lines, following)
        lines = [
            {"block_uuid": line["block"], "block_run_id": line["block_run"], **log_line(line)} for line in page.lines
        ]
        return Response({"results": lines, "next": following})

    def get_renderers(self) -> list[BaseRenderer]:
        return log_renderers(self)


@extend_schema(tags=["block_runs"])
class BlockRunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, BlockActions, CallbackActions, OutputActions):
    queryset = BlockRun.objects.all()
    filters = {
        "id": number("id"),
        "pipeline_run_id": number("pipeline_run_id"),
        "pipeline_uuid": text("pipeline_run__pipeline__uuid"),
        "block_uuid": text("block_uuid"),
        "status": choice("status", BlockStatus),
        "role": choice("role", Role.values),
        "parent_id": number("parent_id"),
        "passed_sla": flag("passed_sla"),
        "started_at": instant("started_at"),
        "completed_at": instant("completed_at"),
    }
    search_fields = ("block_uuid", "name", "reason")
    searches_newest = 20_000
    bounded = bounded_blocks
    orders = ("id", "position")
    action_parameters = {"logs": ("offset", "limit", "attempt", "as"), **output_actions.PARAMETERS}
    scopes = {"mark": "run", "cancel": "run"}

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        return queryset.defer("config", "output", "fanout") if self.action == "list" else queryset

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return BlockRunDetailSerializer if self.action == "retrieve" else BlockRunSerializer

    @extend_schema(
        responses={(200, "application/json"): BlockLogSerializer, (200, "text/plain"): OpenApiTypes.STR},
        parameters=[
            OpenApiParameter("offset", int, description="Where to start: `next_offset` of the page before."),
            OpenApiParameter("attempt", int, description="Which try; the latest one if not given."),
            *LOG_PARAMETERS,
        ],
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def logs(self, request: Request, pk: str) -> HttpResponse:
        """A page of one attempt's log. As text, `X-Next-Offset` and `X-At-End` say how to go on."""
        block_run: BlockRun = self.get_object()
        offset = read_number(request.query_params.get("offset", "0"), "offset", high=LARGEST_LOG)
        attempt = read_attempt(request, block_run)
        page = logs.read(block_run, attempt, offset=offset, limit=log_limit(request))
        if wants_text(request):
            response = plain(page.lines)
            response.headers["X-Next-Offset"] = str(page.next_offset)
            response.headers["X-At-End"] = str(page.at_end).lower()
            return response
        return Response(
            {
                "attempt": attempt,
                "lines": [log_line(line) for line in page.lines],
                "next_offset": page.next_offset,
                "at_end": page.at_end,
            }
        )

    def get_renderers(self) -> list[BaseRenderer]:
        return log_renderers(self) if self.action == "logs" else super().get_renderers()


class PlainText(BaseRenderer):
    """Lets `Accept: text/plain` through to the logs, which answer for themselves."""

    media_type = "text/plain"
    format = "text"


def log_renderers(view: Resource) -> list[BaseRenderer]:
    return [JSONRenderer(), PlainText()] if view.action == "logs" else [JSONRenderer()]


def wants_text(request: Request) -> bool:
    as_ = choice("", ("json", "text")).read(request.query_params.get("as", "json"), "as")
    return as_ == "text" or request.accepted_renderer.media_type == "text/plain"


def plain(lines: Sequence[dict[str, Any]], following: str | None = None) -> HttpResponse:
    """The lines as text: time, level or stream, block where several are mixed, and what was said."""
    said = "".join(
        " ".join([line["t"], line["l"] or line["s"], *([line["block"]] if "block" in line else []), line["m"]]) + "\n"
        for line in lines
    )
    response = HttpResponse(said.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")
    if following:
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response


def log_limit(request: Request) -> int:
    return read_number(request.query_params.get("limit", str(LOG_BYTES)), "limit", low=1, high=MOST_LOG_BYTES)


def read_attempt(request: Request, block_run: BlockRun) -> int:
    given = request.query_params.get("attempt", str(block_run.attempt))
    return read_number(given, "attempt", low=1, high=block_run.attempt)


def start(request: Request, create: Callable[..., PipelineRun]) -> Response:
    """Start what the body asks for: 201 with the new run and where it is; 200 when the request was a repetition.

    `create` takes what `create_run` takes beside the pipeline and the origin.
    """
    wanted = validated(StartSerializer, request)
    run, is_new = start_once(
        request,
        owner=f"user:{request.user.pk}",
        start=lambda key, digest: create(
            moment=timezone.now(),
            started_by=request.user.get_username(),
            idempotency_key=key,
            request_digest=digest,
            **wanted,
        ),
    )
    where = reverse("api:pipeline_runs-detail", [run.pk], request=request)
    code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return Response(PipelineRunSerializer(run).data, status=code, headers={"Location": where})


def conflict(run: PipelineRun) -> Refusal:
    return Refusal(f"Run {run.pk} is already {run.status}.", code="conflict")
