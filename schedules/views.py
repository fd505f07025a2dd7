"""The pages of schedules ("triggers"): when they are due, what was decided, and the form that changes them."""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import overview
from runs.forms import StartForm
from runs.models import PipelineRun
from runs.views import is_refresh, with_progress
from schedules import scheduler, timetable, triggers
from schedules.forms import ScheduleForm, typed_timetable
from schedules.models import PipelineSchedule, ScheduleType, Source

PAGE, LEDGER, RUNS, UPCOMING = 100, 50, 15, 10
STATES = ("", "active", "paused", "set aside")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    text, state = request.GET.get("q", "").strip()[:200].replace("\x00", ""), request.GET.get("state", "")
    found = PipelineSchedule.objects.for_list().matching(text, state)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    strips = overview.last_runs(PipelineSchedule.objects.filter(pk__in=[each.pk for each in shown]), "trigger_id", 12)
    context = {
        "rows": [
            {"schedule": each, "words": in_words(each), "strip": strips[each.pk], "start": StartForm.fresh()}
            for each in shown
        ],
        "page": page,
        "q": text,
        "state": state,
        "states": STATES,
        "now": timezone.now(),
    }
    return render(request, "schedules/_rows_live.html" if is_refresh(request) else "schedules/list.html", context)


@require_GET
def detail(request: HttpRequest, schedule_id: int) -> HttpResponse:
    context = page_of(find(schedule_id), request.GET.get("before"))
    return render(request, "schedules/_detail_live.html" if is_refresh(request) else "schedules/detail.html", context)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show_form(request, ScheduleForm(pipelines=uuids(), pipeline=request.GET.get("pipeline", "")))
    form = ScheduleForm(request.POST, pipelines=uuids())
    saved = form.save(timezone.now()) if form.is_valid() else None
    if saved is None:
        return show_form(request, form, status=422)
    schedule, token = saved
    if token:
        return show_token(request, schedule, token)
    messages.success(request, f"The trigger {schedule.name} is saved.")
    return redirect("schedules:detail", schedule.pk)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = find(schedule_id)
    if request.method != "POST":
        return show_form(request, ScheduleForm(schedule=schedule))
    form = ScheduleForm(request.POST, schedule=schedule)
    if not form.is_valid() or form.save(timezone.now()) is None:
        return show_form(request, form, status=409 if form.is_stale else 422)
    messages.success(request, f"The trigger {schedule.name} is saved.")
    return redirect("schedules:detail", schedule_id)


@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """The next moments of what is being typed, or what is wrong with it."""
    context: dict[str, Any] = {"now": timezone.now(), "zone": request.GET.get("timezone", "")[:100] or "UTC"}
    try:
        plan = typed_timetable(request.GET)
        context |= {"words": plan.describe(), "upcoming": plan.upcoming(context["now"], UPCOMING)}
    except Refusal as refusal:
        context["problem"] = str(refusal) if request.GET.get("schedule_interval", "").strip() else ""
    return render(request, "schedules/_upcoming.html", context)


@require_POST
def pause(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = find(schedule_id)
    schedule.pause(timezone.now())
    messages.success(request, f"The trigger {schedule.name} is paused; runs under way go on.")
    return back(request, schedule)


@require_POST
def resume(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = find(schedule_id)
    schedule.resume(timezone.now())
    if schedule.problem:
        messages.error(request, f"The trigger {schedule.name} cannot fire: {schedule.problem}")
    else:
        messages.success(request, f"The trigger {schedule.name} is active from now on.")
    return back(request, schedule)


@require_POST
def start(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Run now, with this trigger's settings; sending the same form twice starts it once."""
    schedule, form = find(schedule_id), StartForm.sent(request.POST)
    run = form.start(partial(scheduler.start_now, schedule), user=request.user, moment=timezone.now())
    if run is None:
        return render(request, "schedules/detail.html", page_of(schedule, None) | {"start": form}, status=422)
    messages.success(request, f"Run {run.pk} of {schedule.pipeline.uuid} is started.")
    return redirect("runs:detail", run.pk)


@require_POST
def rotate(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Make a new token for an API trigger and show it this once; the old one ends."""
    schedule = find(schedule_id)
    if schedule.schedule_type != ScheduleType.API:
        raise Http404(f"The trigger {schedule.name} has no token: it is started by {schedule.schedule_type}.")
    return show_token(request, schedule, schedule.rotate_token())


@require_POST
def delete(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = find(schedule_id)
    try:
        triggers.delete(schedule)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("schedules:detail", schedule_id)
    messages.success(request, f"The trigger {schedule.name} is deleted; its runs stay.")
    return redirect("schedules:list")


# --- what the views show --------------------------------------------------------------------------------------------


def find(schedule_id: int) -> PipelineSchedule:
    schedule = PipelineSchedule.objects.for_list().filter(pk=schedule_id).first() if schedule_id < 2**63 else None
    if schedule is None:
        raise Http404(f"There is no trigger {str(schedule_id)[:80]}. It may have been deleted.")
    return schedule


def page_of(schedule: PipelineSchedule, before: str | None) -> dict[str, Any]:
    now = timezone.now()
    ledger = list(schedule.occurrences.ledger(moment_of(before))[: LEDGER + 1])
    return {
        "schedule": schedule,
        "words": in_words(schedule),
        "upcoming": upcoming(schedule, now),
        "ledger": ledger[:LEDGER],
        "older": ledger[LEDGER - 1].scheduled_for.isoformat() if len(ledger) > LEDGER else None,
        "before": before,
        "runs": with_progress(list(PipelineRun.objects.for_list().filter(trigger_id=schedule.pk)[:RUNS])),
        "strip": overview.last_runs(PipelineSchedule.objects.filter(pk=schedule.pk), "trigger_id", 40)[schedule.pk],
        "in_code": schedule.source == Source.CODE,
        "start": StartForm.fresh(),
        "now": now,
    }


def moment_of(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def in_words(schedule: PipelineSchedule) -> str:
    if schedule.schedule_type != ScheduleType.TIME:
        return f"started by {'an API call' if schedule.schedule_type == ScheduleType.API else 'events'}"
    try:
        return schedule.timetable().describe()
    except Refusal:
        return schedule.schedule_interval


def upcoming(schedule: PipelineSchedule, now: datetime) -> list[timetable.Instant]:
    """Return the next moments, as they would be also for a paused trigger; none for what cannot fire."""
    if schedule.schedule_type != ScheduleType.TIME:
        return []
    try:
        return schedule.timetable().upcoming(now, UPCOMING)
    except Refusal:
        return []


def uuids() -> list[str]:
    return list(Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:2000])


def show_form(request: HttpRequest, form: ScheduleForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "schedule": form.schedule, "zones": sorted(timetable.zone_names())}
    return render(request, "schedules/form.html", context, status=status)


def show_token(request: HttpRequest, schedule: PipelineSchedule, token: str) -> HttpResponse:
    url = request.build_absolute_uri(f"/api/pipeline_schedules/{schedule.pk}/pipeline_runs")
    return render(request, "schedules/token.html", {"schedule": schedule, "token": token, "url": url})


def back(request: HttpRequest, schedule: PipelineSchedule) -> HttpResponse:
    """Return to the page the button was on: the list, or the schedule."""
    if request.POST.get("from") == "list":
        return redirect("schedules:list")
    return redirect("schedules:detail", schedule.pk)
