"""The comparison of two runs in the API."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.filters import choice
from pipelines.serializers import StrictSerializer
from pipelines.viewsets import NUMBER, Resource
from runs.comparing.blocks import Pair
from runs.comparing.comparison import Comparison, Fact, compare
from runs.comparing.log_texts import Divergence, Said
from runs.models import BlockRun, PipelineRun
from runs.retrying.retry_serializers import (
    DifferenceSerializer,
    SettingSerializer,
    difference_as_dict,
    settings_as_dicts,
)

PARAMETERS = {"compare": ("numbers",)}


class FactSerializer(StrictSerializer):
    """`run` and `other` are what each of the two has; seconds and bytes are numbers."""

    name = serializers.CharField(read_only=True)
    differs = serializers.BooleanField(read_only=True)
    run = serializers.JSONField(read_only=True, allow_null=True)
    other = serializers.JSONField(read_only=True, allow_null=True)


class SideOfBlockSerializer(StrictSerializer):
    id = serializers.IntegerField(read_only=True)
    status = serializers.CharField(read_only=True)
    attempt = serializers.IntegerField(read_only=True)
    duration = serializers.FloatField(read_only=True, allow_null=True)
    rows = serializers.IntegerField(read_only=True, allow_null=True)
    bytes = serializers.IntegerField(read_only=True, allow_null=True)


class SaidSerializer(StrictSerializer):
    text = serializers.CharField(read_only=True)
    offset = serializers.IntegerField(read_only=True)


class DivergenceSerializer(StrictSerializer):
    """The first line that differs, counted from 1; null on the side whose log has ended before it."""

    line = serializers.IntegerField(read_only=True)
    run = SaidSerializer(read_only=True, allow_null=True)
    other = SaidSerializer(read_only=True, allow_null=True)


class PairSerializer(StrictSerializer):
    """`ratio`: how many times as long it took. `log` is null where both say the same, or `log_compared` is false."""

    block_uuid = serializers.CharField(read_only=True)
    differs = serializers.BooleanField(read_only=True)
    ratio = serializers.FloatField(read_only=True, allow_null=True)
    run = SideOfBlockSerializer(read_only=True, allow_null=True)
    other = SideOfBlockSerializer(read_only=True, allow_null=True)
    log_compared = serializers.BooleanField(read_only=True)
    log = DivergenceSerializer(read_only=True, allow_null=True)


class ComparisonSerializer(StrictSerializer):
    """What differs between two runs of a pipeline. In settings `old` is the other run's, `new` this one's."""

    run = serializers.IntegerField(read_only=True)
    other = serializers.IntegerField(read_only=True)
    facts = FactSerializer(many=True, read_only=True)
    variables = SettingSerializer(many=True, read_only=True)
    same_version = serializers.BooleanField(read_only=True)
    differences = DifferenceSerializer(many=True, read_only=True)
    settings = SettingSerializer(many=True, read_only=True)
    blocks = PairSerializer(many=True, read_only=True)


class CompareActions(Resource):
    @extend_schema(
        responses=ComparisonSerializer,
        filters=False,
        parameters=[
            OpenApiParameter("other", int, OpenApiParameter.PATH, description="The run to compare it with."),
            OpenApiParameter(
                "numbers", str, enum=["ignore", "count"], description="Whether log lines differ by numbers alone."
            ),
        ],
    )
    @action(detail=True, methods=["get"], url_path=rf"compare/(?P<other>{NUMBER})", pagination_class=None)
    def compare(self, request: Request, pk: str, other: str) -> Response:
        """Compare a run with another of its pipeline: variables, version, blocks, and where their logs part."""
        numbers = choice("", ("ignore", "count")).read(request.query_params.get("numbers", "ignore"), "numbers")
        known = PipelineRun.objects.for_page().in_bulk([self.get_object().pk, int(other)])
        if int(other) not in known:
            raise NotFound(f"There is no run {other}.")
        return Response(as_dict(compare(known[int(pk)], known[int(other)], numbers=numbers == "count")))


def as_dict(told: Comparison) -> dict[str, Any]:
    return {
        "run": told.new.pk,
        "other": told.old.pk,
        "facts": [fact_as_dict(fact) for fact in told.facts],
        "variables": settings_as_dicts(told.variables),
        "same_version": told.same_version,
        "differences": [difference_as_dict(each) for each in told.differences],
        "settings": settings_as_dicts(told.settings),
        "blocks": [pair_as_dict(pair) for pair in told.blocks],
    }


def fact_as_dict(fact: Fact) -> dict[str, Any]:
    return {"name": fact.name, "differs": fact.differs, "run": plain(fact.new), "other": plain(fact.old)}


def plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def pair_as_dict(pair: Pair) -> dict[str, Any]:
    (was, now), ratio = pair.seconds, pair.ratio
    return {
        "block_uuid": pair.block_uuid,
        "differs": pair.differs,
        "ratio": None if ratio is None else round(ratio, 3),
        "run": side_as_dict(pair.new, now, pair.rows[1], pair.bytes[1]),
        "other": side_as_dict(pair.old, was, pair.rows[0], pair.bytes[0]),
        "log_compared": pair.logs_read,
        "log": divergence_as_dict(pair.divergence),
    }


def side_as_dict(
    row: BlockRun | None, seconds: float | None, rows: int | None, size: int | None
) -> dict[str, Any] | None:
    if row is None:
        return None
    figures = {"duration": seconds, "rows": rows, "bytes": size}
    return {"id": row.pk, "status": row.status, "attempt": row.attempt, **figures}


def divergence_as_dict(found: Divergence | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"line": found.number, "run": said_as_dict(found.new), "other": said_as_dict(found.old)}


def said_as_dict(said: Said | None) -> dict[str, Any] | None:
    return {"text": said.text, "offset": said.offset} if said else None
