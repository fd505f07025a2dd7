"""Pipelines in the API, and the base of every resource: scopes and query parameters, checked before anything runs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from pipelines.filters import (
    Among,
    Filter,
    allowed_parameters,
    among_newest,
    check_parameters,
    choice,
    instant,
    text,
)
from pipelines.models import Pipeline
from pipelines.serializers import PipelineDetailSerializer, PipelineSerializer

PIPELINE_UUID = r"[^/\x00-\x1f\x7f]{1,200}"
NUMBER = "[0-9]{1,18}"


class Resource(viewsets.GenericViewSet[Any]):
    """A resource under /api/v1/.

    Reading needs a token's `read` scope, anything else `write`, unless `scopes` says otherwise for an action.
    """

    scopes: ClassVar[Mapping[str, str]] = {}
    filters: ClassVar[Mapping[str, Filter]] = {}
    search_fields: ClassVar[Sequence[str]] = ()
    searches_newest: ClassVar[int | None] = None  # of a table that grows without end: among so many rows
    orders: ClassVar[Sequence[str]] = ("id",)  # none of them nullable
    default_order: ClassVar[str] = "-id"
    action_parameters: ClassVar[Mapping[str, Sequence[str]]] = {}  # of actions that are not lists
    lookup_value_regex = NUMBER

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        check_parameters(request, self.query_parameters())

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        # A body sent in chunks states no length, and DRF takes it for none at all.
        if not request.META.get("CONTENT_LENGTH") and "chunked" in request.headers.get("Transfer-Encoding", ""):
            request.META["CONTENT_LENGTH"] = "-1"
        return super().initialize_request(request, *args, **kwargs)

    def bounded(self, queryset: QuerySet[Any], given: Mapping[str, str]) -> tuple[QuerySet[Any], Among | None]:
        """Leave out the old rows of a list for which no index answers what is `given`; say which were looked at."""
        if not given.get("q") or self.searches_newest is None:
            return queryset, None
        return among_newest(queryset, self.searches_newest, given)

    def required_scope(self) -> str:
        default = "read" if self.request.method in ("GET", "HEAD", "OPTIONS") else "write"
        return self.scopes.get(self.action or "", default)

    def query_parameters(self) -> list[str]:
        if self.action == "list":
            return [*allowed_parameters(self.filters, self.search_fields), "order", "limit", "cursor"]
        return list(self.action_parameters.get(self.action or "", ()))


@extend_schema(tags=["pipelines"])
class PipelineViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """The pipelines in the project folder."""

    queryset = Pipeline.objects.present()
    lookup_field = "uuid"
    lookup_value_regex = PIPELINE_UUID
    filters = {
        "uuid": text("uuid"),
        "type": text("type"),
        "is_valid": choice("is_valid", {"true": True, "false": False}),
        "updated_at": instant("updated_at"),
    }
    search_fields = ("uuid", "name", "description")
    orders = ("uuid", "name", "created_at", "updated_at", "id")
    default_order = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        return queryset.select_related("current_version") if self.action == "retrieve" else queryset

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return PipelineDetailSerializer if self.action == "retrieve" else PipelineSerializer


def validated(serializer_class: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """Return what the body says; raises ValidationError for whatever is wrong with it."""
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


def is_dry_run(request: Request) -> bool:
    """Whether `dry_run=true` asks to be told only; raises Refusal for another word."""
    found: bool = choice("", {"true": True, "false": False}).read(
        request.query_params.get("dry_run", "false"), "dry_run"
    )
    return found
