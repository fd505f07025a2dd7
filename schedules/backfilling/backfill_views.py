"""The pages of backfills: the list, the planner, and one with its slots."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pipelines.models import Pipeline
from pipelines.pages import RefusalsTold, form_of, row_or_404
from runs.views import is_refresh
from runs.zones import zone_names
from schedules.backfilling import backfill_endings, backfills
from schedules.backfilling.backfill_forms import BackfillForm, ChangeForm, last_week
from schedules.backfilling.backfill_progress import STATES, forecast, progress, rows_in, state_of
from schedules.models import Backfill, PipelineSchedule

PAGE, SLOTS = 50, 100


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    found = Backfill.objects.for_list()
    if text:
        found = found.filter(Q(name__icontains=text) | Q(pipeline__uuid__icontains=text))
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    counts = progress(shown)
    rows = [{"backfill": each, "counts": counts[each.pk]} for each in shown]
    context = {"rows": rows, "page": page, "q": text, "now": timezone.now()}
    return render(request, "backfills/_rows_live.html" if is_refresh(request) else "backfills/list.html", context)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """The planner. What is in the query string is filled in: a link is a view."""
    moment = timezone.now()
    if request.method != "POST":
        return show_planner(request, BackfillForm(pipelines=uuids(), initial=asked_for(request, moment)))
    form = BackfillForm(request.POST, pipelines=uuids())
    backfill = form.start(request.user, moment)
    if backfill is None:
        return show_planner(request, form, status=422)
    messages.success(request, f"The backfill {backfill.name} is started: its slots wait for their turn.")
    return redirect("backfills:detail", backfill.pk)


@require_POST
def plan(request: HttpRequest) -> HttpResponse:
    """Every slot of what is being typed, or what is wrong with it."""
    form = BackfillForm(request.POST, pipelines=uuids())
    if not form.data.get("pipeline"):
        return render(request, "backfills/_plan.html", {"form": form})
    found = form.plan(timezone.now())
    context: dict[str, Any] = {"form": form, "problems": problems_of(form), "plan": found}
    if found is not None:
        page = Paginator(found.slots, SLOTS).get_page(request.POST.get("page"))
        context |= {"page": page, "chosen": len(found.chosen), "total": len(found.slots)}
    return render(request, "backfills/_plan.html", context)


@require_GET
def detail(request: HttpRequest, backfill_id: int) -> HttpResponse:
    backfill = find(backfill_id)
    context = page_of(backfill, request) | {"change": ChangeForm(backfill=backfill)}
    return render(request, "backfills/_detail_live.html" if is_refresh(request) else "backfills/detail.html", context)


@require_POST
def steer(request: HttpRequest, backfill_id: int, verb: str) -> HttpResponse:
    """Pause, resume, cancel, retry."""
    backfill = find(backfill_id)
    if verb not in VERBS:
        raise Http404(f"A backfill cannot be told to {verb[:80]}.")
    with RefusalsTold(request):
        messages.success(request, VERBS[verb](backfill, timezone.now(), request.user.get_username()))
    return redirect("backfills:detail", backfill.pk)


@form_of("backfills:detail")
def change(request: HttpRequest, backfill_id: int) -> HttpResponse:
    backfill = find(backfill_id)
    form = ChangeForm(request.POST, backfill=backfill)
    if not form.save():
        context = page_of(find(backfill_id), request) | {"change": form}
        return render(request, "backfills/detail.html", context, status=422)
    messages.success(request, "The backfill is changed.")
    return redirect("backfills:detail", backfill.pk)


# --- what the buttons do --------------------------------------------------------------------------------------------


def pause(backfill: Backfill, moment: datetime, by: str) -> str:
    backfills.pause(backfill, moment)
    return "Paused: nothing more is started; runs under way go on."


def resume(backfill: Backfill, moment: datetime, by: str) -> str:
    backfills.resume(backfill, moment)
    return "Resumed."


def cancel(backfill: Backfill, moment: datetime, by: str) -> str:
    backfill_endings.cancel(backfill, moment, by=by)
    return "Cancelled: nothing more is started, and its runs are stopped."


def retry(backfill: Backfill, moment: datetime, by: str) -> str:
    count = backfills.retry_failed(backfill, moment)
    return f"{count} slot{'' if count == 1 else 's'} wait{'s' if count == 1 else ''} for another run."


VERBS: dict[str, Callable[[Backfill, datetime, str], str]] = {
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "retry": retry,
}


# --- what the views show --------------------------------------------------------------------------------------------


def find(backfill_id: int) -> Backfill:
    found = Backfill.objects.for_list().select_related("pipeline__current_version")
    found = found.defer("pipeline__current_version__files", "pipeline__current_version__graph")
    return row_or_404(found, backfill_id, "backfill")


def page_of(backfill: Backfill, request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    counts = progress([backfill])[backfill.pk]
    state = request.GET.get("state", "")
    state = state if state in STATES else ""
    page = Paginator(rows_in(backfill, state), SLOTS).get_page(request.GET.get("page"))
    return {
        "backfill": backfill,
        "counts": [(each, counts[each]) for each in STATES if counts[each]],
        "tally": counts,
        "total": sum(counts.values()),
        "forecast": forecast(backfill, counts, now),
        "is_open": backfill.state in ("initial", "running", "paused"),
        "may_retry": backfill.state != "cancelled" and (counts["failed"] or counts["skipped"]),
        "page": page,
        "rows": [
            {"row": row, "state": state_of(row.decision, row.pipeline_run.status if row.pipeline_run else None)}
            for row in page.object_list
        ],
        "state": state,
        "now": now,
    }


def asked_for(request: HttpRequest, moment: datetime) -> dict[str, Any]:
    """Return what the planner begins with: what the link says, the rest from the trigger or as a guess."""
    given = {name: str(request.GET[name])[:2000] for name in BackfillForm.base_fields if request.GET.get(name)}
    given.pop("key", None)
    number = given.get("schedule", "")
    schedule = PipelineSchedule.objects.filter(
        pk=int(number) if number.isdecimal() and len(number) < 19 else 0,
        pipeline__uuid=given.get("pipeline", "").replace("\x00", ""),
    ).first()
    if schedule is None:  # of another pipeline, which was chosen before
        given.pop("schedule", None)
    return last_week(schedule, moment) | given


def problems_of(form: BackfillForm) -> list[str]:
    """Return the errors of a form with the names of their fields, for a place away from it."""
    return [
        f"{form.fields[name].label or name.capitalize()}: {error}" if name in form.fields else str(error)
        for name, errors in form.errors.items()
        for error in errors
    ]


def show_planner(request: HttpRequest, form: BackfillForm, status: int = 200) -> HttpResponse:
    return render(request, "backfills/new.html", {"form": form, "zones": sorted(zone_names())}, status=status)


def uuids() -> list[str]:
    return list(Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:2000])
