"""What else the API tells of a block run, and does to it: its attempts, a mark by hand."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.viewsets import Resource, validated
from runs import history
from runs.models import BlockRun
from runs.retrying import marking
from runs.retrying.retry_serializers import MarkSerializer
from runs.serializers import AttemptsSerializer, BlockRunDetailSerializer


class BlockActions(Resource):
    @extend_schema(responses=AttemptsSerializer, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def attempts(self, request: Request, pk: str) -> Response:
        """Every attempt at the block in order, the latest included."""
        block_run: BlockRun = self.get_object()
        told = history.all_attempts(block_run, block_run.pipeline_run.attempt)
        return Response(AttemptsSerializer({"results": told}).data)

    @extend_schema(request=MarkSerializer, responses=BlockRunDetailSerializer)
    @action(detail=True, methods=["post"])
    def mark(self, request: Request, pk: str) -> Response:
        """End a block run by hand as completed, failed or skipped, with a reason; its run goes on.

        What runs is ended. A finished run is opened again, if its limits leave room. 409 when it is so already.
        """
        wanted, by = validated(MarkSerializer, request), request.user.get_username()
        row = marking.mark(self.get_object(), wanted["status"], moment=timezone.now(), by=by, reason=wanted["reason"])
        row.refresh_from_db()  # the run has gone on: it may have ended, and with it what it waited for
        return Response(BlockRunDetailSerializer(row).data)
