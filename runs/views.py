"""The pages of runs. Each is also its own live fragment: asked for by htmx, it answers without the frame."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from pipelines.drawing import draw
from pipelines.pages import row_or_404
from pipelines.refusal import Refusal
from runs import callbacks, kinship, lifecycle, logs, overview, shown_blocks, streams
from runs.figures.figures import figures, log_is_gone
from runs.history import all_attempts
from runs.in_time import in_time, shown_events
from runs.listing.filters import RunFilter, known_pipelines
from runs.listing.listed import dots, matching, page, quick_views
from runs.models import BlockRun, PipelineRun, Role
from runs.outputs.downloads import shown_outputs
from runs.reasons.why import why
from runs.shown_gantt import gantt_of
from runs.shown_members import Members
from runs.states import BlockStatus, RunStatus
from runs.storing.store import StoreError
from runs.viewer_zone import viewer_zone

MOST_CALLBACKS = 200
MOST_EVENTS = 200
LOG_TAIL = 1024 * 1024  # bytes of a long log that a page begins with


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    form = RunFilter(request.GET, pipelines=known_pipelines(), moment=now)
    shown = page(form, now)
    context = {
        "form": form,
        "runs": with_progress(shown.runs),
        "page": shown,
        "before": form.cleaned_data.get("before") or form.cleaned_data.get("after"),
        "matching": matching(form),
        "used": form.used(),
        "quick": quick_views(request.GET),
        "scatter": dots(form, now, viewer_zone()),
        "zone": viewer_zone(),
        "choose": True,
        "now": now,
    }
    return render(request, "runs/_rows_live.html" if is_refresh(request) else "runs/list.html", context)


@require_GET
def detail(request: HttpRequest, run_id: int) -> HttpResponse:
    run = find_run(run_id)
    block_runs = shown_blocks.read(run)
    members = Members(run, block_runs)
    called = list(run.block_runs.called_for_page()[:MOST_CALLBACKS]) if run.callbacks else []
    asked = request.GET.get("block")
    chosen = members.named(asked) or chosen_block(block_runs, asked, called)
    events = list(run.events.select_related("block_run").defer(*WIDE_OF_EVENT).order_by("-id")[:MOST_EVENTS])
    now = timezone.now()
    drawn = gantt_of(run, block_runs, members.counts, now)
    shown = shown_blocks.choose(block_runs, request.GET, chain=drawn.chain, current=drawn_as(chosen))
    shown_blocks.fill([*shown.rows, *([chosen] if chosen else [])])
    told = figures(run, chosen)
    context = {
        "run": run,
        "shown": shown,
        "gantt": drawn.only(shown.uuids),
        "callbacks": called,
        "drawing": draw(run.version.graph["blocks"]),
        "states": streams.states_of(run, block_runs),
        "counts": members.counts,
        "members": members.shown(chosen, request.GET),
        "tally": members.tally(block_runs),
        **shown_events(events, request.GET.get("events", "")),
        "variables": variables_of(run),
        "chosen": chosen,
        "chosen_uuid": drawn_as(chosen),
        "why": None if run.is_finished else why(run, now),
        "stream": streams.shown(chosen) if chosen else None,
        "children": kinship.started_by(chosen) if chosen else [],
        "log": log_of(chosen, request.GET.get("attempt")) if chosen else None,
        "attempts": all_attempts(chosen, run.attempt)[::-1] if chosen and chosen.attempt > 1 else [],
        **told,
        **in_time(run, block_runs, now, totals=told["totals"], events=events),
        "outputs": shown_outputs(chosen),
        "can_cancel": not run.is_finished,
        "can_retry": run.is_finished,
        "retried": [row.block_uuid for row in block_runs],
        "what": "whole" if run.status == RunStatus.COMPLETED else "incomplete",
        "now": now,
    }
    return render(request, "runs/_detail_live.html" if is_refresh(request) else "runs/detail.html", context)


@require_POST
def cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    run, by = find_run(run_id), request.user.get_username()
    if lifecycle.cancel(run, moment=timezone.now(), reason=f"cancelled by {by}", by=by):
        messages.success(request, f"Run {run_id} is cancelled.")
    else:
        messages.warning(request, f"Run {run_id} was finished already: {find_run(run_id).status}.")
    return redirect("runs:detail", run_id)


@require_POST
def stop_callback(request: HttpRequest, run_id: int, block_run_id: int) -> HttpResponse:
    callback = BlockRun.objects.filter(pk=block_run_id, pipeline_run=run_id).first()
    if callback is None:
        raise Http404(f"Run {run_id} has no such callback.")
    try:
        callbacks.stop(callback, moment=timezone.now(), by=request.user.get_username())
        messages.success(request, f"{callback.name} is stopped.")
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    return redirect("runs:detail", run_id)


# --- what the views show --------------------------------------------------------------------------------------------

WIDE_OF_EVENT = ("data", "block_run__config", "block_run__output", "block_run__error", "block_run__metrics")


def is_refresh(request: HttpRequest) -> bool:
    """Whether the page only wants its live region again."""
    return request.headers.get("HX-Target") == "live"


def find_run(run_id: int) -> PipelineRun:
    return row_or_404(PipelineRun.objects.for_page(), run_id, "run", gone="It may have been removed by retention.")


def variables_of(run: PipelineRun) -> list[tuple[str, Any, str]]:
    """Return name, value and origin of each variable."""
    origins = run.origins_of_variables()
    return [(name, value, origins.get(name, "")) for name, value in sorted(run.variables.items())]


def with_progress(runs: Sequence[PipelineRun]) -> list[dict[str, Any]]:
    """Put beside each run how its blocks are doing."""
    counts = overview.progress(runs)
    return [{"run": run, "tally": counts[run.pk]} for run in runs]


LOOK_AT_FIRST = (BlockStatus.FAILED, BlockStatus.RUNNING, BlockStatus.WAITING, BlockStatus.QUEUED)


def chosen_block(block_runs: Sequence[BlockRun], uuid: str | None, called: Sequence[BlockRun] = ()) -> BlockRun | None:
    """The block or callback that was asked for; else the block to look at: failed, at work, next, or last finished."""
    by_uuid = {block_run.block_uuid: block_run for block_run in (*called, *block_runs)}
    if uuid in by_uuid:
        return by_uuid[uuid]
    for status in LOOK_AT_FIRST:
        for block_run in block_runs:
            if block_run.status == status:
                return block_run
    first = next(iter(block_runs), None)
    return next((block_run for block_run in reversed(block_runs) if block_run.is_finished), first)


def drawn_as(chosen: BlockRun | None) -> str:
    """Return the block of the drawing that the chosen block run belongs to."""
    if chosen is None:
        return ""
    return chosen.parent.block_uuid if chosen.role == Role.MEMBER and chosen.parent else chosen.block_uuid


def log_of(block_run: BlockRun, wanted: str | None) -> dict[str, Any]:
    """Say which attempt's log to show and from which byte: a long one from near its end."""
    try:
        return where_to_begin(block_run, wanted)
    except StoreError:
        number = block_run.attempt
        return {"attempt": number, "attempts": [number], "from": 0, "size": 0, "is_gone": False}


def where_to_begin(block_run: BlockRun, wanted: str | None) -> dict[str, Any]:
    written = logs.attempts(block_run)
    latest = written[-1] if written and block_run.is_finished else block_run.attempt  # one marked by hand wrote none
    attempt = int(wanted) if wanted and wanted.isdecimal() and int(wanted) in written else latest
    size = logs.size(block_run, attempt)
    return {
        "attempt": attempt,
        "attempts": sorted({*written, block_run.attempt}),
        "from": max(0, size - LOG_TAIL) if size > 2 * LOG_TAIL else 0,
        "size": size,
        "is_gone": not size and log_is_gone(block_run, attempt),
    }
