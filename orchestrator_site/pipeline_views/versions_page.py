"""The view of a pipeline's versions: when each came, how many runs it had, and what differs between any two."""

from collections.abc import Sequence
from typing import Any

from django.db.models import IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.code_page import is_id, version_of
from orchestrator_site.pipeline_views.frame import choice_of, find, show
from pipelines.diff_lines import side_by_side
from pipelines.differences import differences, file_differences, pipeline_differences
from pipelines.models import Pipeline, PipelineVersion
from runs import breaking
from runs.breaking import Breaking
from runs.models import PipelineRun
from runs.retrying.retry_pages import diff_lines
from runs.retrying.version_changes import definition

PAGE = 25
MOST_COUNTED = 1000
LAYOUTS = ("unified", "side")


class Counted(Subquery):
    """How many rows a subquery finds, which has a LIMIT."""

    output_field = IntegerField()
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS found)"


@require_GET
def versions(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    layout, problem = choice_of(request, "as", LAYOUTS)
    before = request.GET.get("before", "")
    context = {"layout": layout, "problem": problem, **page_of(pipeline, int(before) if is_id(before) else None)}
    pair = asked_for(pipeline, request.GET.get("from", ""), request.GET.get("to", "")) or pair_of(context)
    return show(request, pipeline, "versions", context | what_differs(pair, layout))


def page_of(pipeline: Pipeline, before: int | None) -> dict[str, Any]:
    found = with_counts(PipelineVersion.objects.filter(pipeline=pipeline)).order_by("-id")
    rows = list((found.filter(pk__lt=before) if before else found)[: PAGE + 1])
    return {
        "rows": rows[:PAGE],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "before": before,
        "most": MOST_COUNTED,
        "broke": breaking.of(pipeline.pk),
    }


def with_counts(versions: QuerySet[PipelineVersion]) -> QuerySet[PipelineVersion]:
    """Add the number of runs of each, as far as it is counted: one more than that stands for many."""
    runs = PipelineRun.objects.filter(version=OuterRef("pk")).order_by().values("pk")[: MOST_COUNTED + 1]
    return versions.defer("graph", "settings", "files").annotate(runs_count=Counted(runs))


def asked_for(pipeline: Pipeline, old: str, new: str) -> tuple[PipelineVersion, PipelineVersion] | None:
    """Return the two versions that the address names; a 404 that says which of them is not there."""
    if not old and not new:
        return None
    before, after = version_of(pipeline, old), version_of(pipeline, new)
    return (before, after) if before and after else None


def pair_of(context: dict[str, Any]) -> tuple[PipelineVersion, PipelineVersion] | None:
    """Return the two versions to begin with: those around the break if there is one, else the newest two."""
    broke: Breaking | None = context["broke"]
    rows: Sequence[PipelineVersion] = context["rows"]
    if broke and broke.good and broke.is_other_version:
        keys = [broke.good.version_id, broke.bad.version_id]
    else:
        keys = [row.pk for row in rows[:2]][::-1]
    found = PipelineVersion.objects.in_bulk(keys) if len(keys) == 2 else {}
    return (found[keys[0]], found[keys[1]]) if len(found) == 2 else None


def what_differs(pair: tuple[PipelineVersion, PipelineVersion] | None, layout: str) -> dict[str, Any]:
    if pair is None:
        return {"old": None, "new": None}
    old, new = (definition(version) for version in pair)
    return {
        "old": pair[0],
        "new": pair[1],
        "settings": pipeline_differences(old, new),
        "blocks": [{"of": each, "code": code_of(each.code, layout)} for each in differences(old, new)],
        "files": [{"path": path, "code": code_of(diff, layout)} for path, diff in file_differences(old, new)],
    }


def code_of(diff: str, layout: str) -> dict[str, Any]:
    """Return the lines of a diff, or pairs of lines; what cannot be shown in pairs stays a list of lines."""
    pairs = list(side_by_side(diff)) if layout == "side" else []
    return {"pairs": pairs} if pairs else {"lines": list(diff_lines(diff))}
