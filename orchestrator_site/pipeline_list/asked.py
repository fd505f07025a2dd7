"""What the list of pipelines is asked for: filters and order, in the query string."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import QueryDict

LONGEST = 200
FILTERS = ("q", "tag", "owner", "state")
STATES = [
    ("", "Any state"),
    ("failing", "last run failed"),
    ("well", "last run completed"),
    ("running", "running or queued"),
    ("incident", "with an open incident"),
    ("broken", "files are wrong"),
    ("paused", "all triggers paused"),
    ("untriggered", "without a trigger"),
]
SORTS = [("", "By name"), ("next", "Due next first"), ("last", "Failing first"), ("p95", "Longest first")]


class ListForm(forms.Form):
    q = forms.CharField(
        required=False,
        max_length=LONGEST,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": "Name or tag", "aria-label": "Search pipelines"}
        ),
    )
    tag = forms.CharField(required=False, max_length=LONGEST)
    owner = forms.CharField(required=False, max_length=LONGEST)
    state = forms.ChoiceField(required=False, choices=STATES)
    sort = forms.ChoiceField(required=False, choices=SORTS)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        for name, label in (("state", "State"), ("sort", "Order")):
            self.fields[name].widget.attrs["aria-label"] = label
        for field in self.fields.values():
            is_choice = isinstance(field, forms.ChoiceField)
            field.widget.attrs["class"] = "form-select" if is_choice else "form-control"
        self.is_valid()

    def offer(self, name: str, label: str, values: Iterable[str], empty: str) -> None:
        """Let one of the values be chosen; another that is typed in the address is taken as well."""
        known, current = list(values), self.value(name)
        more = [] if not current or current in known else [current]
        choices = [("", empty), *((value, value) for value in [*known, *more])]
        self.fields[name].widget = forms.Select(choices=choices, attrs={"aria-label": label, "class": "form-select"})

    def value(self, name: str) -> str:
        """Return what was asked for, "" where it was not, or not understood."""
        return str(self.cleaned_data.get(name) or "")

    @property
    def is_used(self) -> bool:
        return any(self.data.get(name) for name in (*FILTERS, "sort"))

    @property
    def narrows(self) -> bool:
        return any(self.value(name) for name in FILTERS)

    def used(self) -> list[tuple[str, Any]]:
        """Return the filters that are set, for a form that hands them on."""
        return [(name, value) for name in FILTERS if (value := self.value(name))]
