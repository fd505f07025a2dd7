"""The page on which two runs stand beside each other, what differs first."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from pipelines.refusal import Refusal
from runs.comparing.blocks import Pair, longest
from runs.comparing.comparison import Comparison, compare
from runs.lineage import last_good, run_before
from runs.models import PipelineRun
from runs.retrying.retry_pages import diff_lines
from runs.states import BlockStatus
from runs.views import find_run

WIDEST = 100


@require_GET
def with_last_good(request: HttpRequest, run_id: int) -> HttpResponse:
    """Lead on to the comparison with the last completed run before it, or with the run that was asked for."""
    asked = request.GET.get("other", "").strip().removeprefix("#")
    if asked.isascii() and asked.isdigit() and len(asked) <= 18:
        return redirect("runs:compare_with", run_id, int(asked))
    run = find_run(run_id)
    if asked:
        return nothing(request, run, f"{asked[:80]!r} is no number of a run.")
    good = last_good(run)
    if good is None:
        return nothing(request, run, f"No run of {run.pipeline.uuid} has completed before this one.", status=200)
    return redirect("runs:compare_with", run_id, good.pk)


@require_GET
def two(request: HttpRequest, run_id: int, other_id: int) -> HttpResponse:
    """Compare a run with another one of its pipeline."""
    run = find_run(run_id)
    try:
        other = find_run(other_id)
        told = compare(run, other, numbers=request.GET.get("numbers") == "count")
    except Http404:
        return nothing(request, run, f"There is no run {other_id}. It may have been removed by retention.", status=404)
    except Refusal as refusal:
        return nothing(request, run, str(refusal))
    return render(request, "runs/compare.html", shown(told, request.GET))


def nothing(request: HttpRequest, run: PipelineRun, why: str, status: int = 400) -> HttpResponse:
    """Say why there is no comparison, and offer another."""
    context = {"run": run, "why": why, "others": others(run, None)}
    return render(request, "runs/compare.html", context, status=status)


def shown(told: Comparison, query: QueryDict) -> dict[str, Any]:
    show_all = query.get("show") == "all"
    blocks = list(told.blocks) if show_all else sorted(told.differing_blocks, key=weight)
    scale = longest(blocks) or 1.0
    return {
        "run": told.new,
        "other": told.old,
        "told": told,
        "facts": list(told.facts) if show_all else told.differing_facts,
        "blocks": [{"of": pair, "bars": [bar(side, scale) for side in pair.seconds]} for pair in blocks],
        "same_blocks": len(told.blocks) - len(told.differing_blocks),
        "diffs": [{"of": each, "lines": list(diff_lines(each.code))} for each in told.differences],
        "show_all": show_all,
        "numbers": query.get("numbers") == "count",
        "is_same": not (told.differing_facts or told.variables or told.differences or told.differing_blocks),
        "others": others(told.new, told.old),
    }


def weight(pair: Pair) -> int:
    """Say how far below a difference stands: what failed is above, other numbers of rows alone are last."""
    if pair.states[0] != pair.states[1]:
        return 0 if pair.states[1] == BlockStatus.FAILED else 1
    return 2 if pair.divergence or pair.is_slower_or_faster else 3


def bar(seconds: float | None, scale: float) -> float | None:
    """Return how wide the bar of a duration is, in hundredths of the longest."""
    return None if seconds is None else round(max(WIDEST * seconds / scale, 0.5), 1)


def others(run: PipelineRun, other: PipelineRun | None) -> list[tuple[str, int, str]]:
    """Return other runs that it may be compared with: what each is, its number and where that is."""
    found = [("last good run", last_good(run)), ("run before it", run_before(run))]
    return [
        (name, each.pk, reverse("runs:compare_with", args=[run.pk, each.pk]))
        for name, each in found
        if each is not None and (other is None or each.pk != other.pk)
    ]
