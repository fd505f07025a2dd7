"""What the API can do to a callback."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.serializers import StrictSerializer
from pipelines.viewsets import Resource, validated
from runs import callbacks
from runs.serializers import BlockRunSerializer


class CallbackActions(Resource):
    """To be mixed into the resource of block runs."""

    @extend_schema(request=None, responses={202: BlockRunSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a callback. 409 for one that is finished, and for a block: cancel its run instead."""
        validated(StrictSerializer, request)  # takes nothing, and says so
        callbacks.stop(self.get_object(), moment=timezone.now(), by=request.user.get_username())
        return Response(BlockRunSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)
