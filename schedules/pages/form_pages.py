"""The pages on which a trigger is written down or changed, and what is told while someone types."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from pipelines.models import Pipeline
from pipelines.pages import row_or_404
from pipelines.refusal import Refusal
from runs.zones import zone_names
from schedules.days.calendars import Calendar, Shelf
from schedules.forms import ScheduleForm
from schedules.models import PipelineSchedule, ScheduleType
from schedules.pages import plans
from schedules.policies import After, Match
from schedules.rules.cron_words import listed

UPCOMING = 10


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
        return show_form(request, ScheduleForm(pipelines=uuids(), schedule=schedule))
    form = ScheduleForm(request.POST, pipelines=uuids(), schedule=schedule)
    if not form.is_valid() or form.save(timezone.now()) is None:
        return show_form(request, form, status=409 if form.is_stale else 422)
    messages.success(request, f"The trigger {schedule.name} is saved.")
    return redirect("schedules:detail", schedule_id)


@require_POST
def preview(request: HttpRequest, schedule_id: int | None = None) -> HttpResponse:
    """The next moments of what is being typed and what saving it would change, or what is wrong with it."""
    schedule, now = find(schedule_id) if schedule_id is not None else None, timezone.now()
    form = ScheduleForm(request.POST, pipelines=uuids(), schedule=schedule)
    form.is_valid()  # what is wrong is told when it is sent; here the rest is shown
    draft = form.draft()
    context: dict[str, Any] = {"schedule": schedule, "draft": draft, "zone": draft.timezone, "now": now}
    try:
        context |= (
            {"words": draft.timetable().describe(), "upcoming": draft.timetable().upcoming(now, UPCOMING)}
            if is_timed(draft)
            else {"words": in_words(draft)}
        )
        context["plan"] = plans.plan(schedule, draft, now)
    except Refusal as refusal:
        context["problem"] = str(refusal) if draft.schedule_interval else ""
    return render(request, "schedules/_preview.html", context)


# --- what the views show --------------------------------------------------------------------------------------------


def find(schedule_id: int) -> PipelineSchedule:
    return row_or_404(PipelineSchedule.objects.ready_to_start(), schedule_id, "trigger")


def in_words(schedule: PipelineSchedule, shelf: Shelf | None = None) -> str:
    """Return when or by what a trigger starts; for what makes no sense, its rule as it is written.

    One `shelf` of calendars does for many triggers.
    """
    try:
        match schedule.schedule_type:
            case ScheduleType.API:
                return "started by an API call"
            case ScheduleType.EVENT:
                return chain_in_words(schedule.checked_settings().after)
        return schedule.timetable(shelf).describe()
    except Refusal:
        return schedule.schedule_interval


def chain_in_words(after: After | None) -> str:
    if after is None:
        return "started by events"
    which = "" if len(after.pipelines) == 1 else f"{after.match} of "
    verb = "has" if len(after.pipelines) == 1 or after.match is Match.ANY else "have"
    return f"when {which}{listed(after.pipelines)} {verb} {after.on}"


def is_timed(schedule: PipelineSchedule) -> bool:
    return schedule.schedule_type == ScheduleType.TIME


def uuids() -> list[str]:
    return list(Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:2000])


def show_form(request: HttpRequest, form: ScheduleForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "schedule": form.schedule,
        "zones": sorted(zone_names()),
        "calendars": list(Calendar.objects.order_by("name").values_list("name", flat=True)[:500]),
    }
    return render(request, "schedules/form.html", context, status=status)


def show_token(request: HttpRequest, schedule: PipelineSchedule, token: str) -> HttpResponse:
    context = {"schedule": schedule, "token": token, "url": call_url(request, schedule)}
    return render(request, "schedules/token.html", context)


def call_url(request: HttpRequest, schedule: PipelineSchedule) -> str:
    """Return the address at which a program starts an API trigger."""
    return request.build_absolute_uri(f"/api/pipeline_schedules/{schedule.pk}/pipeline_runs")
