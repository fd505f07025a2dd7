"""The query string of the list of runs: a link is a view.

What no index answers (text, origin, how long it took, how runs of one pipeline ended) is looked for among the newest
10,000 runs that the rest of the filter leaves: a list is to be there at once, however many runs there are.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django import forms
from django.db.models import F, Q

from pipelines.models import Pipeline
from runs.listing.spans import read_moment, read_span
from runs.listing.widgets import QuickSelect
from runs.models import Origin, PipelineRun, PipelineRunQuerySet
from runs.models.written import choices
from runs.states import RUN_FINISHED, RunStatus
from runs.viewer_zone import viewer_zone, zone_of_form

FILTERS = ("q", "status", "pipeline", "origin", "trigger", "tag", "since", "until", "ended", "longer", "zone")
TIMES = ("since", "until", "ended")
WINDOW = 10_000
SLACK = 1_000  # numbers of runs that were made at once are not quite in the order of their times
MOST_PIPELINES = 2_000
ORDERS = [("", "newest first"), ("oldest", "oldest first"), ("longest", "longest first")]


class Known(NamedTuple):
    """A pipeline to choose."""

    pk: int
    uuid: str
    tags: Sequence[str]


def known_pipelines() -> list[Known]:
    rows = Pipeline.objects.present().order_by("uuid").values_list("pk", "uuid", "tags")[:MOST_PIPELINES]
    return [Known(pk, uuid, [str(tag) for tag in tags]) for pk, uuid, tags in rows]


class TextField(forms.CharField):
    """Text that can be stored."""

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        if "\x00" in text:
            raise forms.ValidationError("The search contains a character that cannot be stored.")
        return text


def text(label: str, placeholder: str, kind: str = "text") -> TextField:
    looks = {"type": kind, "placeholder": placeholder, "aria-label": label, "class": "form-control"}
    return TextField(required=False, max_length=200, widget=forms.TextInput(attrs=looks))


def number() -> forms.IntegerField:
    return forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class RunFilter(forms.Form):
    """What people ask of the list. `chosen` leaves out a part that is not understood; its error is shown."""

    q = text("Search runs", "Number, pipeline or trigger", "search")
    status = forms.ChoiceField(required=False, choices=[("", "Any state"), *choices(RunStatus)])
    pipeline = TextField(required=False, max_length=200)
    tag = TextField(required=False, max_length=200)
    origin = forms.ChoiceField(required=False, choices=[("", "Any origin"), *Origin.choices])
    since = text("Created from", "From: 24h, a day")
    until = text("Created until", "To")
    ended = text("Ended from", "Ended from: 24h")
    longer = text("Took longer than", "Longer than: 10m")
    order = forms.ChoiceField(required=False, choices=ORDERS)
    trigger = number()
    before = number()
    after = number()

    def __init__(self, data: Any, *, pipelines: Sequence[Known], moment: datetime) -> None:
        super().__init__(data)
        self.known, self.moment = pipelines, moment
        given = [str(self.data.get(name, "")) for name in TIMES]
        self.has_times = any(text and read_span(text) is None for text in given)
        self.zone = zone_of_form(self.data) if self.has_times else viewer_zone()  # in which its times are meant
        self.ends: dict[str, int | None] = {}  # of the windows that were asked for
        tags = sorted({tag for each in pipelines for tag in each.tags})
        self.choose("pipeline", "Any pipeline", [each.uuid for each in pipelines])
        self.choose("tag", "Any tag", tags)
        self.fields["pipeline"].widget.attrs["data-pick"] = ""
        for name, label in (("status", "Status"), ("origin", "Origin"), ("order", "Order")):
            self.fields[name].widget.attrs |= {"aria-label": label, "class": "form-select"}

    def choose(self, name: str, nothing: str, names: Sequence[str]) -> None:
        looks = {"aria-label": name.capitalize(), "class": "form-select"}
        given = str(self.data.get(name, ""))
        options = [*names, given] if given and given not in names else names  # one that is gone can still be asked for
        self.fields[name].widget = QuickSelect(
            choices=[("", nothing), *((each, each) for each in options)], attrs=looks
        )

    def clean_since(self) -> datetime | None:
        return self.moment_of("since")

    def clean_until(self) -> datetime | None:
        return self.moment_of("until")

    def clean_ended(self) -> datetime | None:
        return self.moment_of("ended")

    def moment_of(self, name: str) -> datetime | None:
        given = self.cleaned_data[name]
        found = read_moment(given, self.moment, self.zone) if given else None
        if given and found is None:
            raise forms.ValidationError(
                f"{given[:40]!r} is no moment. Write a span (24h, 7d) or a date (2025-03-02, 2025-03-02T06:00), "
                f"in {self.zone}."
            )
        return found

    def clean_longer(self) -> timedelta | None:
        given = self.cleaned_data["longer"]
        found = read_span(given) if given else None
        if given and found is None:
            raise forms.ValidationError(f"{given[:40]!r} is no span of time. Write 90s, 10m, 2h or 1d.")
        return found

    # --- what it chooses -------------------------------------------------------------------------------------------

    @property
    def is_used(self) -> bool:
        self.is_valid()
        return any(self.cleaned_data.get(name) for name in FILTERS if name != "zone")

    @property
    def folded_are_used(self) -> bool:
        return any(
            self.cleaned_data.get(name) for name in ("tag", "origin", "since", "until", "ended", "longer", "order")
        )

    @property
    def is_slow(self) -> bool:
        """Whether a part of it has no index, so that only the newest are looked through."""
        return self.state_is_slow or any(self.cleaned_data.get(name) for name in ("q", "origin", "longer"))

    @property
    def state_is_slow(self) -> bool:
        """Whether an end is looked for among the runs of a pipeline, a tag or a trigger, where it may be rare."""
        asked = self.cleaned_data
        narrowed = any(asked.get(name) for name in ("pipeline", "tag", "trigger"))
        return narrowed and asked.get("status") in RUN_FINISHED

    def used(self) -> list[tuple[str, Any]]:
        """Return the filters that are set, as they were written, for a form that hands them on."""
        used = [(name, self.data.get(name)) for name in FILTERS if self.cleaned_data.get(name)]
        return [*used, ("zone", self.zone.key)] if self.has_times else used

    def chosen(self, runs: PipelineRunQuerySet, but: str = "") -> PipelineRunQuerySet:
        """Narrow `runs`, keeping their order, by what was asked (`but` paging)."""
        self.is_valid()
        if not self.is_slow:
            return self.indexed(runs, but)
        if self.number is not None:
            return runs.filter(pk=self.number)
        found, end = self.slowly(self.indexed(runs, but)), self.end_of_window(but)
        if end is None:
            return found
        return found.filter(pk__lte=end) if self.by_number == "id" else found.filter(pk__gte=end)

    def indexed(self, runs: PipelineRunQuerySet, but: str = "") -> PipelineRunQuerySet:
        """Narrow by the parts that indexes answer."""
        asked = self.cleaned_data
        if asked.get("status") and not self.state_is_slow:
            runs = runs.filter(status=asked["status"])
        if trigger := asked.get("trigger"):
            runs = runs.filter(trigger_id=trigger)
        if asked.get("pipeline"):
            runs = runs.filter(pipeline=self.pipeline_key)
        if tag := asked.get("tag"):
            runs = runs.filter(pipeline__in=[each.pk for each in self.known if tag in each.tags])
        if asked.get("since"):
            runs = runs.filter(created_at__gte=asked["since"], pk__gte=self.first_key)
        if asked.get("until"):
            runs = runs.filter(created_at__lt=asked["until"], pk__lte=self.last_key)
        if asked.get("ended"):
            runs = runs.filter(completed_at__gte=asked["ended"])
        if but != "before":
            runs = runs.filter(pk__lt=asked["before"]) if asked.get("before") else runs
            runs = runs.filter(pk__gt=asked["after"]) if asked.get("after") else runs
        return runs

    @cached_property
    def pipeline_key(self) -> int:
        uuid = self.cleaned_data["pipeline"]
        known = next((each.pk for each in self.known if each.uuid == uuid), None)
        return known or Pipeline.objects.filter(uuid=uuid).values_list("pk", flat=True).first() or 0

    @cached_property
    def first_key(self) -> int:
        """Return the lowest number that a run created since then may have: no list is read to its end for it."""
        later = PipelineRun.objects.filter(created_at__gte=self.cleaned_data["since"]).order_by("created_at", "id")
        key = later.values_list("pk", flat=True).first()
        return 2**63 - 1 if key is None else key - SLACK

    @cached_property
    def last_key(self) -> int:
        earlier = PipelineRun.objects.filter(created_at__lt=self.cleaned_data["until"]).order_by("-created_at", "-id")
        key = earlier.values_list("pk", flat=True).first()
        return 0 if key is None else key + SLACK

    @cached_property
    def number(self) -> int | None:
        """Return the number of a run that was searched for, if there is one with it."""
        given = str(self.cleaned_data.get("q") or "").removeprefix("#")
        if not (given.isascii() and given.isdigit() and len(given) < 19):
            return None
        return PipelineRun.objects.filter(pk=int(given)).values_list("pk", flat=True).first()

    def end_of_window(self, but: str = "") -> int | None:
        """Return the number at which looking stops; None if all is looked through."""
        if not self.is_slow or self.number is not None:
            return None
        if but not in self.ends:
            keys = self.indexed(PipelineRun.objects.order_by(self.by_number), but).values_list("pk", flat=True)
            self.ends[but] = next(iter(keys[WINDOW - 1 : WINDOW]), None)
        return self.ends[but]

    @property
    def by_number(self) -> str:
        return "id" if self.cleaned_data.get("order") == "oldest" else "-id"

    def slowly(self, runs: PipelineRunQuerySet) -> PipelineRunQuerySet:
        asked = self.cleaned_data
        runs = runs.filter(status=asked["status"]) if self.state_is_slow else runs
        runs = runs.filter(origin=asked["origin"]) if asked.get("origin") else runs
        if span := asked.get("longer"):
            going_on = Q(completed_at=None, started_at__lte=self.moment - span)
            runs = runs.filter(going_on | Q(completed_at__gte=F("started_at") + span))
        return runs.matching(asked["q"]) if asked.get("q") else runs
