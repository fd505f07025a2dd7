"""The administration of tables that grow without end: their lists take as long with a million rows as with few."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from pipelines.admin import ReadOnlyAdmin
from pipelines.filters import newest

NEWEST = 20_000  # rows by their keys: what is counted, filtered, searched and sorted


class NewestList(ChangeList):
    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        if not self.query.strip().isdecimal():
            self.root_queryset = newest(self.root_queryset, NEWEST)
        return super().get_queryset(request, exclude_parameters)


class LargeAdmin(ReadOnlyAdmin):
    """Lists the newest rows; a search for a number finds any row by one of the keys in `numbers`."""

    numbers: tuple[str, ...] = ("pk",)
    show_full_result_count = False
    ordering = ("-pk",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term.isdecimal():
            return super().get_search_results(request, queryset, search_term)
        found = Q()
        for name in self.numbers if len(term) < 19 else ():
            found |= Q(**{name: int(term)})
        return (queryset.filter(found) if found else queryset.none()), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        told = f"The newest {NEWEST:,} are listed; a search for a number finds any."
        return super().changelist_view(request, {"subtitle": told, **(extra_context or {})})


class ValuesOfNewest(admin.AllValuesFieldListFilter):
    """A filter by the values that the newest rows have."""

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: type[Model], model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        rows = newest(model._default_manager.all(), NEWEST).order_by(field.name)
        self.lookup_choices = rows.values_list(field.name, flat=True).distinct()
