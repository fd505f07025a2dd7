"""How the blocks of a pipeline did lately, in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pipelines import catalog
from pipelines.filters import check_parameters
from pipelines.serializers import StrictSerializer
from runs.figures import history_of_blocks
from runs.figures.history_of_blocks import RUNS, History


class HistorySerializer(StrictSerializer):
    """`p50`, `p95` (nearest rank) and `last` are seconds of those that completed; null when none did."""

    counted = serializers.IntegerField(read_only=True, help_text="Those that completed or failed.")
    failures = serializers.IntegerField(read_only=True)
    failure_rate = serializers.FloatField(read_only=True, allow_null=True)
    p50 = serializers.FloatField(read_only=True, allow_null=True)
    p95 = serializers.FloatField(read_only=True, allow_null=True)
    last = serializers.FloatField(read_only=True, allow_null=True)


class HistoryOfBlockSerializer(HistorySerializer):
    block_uuid = serializers.CharField(read_only=True)


class BlockHistorySerializer(StrictSerializer):
    """The run as a whole, and each block in the order of the graph."""

    last_runs = serializers.IntegerField(read_only=True, help_text="Finished runs that are looked at, at most.")
    run = HistorySerializer(read_only=True)
    blocks = HistoryOfBlockSerializer(many=True, read_only=True)


class BlockHistoryView(APIView):
    @extend_schema(tags=["pipelines"], operation_id="pipelines_block_history", responses=BlockHistorySerializer)
    def get(self, request: Request, pipeline_uuid: str) -> Response:
        """Durations and failures of each block over the pipeline's last 100 finished runs."""
        check_parameters(request, ())
        pipeline = catalog.find(pipeline_uuid)
        blocks = [{"block_uuid": each.block_uuid, **told(each)} for each in history_of_blocks.of_blocks(pipeline.pk)]
        return Response({"last_runs": RUNS, "run": told(history_of_blocks.of_runs(pipeline.pk)), "blocks": blocks})


def told(history: History) -> dict[str, Any]:
    times = {name: rounded(getattr(history, name)) for name in ("p50", "p95", "last")}
    failures = {"failures": history.failures, "failure_rate": history.failure_rate}
    return {"counted": history.counted, **failures, **times}


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
