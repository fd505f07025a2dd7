"""The verbs of a run in the API that let it go on: retry, and keep it from retention."""

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.serializers import StrictSerializer
from pipelines.viewsets import Resource, is_dry_run, validated
from runs.models import PipelineRun
from runs.retrying import repeating
from runs.retrying.retry_serializers import RetryPlanSerializer, RetrySerializer, plan_as_dict
from runs.serializers import PipelineRunSerializer

SCOPES = {"retry": "run", "keep": "run", "unkeep": "run"}
PARAMETERS = {"retry": ("dry_run",)}
DRY_RUN = OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="true: say what would happen, and do nothing.")


class RetryActions(Resource):
    @extend_schema(
        request=RetrySerializer, responses={200: RetryPlanSerializer, 202: PipelineRunSerializer}, parameters=[DRY_RUN]
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Run a finished run again. 409 when it goes on, or when nothing of a completed one is incomplete.

        With `dry_run=true`, answer 200 with the blocks that would run again, those that would not, and for the
        current version what differs from the one that the run has; nothing is changed.
        """
        run, wanted, moment = self.get_object(), validated(RetrySerializer, request), timezone.now()
        if is_dry_run(request):
            return Response(plan_as_dict(*repeating.preview(run, moment=moment, **wanted)))
        if not repeating.retry(run, moment=moment, by=request.user.get_username(), **wanted):
            raise repeating.unfinished(self.get_object())
        return Response(PipelineRunSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=PipelineRunSerializer)
    @action(detail=True, methods=["post"])
    def keep(self, request: Request, pk: str) -> Response:
        """Keep a run, its logs and outputs: retention leaves them alone."""
        return self.set_kept(request, True)

    @extend_schema(request=None, responses=PipelineRunSerializer)
    @action(detail=True, methods=["post"])
    def unkeep(self, request: Request, pk: str) -> Response:
        """Leave a run to retention again."""
        return self.set_kept(request, False)

    def set_kept(self, request: Request, is_kept: bool) -> Response:
        validated(StrictSerializer, request)  # takes nothing, and says so
        run: PipelineRun = self.get_object()
        run.set_kept(is_kept)
        return Response(PipelineRunSerializer(run).data)
