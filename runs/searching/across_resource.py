"""The search across logs in the API."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from pipelines.filters import check_parameters, choice, read_text
from pipelines.refusal import Refusal
from pipelines.serializers import StrictSerializer, read_instant
from runs.searching import across
from runs.searching.across import Hit, Place, Where
from runs.searching.scanning import LEVELS, SOURCES, Wanted
from runs.serializers import LogLineSerializer, log_line
from runs.states import RunStatus

PARAMETERS = {
    "q": "Text, in any case of its letters. This, `level` or `stream` is needed.",
    "level": "Lines of this level and above.",
    "stream": "Where a line is from.",
    "pipeline_uuid": "Only runs of this pipeline.",
    "block_uuid": "Only this block.",
    "status": "Only runs of this state.",
    "created_at__gte": "Only runs created from then on.",
    "created_at__lt": "Only runs created before.",
    "cursor": "Where to go on: from `next`.",
}
WORDS: dict[str, Any] = {"level": LEVELS, "stream": SOURCES, "status": [str(status) for status in RunStatus]}


class FoundInLogSerializer(StrictSerializer):
    pipeline_run_id = serializers.IntegerField(source="block_run.pipeline_run_id", read_only=True)
    pipeline_uuid = serializers.CharField(source="block_run.pipeline_run.pipeline.uuid", read_only=True)
    block_run_id = serializers.IntegerField(source="block_run.pk", read_only=True)
    block_uuid = serializers.CharField(source="block_run.block_uuid", read_only=True)
    attempt = serializers.IntegerField(read_only=True)
    lines = LogLineSerializer(many=True, read_only=True)
    has_more = serializers.BooleanField(read_only=True, help_text="This log has more such lines, or was cut short.")


class LogSearchSerializer(StrictSerializer):
    """The newest runs first. `next` is null when all logs were looked through."""

    results = FoundInLogSerializer(many=True, read_only=True)
    next = serializers.URLField(read_only=True, allow_null=True)
    logs = serializers.IntegerField(read_only=True, help_text="Logs that were looked through.")
    bytes = serializers.IntegerField(read_only=True, help_text="Bytes of them.")


class LogSearchView(APIView):
    @extend_schema(
        tags=["logs"],
        operation_id="logs_search",
        responses=LogSearchSerializer,
        parameters=[
            OpenApiParameter(name, str, enum=WORDS.get(name), description=words) for name, words in PARAMETERS.items()
        ],
    )
    def get(self, request: Request) -> Response:
        """Look for lines in the logs of all runs for 1.5 seconds or 200 lines, and say where to go on."""
        check_parameters(request, PARAMETERS)
        given = {name: read_text(request.query_params.get(name, ""), name) for name in PARAMETERS}
        for name, words in WORDS.items():
            if given[name]:
                choice("", words).read(given[name], name)
        outcome = across.search(
            wanted_of(given), where_of(given), Place.read(given["cursor"]) if given["cursor"] else None
        )
        following = None
        if outcome.next:
            following = replace_query_param(request.build_absolute_uri(), "cursor", str(outcome.next))
        told = {"logs": outcome.logs, "bytes": outcome.bytes, "next": following}
        return Response({"results": [as_dict(hit) for hit in outcome.hits], **told})


def wanted_of(given: dict[str, str]) -> Wanted:
    wanted = Wanted(given["q"], given["level"], given["stream"])
    if wanted.is_anything:
        raise Refusal("Say what to look for.", field="q", hint="Give q, level or stream.", code="required")
    return wanted


def where_of(given: dict[str, str]) -> Where:
    def instant(name: str) -> Any:
        return read_instant(given[name].replace(" ", "+"), field=name) if given[name] else None

    since, till = instant("created_at__gte"), instant("created_at__lt")
    return Where(given["pipeline_uuid"], given["block_uuid"], given["status"], since, till)


def as_dict(hit: Hit) -> dict[str, Any]:
    found = {**vars(hit), "lines": [log_line(line) for line in hit.lines]}
    return dict(FoundInLogSerializer(found).data)
