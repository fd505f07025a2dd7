"""The page of the list: a page of runs in the order asked for, and how long the newest of them took."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from runs.drawing.scatter import Dot, Scatter, scatter
from runs.listing.filters import RunFilter
from runs.models import PipelineRun
from runs.zones import UTC

PAGE = 50
DOTS = 300
SORTED = 1000  # runs among which the longest are found
MOST_COUNTED = 10_000
FOR_DOTS = ("status", "started_at", "completed_at", "pipeline__uuid")


@dataclass(frozen=True)
class Page:
    """Runs, and where the list goes on: `older` before that number, `newer` after it (of one in the other order).

    `stopped_at`: a part of the filter was looked for in so many runs only, down to that number.
    """

    runs: Sequence[PipelineRun]
    older: int | None = None
    newer: int | None = None
    stopped_at: int | None = None


def page(form: RunFilter, moment: datetime) -> Page:
    """Return the runs to show. Three queries at most, but for those of the filter."""
    form.is_valid()
    order = form.cleaned_data.get("order")
    if order == "longest":
        return Page(longest(form, moment))
    found = list(form.chosen(PipelineRun.objects.for_list().order_by(form.by_number))[: PAGE + 1])
    shown, goes_on = found[:PAGE], len(found) > PAGE
    following, stopped_at = (shown[-1].pk, None) if goes_on else (None, form.end_of_window())
    if order == "oldest":
        return Page(shown, newer=following, stopped_at=stopped_at)
    return Page(shown, older=following, stopped_at=stopped_at)


def longest(form: RunFilter, moment: datetime) -> list[PipelineRun]:
    """Return those that took longest among the newest 1,000."""
    rows = form.chosen(PipelineRun.objects.order_by("-id"))[:SORTED].values_list("pk", "started_at", "completed_at")
    took = {pk: ((end or moment) - begin).total_seconds() for pk, begin, end in rows if begin}
    chosen = sorted(took, key=lambda pk: (-took[pk], -pk))[:PAGE]
    runs = PipelineRun.objects.for_list().in_bulk(chosen)
    return [runs[pk] for pk in chosen if pk in runs]


def dots(form: RunFilter, moment: datetime, zone: ZoneInfo = UTC) -> Scatter | None:
    """Draw how long the newest 300 that fit took. One query."""
    rows = form.chosen(PipelineRun.objects.select_related("pipeline").only(*FOR_DOTS).order_by(form.by_number))[:DOTS]
    return scatter(list(dots_of(rows, moment)), zone)


def dots_of(runs: Iterable[PipelineRun], moment: datetime) -> Iterable[Dot]:
    for run in runs:
        if run.started_at:
            seconds = max(((run.completed_at or moment) - run.started_at).total_seconds(), 0.0)
            yield Dot(run.pk, run.started_at, seconds, run.status, run.pipeline.uuid)


def matching(form: RunFilter) -> str:
    """Say how many runs fit the filter, without counting more than 10,000 of them."""
    count = form.chosen(PipelineRun.objects.all(), but="before")[: MOST_COUNTED + 1].count()
    return f"{count:,}" if count <= MOST_COUNTED else f"more than {MOST_COUNTED:,}"


QUICK = (
    ("Failed in 24 h", {"status": "failed", "since": "24h"}),
    ("Running", {"status": "running"}),
    ("Waiting", {"status": "initial"}),
    ("Longer than 10 min today", {"longer": "10m", "since": "24h"}),
    ("Cancelled in 7 d", {"status": "cancelled", "since": "7d"}),
    ("Longest of the last 24 h", {"since": "24h", "order": "longest"}),
)


@dataclass(frozen=True)
class QuickView:
    """A view that people often want; `is_on`: this is it."""

    words: str
    query: str
    is_on: bool


def quick_views(asked: Mapping[str, str]) -> list[QuickView]:
    given = {name: value for name, value in asked.items() if value and name != "zone"}
    return [QuickView(words, urlencode(query), query == given) for words, query in QUICK]
