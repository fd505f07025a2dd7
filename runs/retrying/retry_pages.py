"""The pages on which people let a run go on: repeat it, mark a block of it by hand, keep it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from pipelines.refusal import Refusal
from runs.models import BlockRun, PipelineRun, Role
from runs.retrying import marking, repeating
from runs.retrying.repeat_plans import Plan, Version
from runs.shown_blocks import MOST
from runs.views import find_run

PLAN = "retry-plan"  # the id of the part that htmx asks for
TONES = {"+": "plus", "-": "minus", "@": "place"}


@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show the choice and what it would do; a POST does it. Asked for by htmx, only what it would do."""
    run = find_run(run_id)
    given = request.POST if request.method == "POST" else request.GET
    asked = wanted(given)
    if request.method == "POST":
        return do_retry(request, run, asked)
    context = {"run": run, "asked": asked, "what": what_of(asked), "blocks": retried_blocks(run), **told(run, asked)}
    is_part = request.headers.get("HX-Target") == PLAN
    return render(request, "runs/_retry_plan.html" if is_part else "runs/retry.html", context)


def do_retry(request: HttpRequest, run: PipelineRun, asked: dict[str, Any]) -> HttpResponse:
    if asked["from_block"] and not run.block_runs.filter(block_uuid=asked["from_block"]).exists():
        raise Http404(f"Run {run.pk} has no block {asked['from_block'][:80]!r}.")
    try:
        goes_on = repeating.retry(run, moment=timezone.now(), by=request.user.get_username(), **asked)
    except Refusal as refusal:
        messages.warning(request, str(refusal))
        return redirect("runs:detail", run.pk)
    if goes_on:
        messages.success(request, f"Run {run.pk} goes on: attempt {run.attempt + 1}.")
    else:
        messages.warning(request, str(repeating.unfinished(find_run(run.pk))))
    return redirect("runs:detail", run.pk)


@require_http_methods(["GET", "POST"])
def mark(request: HttpRequest, run_id: int, block_run_id: int) -> HttpResponse:
    """Ask how a block run shall end and why; a POST ends it."""
    run = find_run(run_id)
    row = run.block_runs.defer("output").filter(pk=block_run_id).first()
    if row is None:
        raise Http404(f"Run {run_id} has no such block.")
    context: dict[str, Any] = {"run": run, "b": row, "marks": marks(row), "longest": marking.LONGEST_REASON}
    if request.method == "POST":
        outcome, reason = request.POST.get("status", ""), request.POST.get("reason", "")
        try:
            marking.mark(row, outcome, moment=timezone.now(), by=request.user.get_username(), reason=reason)
        except Refusal as refusal:
            context |= {"problem": str(refusal), "outcome": outcome, "reason": reason[: marking.LONGEST_REASON]}
        else:
            messages.success(request, f"{row.block_uuid} is marked {outcome}.")
            return redirect("runs:detail", run_id)
    return render(request, "runs/mark.html", context, status=422 if "problem" in context else 200)


@require_POST
def keep(request: HttpRequest, run_id: int) -> HttpResponse:
    """Keep a run from retention, or leave it to it."""
    find_run(run_id).set_kept(request.POST.get("keep") == "yes")
    return redirect("runs:detail", run_id)


# --- what they show -------------------------------------------------------------------------------------------------


def wanted(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `repeating.retry` takes from a form or a query; what is not understood is what is usual."""
    block = str(given.get("from_block") or "")
    what = given.get("what") or ("from" if block else "incomplete")
    version = given.get("version", "pinned")
    return {
        "from_block": block if what == "from" and block else None,
        "incomplete": what != "whole",
        "version": version if version in get_args(Version) else "pinned",
    }


def what_of(asked: Mapping[str, Any]) -> str:
    return "from" if asked["from_block"] else "incomplete" if asked["incomplete"] else "whole"


def retried_blocks(run: PipelineRun) -> list[str]:
    """Return the uuids that a retry may begin from."""
    rows = run.block_runs.exclude(role=Role.CALLBACK).order_by("position", "id")
    return list(rows.values_list("block_uuid", flat=True)[:MOST])


def told(run: PipelineRun, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what would happen, or why nothing can."""
    try:
        plan, refused = repeating.preview(run, moment=timezone.now(), **asked)
    except Refusal as refusal:
        return {"problem": str(refusal)}
    return {"plan": plan, "refused": refused, "diffs": diffs(plan), "outputs_gone": outputs_gone(run, plan)}


def outputs_gone(run: PipelineRun, plan: Plan) -> bool:
    """Whether blocks that run again may ask for outputs that retention has removed."""
    return run.outputs_removed_at is not None and bool(plan.kept)


class DiffLine(NamedTuple):
    tone: str
    text: str


def diffs(plan: Plan) -> list[dict[str, Any]]:
    """Return each difference of the current version with its code line by line."""
    found = plan.change.differences if plan.change else ()
    return [{"of": each, "lines": list(diff_lines(each.code))} for each in found]


def diff_lines(code: str) -> Iterator[DiffLine]:
    for line in code.splitlines():
        is_head = line.startswith(("+++", "---"))
        yield DiffLine("file" if is_head else TONES.get(line[:1], ""), line)


def marks(row: BlockRun) -> list[tuple[str, str]]:
    """Return the marks that would change something, with what they mean."""
    meanings = {
        "completed": "What comes after it goes on; it gets None for the output of this block.",
        "failed": "What comes after it does not run, unless it asks for failures.",
        "skipped": "As if its condition had not been met: what comes after it is skipped too.",
    }
    return [(name, text) for name, text in meanings.items() if marking.MARKS[name] != row.status]
