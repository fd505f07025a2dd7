"""What a block returned, in the API: told, and sent as a file."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.filters import choice
from pipelines.viewsets import Resource
from runs.models import BlockRun, PipelineRun
from runs.outputs.downloads import TYPES, download, formats_of
from runs.outputs.sending import send
from runs.serializers import OutputsSerializer

PARAMETERS = {"output": ("as",)}


class Anything(BaseRenderer):
    """Lets every `Accept` through to a file, whose format `as` says."""

    media_type = "*/*"
    format = "file"


class OutputActions(Resource):
    @extend_schema(responses=OutputsSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def outputs(self, request: Request, pk: str) -> Response:
        """What the block returned: type, size, a preview of each output, and the formats it can be downloaded in."""
        told = [{**meta, "formats": formats_of(meta)} for meta in self.get_object().output]
        return Response(OutputsSerializer({"results": told}).data)

    @extend_schema(
        operation_id="block_runs_output_download",
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, TYPES["parquet"]): OpenApiTypes.BINARY,
            (200, TYPES["bin"]): OpenApiTypes.BINARY,
        },
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH, description="As `outputs` tells it: `output_0`."),
            OpenApiParameter("as", str, enum=list(TYPES), description="One of its formats; json if not given."),
        ],
        filters=False,
    )
    @action(detail=True, methods=["get"], url_path=r"outputs/(?P<name>[A-Za-z0-9_]{1,64})", pagination_class=None)
    def output(self, request: Request, pk: str, name: str) -> Response:
        """One output as a file. 410 when it was removed, 409 when it cannot be had in this format."""
        form = choice("", tuple(TYPES)).read(request.query_params.get("as", "json"), "as")
        block_run: BlockRun = self.get_object()
        run = PipelineRun.objects.for_page().get(pk=block_run.pipeline_run_id)
        return send(request._request, download(run, block_run, name, form))  # type: ignore[return-value]

    def get_renderers(self) -> list[BaseRenderer]:
        return [*super().get_renderers(), Anything()] if self.action == "output" else super().get_renderers()
