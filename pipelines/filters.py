"""Query parameters of lists: a list's filters are declared beside it, and anything else is refused."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Model, Q, QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from pipelines.refusal import Refusal
from pipelines.serializers import read_instant, right_name

if TYPE_CHECKING:
    from rest_framework.views import APIView

MAX_VALUES = 200  # in one `field__in`
MAX_QUERY = 200  # characters of `q` and of any other text
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One name that a list may be filtered by: the lookup behind it, and how its text is read."""

    lookup: str
    read: Callable[[str, str], Any]  # (text, parameter) → value, or Refusal
    schema: Mapping[str, Any]
    is_ordered: bool = False  # has `__gte` and `__lt` too


def choice(lookup: str, values: Iterable[str] | Mapping[str, Any]) -> Filter:
    """One of a few words; a mapping says what each stands for."""
    meanings = dict(values) if isinstance(values, Mapping) else {str(value): str(value) for value in values}

    def read(text: str, parameter: str) -> Any:
        if text not in meanings:
            raise Refusal(
                f"{parameter}={text[:80]!r} is not known.",
                field=parameter,
                hint=f"Allowed: {', '.join(meanings)}.",
                code="invalid_choice",
            )
        return meanings[text]

    return Filter(lookup=lookup, read=read, schema={"type": "string", "enum": list(meanings)})


def flag(lookup: str) -> Filter:
    return choice(lookup, {"true": True, "false": False})


def text(lookup: str) -> Filter:
    return Filter(lookup=lookup, read=read_text, schema={"type": "string"})


def number(lookup: str) -> Filter:
    return Filter(lookup=lookup, read=read_number, schema={"type": "integer"}, is_ordered=True)


def instant(lookup: str) -> Filter:
    def read(text: str, parameter: str) -> Any:
        # A plus sign that was not escaped arrives as a space.
        return read_instant(text.replace(" ", "+"), field=parameter)

    return Filter(lookup=lookup, read=read, schema={"type": "string", "format": "date-time"}, is_ordered=True)


def read_text(text: str, parameter: str) -> str:
    if "\x00" in text:
        raise Refusal(f"{parameter} contains a character that cannot be stored.", field=parameter, code="invalid_text")
    if len(text) > MAX_QUERY:
        raise Refusal(f"{parameter} is longer than {MAX_QUERY} characters.", field=parameter, code="too_long")
    return text


def read_number(text: str, parameter: str, *, low: int = 0, high: int = LARGEST_ID) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and low <= int(text) <= high):
        raise Refusal(
            f"{parameter}={text[:80]!r} is not a whole number from {low} to {high}.",
            field=parameter,
            code="invalid_number",
        )
    return int(text)


def check_parameters(request: Request, allowed: Iterable[str]) -> None:
    """Raise `Refusal` for a query parameter that is not `allowed`, or given twice."""
    known = set(allowed)
    for name, values in request.query_params.lists():
        check_name(name, known)
        if len(values) > 1:
            raise Refusal(
                f"{name} is given {len(values)} times.", field=name, hint=f"Use {name}__in=a,b.", code="repeated"
            )


