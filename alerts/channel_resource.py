"""Channels and their messages in the API. Addresses are written and never read."""

from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import channel_changes, trying
from alerts.forms import DELIVERY_STATES
from alerts.models import Channel, ChannelKind, Delivery
from alerts.serializers import ChannelSerializer, DeliverySerializer, NewChannelSerializer, tag_of_channel
from alerts.viewsets import NarrowedByState, by_state
from pipelines.filters import choice, flag, instant, number, text
from pipelines.viewsets import validated
from schedules.days.calendar_viewsets import Written
from schedules.viewsets import IF_MATCH


@extend_schema(tags=["alert_channels"])
class ChannelViewSet(Written):
    """Where messages go."""

    what = "channel"
    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    filters = {
        "id": number("id"),
        "name": text("name"),
        "kind": choice("kind", ChannelKind.values),
        "is_active": flag("is_active"),
    }
    search_fields = ("name", "shown_address")
    orders = ("id", "name")
    scopes = {"test": "run"}

    def tag(self, row: Model) -> str:
        assert isinstance(row, Channel)
        return tag_of_channel(row)

    @extend_schema(responses={201: NewChannelSerializer})
    def create(self, request: Request) -> Response:
        """Make a channel. The key that a webhook's messages are signed with is in this answer and nowhere else."""
        channel, key = channel_changes.create(validated(ChannelSerializer, request), timezone.now())
        return self.with_key(channel, key, status.HTTP_201_CREATED)

    @extend_schema(parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is sent; a new address takes the channel's `problem` away."""
        return self.changed(request, channel_changes.change)

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a channel with the log of its messages."""
        with transaction.atomic():
            channel_changes.delete(self.locked())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={201: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send a test; read the delivery to see how it fares."""
        sent = trying.send_test(self.get_object(), request.user.get_username(), timezone.now())
        return Response(DeliverySerializer(sent).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=NewChannelSerializer)
    @action(detail=True, methods=["post"])
    def rotate_key(self, request: Request, pk: str) -> Response:
        """Give a webhook a new key, shown this once; the one before signs as well until it is retired."""
        channel: Channel = self.get_object()
        return self.with_key(channel, channel_changes.rotate_key(channel))

    @extend_schema(request=None, responses=ChannelSerializer)
    @action(detail=True, methods=["post"])
    def retire_key(self, request: Request, pk: str) -> Response:
        """Sign with the newest key alone."""
        channel: Channel = self.get_object()
        channel_changes.retire_key(channel)
        return self.told(channel)

    def with_key(self, channel: Channel, key: str, code: int = status.HTTP_200_OK) -> Response:
        data = {**ChannelSerializer(channel).data, **({"signing_key": key} if key else {})}
        return Response(data, status=code, headers={"ETag": self.tag(channel)})


@extend_schema_view(list=extend_schema(parameters=[by_state(DELIVERY_STATES)]))
@extend_schema(tags=["alert_deliveries"])
class DeliveryViewSet(NarrowedByState, mixins.ListModelMixin, mixins.RetrieveModelMixin):
    """The log of messages."""

    queryset = Delivery.objects.select_related("change").defer("data", "body")
    serializer_class = DeliverySerializer
    states = tuple(DELIVERY_STATES)
    filters = {
        "id": number("id"),
        "channel_id": number("channel_id"),
        "incident_id": number("change__incident_id"),
        "run_id": number("run_id"),
        "event_type": text("event_type"),
        "created_at": instant("created_at"),
    }
    search_fields = ("title", "last_error")
    orders = ("id", "created_at")
    scopes = {"resend": "run"}

    def in_state(self, found: Any, state: str) -> QuerySet[Any]:
        narrowed: QuerySet[Any] = found.filter(DELIVERY_STATES[state])
        return narrowed

    @extend_schema(request=None, responses={201: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send a message that was given up once more, as a new one. 409 for any other."""
        again = trying.send_again(self.get_object(), request.user.get_username(), timezone.now())
        return Response(DeliverySerializer(again).data, status=status.HTTP_201_CREATED)
