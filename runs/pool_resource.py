"""Pools in the API: how full they are, and those that are not written in the project's file changed."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.filters import number, text
from pipelines.refusal import Refusal
from pipelines.serializers import StrictSerializer, Text, Whole
from pipelines.viewsets import Resource
from runs import pools
from runs.models import Pool


class PoolSerializer(StrictSerializer):
    """A pool. `used` of its `slots` are taken by running blocks, `queued` block runs wait for some."""

    id = serializers.IntegerField(read_only=True)
    name = Text(max_length=100)
    slots = Whole(min_value=1, max_value=1_000_000)
    description = Text(required=False, allow_blank=True, max_length=500)
    from_file = serializers.BooleanField(read_only=True)
    used = serializers.IntegerField(read_only=True)
    queued = serializers.IntegerField(read_only=True)


@extend_schema(tags=["pools"])
class PoolViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Named slots that blocks of all runs share."""

    queryset = Pool.objects.all()
    serializer_class = PoolSerializer
    filters = {"id": number("id"), "name": text("name")}
    search_fields = ("name", "description")
    orders = ("id", "name")
    default_order = "name"

    def get_queryset(self) -> QuerySet[Any]:
        return Pool.objects.with_use().with_queued()

    def create(self, request: Request) -> Response:
        """Make a pool."""
        serializer = PoolSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            with transaction.atomic():
                made = Pool.objects.create(**serializer.validated_data)
        except IntegrityError:
            name = serializer.validated_data["name"]
            raise Refusal(
                f"There is a pool {name!r} already.", field="name", hint="Change that one.", code="conflict"
            ) from None
        return Response(self.told(made), status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is sent; takes effect with the next claim. 409 for a pool of the project's file."""
        pool = own(self.get_object())
        serializer = PoolSerializer(pool, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        if serializer.validated_data.get("name", pool.name) != pool.name:
            raise Refusal(
                "A pool keeps its name: blocks refer to it.", field="name", hint="Make another pool.", code="invalid"
            )
        Pool.objects.filter(pk=pool.pk).update(**serializer.validated_data)
        pools.ring()
        return Response(self.told(pool))

    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a pool. 409 while unfinished block runs name it, and for a pool of the project's file."""
        pool = own(self.get_object())
        if wanting := pools.unfinished_in(pool.name):
            raise Refusal(
                f"{wanting} unfinished block runs name pool {pool.name!r}.",
                hint="Wait for them, or cancel their runs.",
                code="conflict",
            )
        pool.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def told(self, pool: Pool) -> dict[str, Any]:
        return dict(PoolSerializer(self.get_queryset().get(pk=pool.pk)).data)


def own(pool: Pool) -> Pool:
    """Return a pool that may be changed here."""
    if pool.from_file:
        raise Refusal(
            f"Pool {pool.name!r} is written in the project's metadata.yaml.", hint="Change it there.", code="conflict"
        )
    return pool