def check_name(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise Refusal(
            f"Unknown query parameter: {name[:80]}.",
            field=name[:80],
            hint=right_name(name, known) or "There are none here.",
            code="unknown_parameter",
        )


class AllowedFilters(BaseFilterBackend):
    """Narrows a list by the view's `filters` and, for `q`, its `search_fields`.

    `status=failed`, `status__in=failed,cancelled`, `created_at__gte=…`, `created_at__lt=…`, `q=words`.
    The view has checked the names (`pipelines.viewsets.Resource`).
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> QuerySet[Any]:
        given = request.query_params.dict()
        if bounded := getattr(view, "bounded", None):
            queryset, request.among = bounded(queryset, given)  # type: ignore[attr-defined]
        return narrowed(queryset, given, getattr(view, "filters", {}), getattr(view, "search_fields", ()))

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        parameters = []
        for name, filter_ in getattr(view, "filters", {}).items():
            parameters += [
                query_parameter(each, filter_.schema) for each in spellings(name, filter_) if each[-4:] != "__in"
            ]
            parameters.append(query_parameter(f"{name}__in", {"type": "string"}, "Several, with commas between."))
        if getattr(view, "search_fields", ()):
            rows = getattr(view, "searches_newest", None)
            among = f" Looked for among the newest {rows:,}." if rows else ""
            parameters.append(query_parameter("q", {"type": "string"}, f"Words to look for.{among}"))
        return parameters


def narrowed(
    queryset: QuerySet[Any], given: Mapping[str, str], filters: Mapping[str, Filter], search_fields: Iterable[str]
) -> QuerySet[Any]:
    """Return those rows that the given parameters ask for; other parameters are passed over."""
    for parameter, value in given.items():
        name, _, operator = parameter.partition("__")
        if name in filters:
            queryset = queryset.filter(**condition(filters[name], parameter, operator, value))
    if words := read_text(given.get("q", ""), "q"):
        queryset = search(queryset, words, search_fields)
    return queryset


@dataclass(frozen=True)
class Among:
    """Which rows of a large table were looked at: the `newest` so many `of` a resource, from the id `since` on.

    Older ones are found by asking for ids below it.
    """

    newest: int
    of: str
    since: int


def newest(queryset: QuerySet[Any], rows: int) -> QuerySet[Any]:
    """Leave out all but so many of the newest rows of the table: no index finds words in millions of them."""
    return queryset.filter(pk__gt=last_key(queryset) - rows)


def last_key(queryset: QuerySet[Any]) -> int:
    return queryset.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0


def among_newest(queryset: QuerySet[Any], rows: int, given: Mapping[str, str]) -> tuple[QuerySet[Any], Among | None]:
    """Do as `newest`, below the id that is given by `id__lt`; None beside it where that leaves nothing out."""
    last = last_key(queryset)
    if below := given.get("id__lt"):
        last = min(last, read_number(below, "id__lt") - 1)
    since = last - rows + 1
    if since <= 1:
        return queryset, None
    return queryset.filter(pk__gte=since), Among(
        rows, str(queryset.model._meta.verbose_name_plural).replace(" ", "_"), since
    )


def spellings(name: str, filter_: Filter) -> list[str]:
    return [name, f"{name}__in", *([f"{name}__gte", f"{name}__lt"] if filter_.is_ordered else [])]


def allowed_parameters(filters: Mapping[str, Filter], search_fields: Iterable[str]) -> list[str]:
    """Every query parameter that these filters understand."""
    names = [spelling for name, filter_ in filters.items() for spelling in spellings(name, filter_)]
    return [*names, *(["q"] if tuple(search_fields) else [])]


def condition(filter_: Filter, parameter: str, operator: str, value: str) -> dict[str, Any]:
    if operator != "in":
        return {f"{filter_.lookup}__{operator or 'exact'}": filter_.read(value, parameter)}
    values = value.split(",")
    if len(values) > MAX_VALUES:
        raise Refusal(f"{parameter} has {len(values)} values; the limit is {MAX_VALUES}.", field=parameter)
    return {f"{filter_.lookup}__in": [filter_.read(each, parameter) for each in values]}


def search(queryset: QuerySet[Model], words: str, fields: Iterable[str]) -> QuerySet[Model]:
    for word in words.split():
        found = Q()
        for field in fields:
            found |= Q(**{f"{field}__icontains": word})
        queryset = queryset.filter(found)
    return queryset


def query_parameter(name: str, schema: Mapping[str, Any], description: str = "") -> dict[str, Any]:
    """An OpenAPI parameter of the query string."""
    return {"name": name, "in": "query", "required": False, "schema": dict(schema), "description": description}
