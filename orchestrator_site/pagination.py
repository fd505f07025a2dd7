"""Pages of a list: the next page starts after the last row seen, however many rows were added meanwhile."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.db.models import Model, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from pipelines.filters import choice, query_parameter, read_number
from pipelines.refusal import Refusal

if TYPE_CHECKING:
    from rest_framework.views import APIView

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200


AMONG = {
    "type": "object",
    "description": "There when not all rows were looked at: the `newest` so many `of` a resource, from the id `since` "
    "on. Older ones are found by asking for ids below it (`id__lt`, `pipeline_run_id__lt`).",
    "required": ["newest", "of", "since"],
    "properties": {"newest": {"type": "integer"}, "of": {"type": "string"}, "since": {"type": "integer"}},
}


class KeysetPagination(BasePagination):
    """`?limit=50&order=-created_at&cursor=…` → `{"results": […], "next": url or null}`.

    A view's `orders` are the fields to order by, none of them nullable; `default_order` the one used unasked.
    The primary key is always the last key, so that no two rows tie.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any]:
        self.request = request
        self.order = read_order(request, view)
        limit = read_limit(request.query_params.get("limit", str(DEFAULT_LIMIT)))
        if cursor := request.query_params.get("cursor"):
            queryset = after(queryset, self.order, read_cursor(cursor, self.order, queryset.model))
        rows = list(queryset.order_by(*keys(self.order))[: limit + 1])
        self.last = rows[limit - 1] if len(rows) > limit else None
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        following = None
        if self.last is not None:
            url = self.request.build_absolute_uri()
            following = replace_query_param(url, "cursor", write_cursor(self.order, self.last))
        among = getattr(self.request, "among", None)  # of a large table: which rows were looked at
        return Response({"results": data, "next": following, **({"among": asdict(among)} if among else {})})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        following = {"type": ["string", "null"], "format": "uri", "description": "The next page, if there is one."}
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {"results": schema, "next": following, "among": AMONG},
        }

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}
        order = {"type": "string", "enum": orders(view), "default": default_order(view)}
        return [
            query_parameter("limit", limit, "Rows in a page."),
            query_parameter("order", order, "The field to order by; with - in front, the largest first."),
            query_parameter("cursor", {"type": "string"}, "Where the page starts: from `next` of the page before."),
        ]


def orders(view: "APIView | None") -> list[str]:
    fields = getattr(view, "orders", ("id",))
    return [sign + field for field in fields for sign in ("", "-")]


def default_order(view: "APIView | None") -> str:
    return getattr(view, "default_order", "-id")


def read_order(request: Request, view: "APIView | None") -> str:
    text = request.query_params.get("order", default_order(view))
    return str(choice("", orders(view)).read(text, "order"))


def read_limit(text: str) -> int:
    return read_number(text, "limit", low=1, high=LARGEST_LIMIT)


def keys(order: str) -> list[str]:
    field = order.removeprefix("-")
    return [order] if field == "id" else [order, "-id" if order.startswith("-") else "id"]


def after(queryset: QuerySet[Any], order: str, values: list[Any]) -> QuerySet[Any]:
    """Only the rows that come behind the one with these keys."""
    operator = "lt" if order.startswith("-") else "gt"
    names = [key.removeprefix("-") for key in keys(order)]
    if len(names) == 1:
        return queryset.filter(**{f"id__{operator}": values[0]})
    # The first condition is implied by the second; it lets the database use an index on the field.
    return queryset.filter(**{f"{names[0]}__{operator}e": values[0]}).filter(
        Q(**{f"{names[0]}__{operator}": values[0]}) | Q(**{names[0]: values[0], f"id__{operator}": values[1]})
    )


def write_cursor(order: str, row: Model) -> str:
    """Opaque and signed: the order and the last row's keys."""
    values = [getattr(row, key.removeprefix("-")) for key in keys(order)]
    return signing.dumps(
        [order, *(value.isoformat() if isinstance(value, datetime) else value for value in values)], salt=salt(row)
    )


def read_cursor(text: str, order: str, model: type[Model]) -> list[Any]:
    """Return the values to go on after; raise Refusal for a cursor of another list or order."""
    try:
        found, *values = signing.loads(text, salt=salt(model))
    except signing.BadSignature:
        found = None
    if found != order:
        raise Refusal(
            "The cursor is not one of this list and order.",
            field="cursor",
            hint="Use `next` as it was given.",
            code="invalid_cursor",
        )
    return list(values)


def salt(model: Model | type[Model]) -> str:
    return f"cursor of {model._meta.label_lower}"
