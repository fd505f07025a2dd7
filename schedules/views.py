"""The pages of schedules ("triggers"): when they are due, what was decided, and the buttons that change them."""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from pipelines.models import Pipeline
from pipelines.pages import RefusalsTold, form_of
from pipelines.refusal import Refusal
from runs import overview
from runs.forms import StartForm, what_came_of
from runs.models import PipelineRun
from runs.variable_form import VariableForm
from runs.views import is_refresh, with_progress
from schedules import holding, scheduler, timetable, triggers
from schedules.days.calendars import Shelf
from schedules.files.triggers_file import triggers_path
from schedules.files.triggers_plan import is_in_code
from schedules.models import Decision, PipelineSchedule, ScheduleType
from schedules.pages import pauses, start_notes
from schedules.pages.form_pages import call_url, find, in_words, show_token
from schedules.reasons.drift import cadence, drift_of
from schedules.reasons.why import why_schedule
from schedules.reasons.why_lines import lines

PAGE, LEDGER, RUNS, UPCOMING, STRIP = 50, 50, 15, 10, 40
MOST_BROKEN = 20  # files whose mistakes are shown above the list
STATES = ("", "active", "paused", "late", "set aside")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    text, state = request.GET.get("q", "").strip()[:200].replace("\x00", ""), request.GET.get("state", "")
    now, wrong = timezone.now(), state if state not in STATES else ""
    state = "" if wrong else state
    found = PipelineSchedule.objects.for_list().matching(text, state, now)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    strips = overview.last_runs(PipelineSchedule.objects.filter(pk__in=[each.pk for each in shown]), "trigger_id", 12)
    whys, shelf = lines(shown, now), Shelf()
    context = {
        "rows": [
            {
                "schedule": each,
                "words": in_words(each, shelf),
                "strip": strips[each.pk],
                "why": whys.get(each.pk, ""),
                "drift": drift_of(each, strips[each.pk]),
                "start": StartForm.fresh(),
            }
            for each in shown
        ],
        "page": page,
        "q": text,
        "state": state,
        "states": STATES,
        "wrong_state": wrong,
        "broken": list(Pipeline.objects.with_broken_triggers()[:MOST_BROKEN]),
        "held": 0 if is_refresh(request) else holding.held().count(),
        "now": now,
    }
    return render(request, "schedules/_rows_live.html" if is_refresh(request) else "schedules/list.html", context)


@require_GET
def detail(request: HttpRequest, schedule_id: int) -> HttpResponse:
    context = page_of(find(schedule_id), request.GET.get("before"), request.GET.get("decision", ""))
    context["url"] = call_url(request, context["schedule"])
    return render(request, "schedules/_detail_live.html" if is_refresh(request) else "schedules/detail.html", context)


@require_POST
def pause(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule, sent, moment = find(schedule_id), request.POST, timezone.now()
    with RefusalsTold(request):
        until = pauses.read_until(sent.get("how", ""), sent.get("until", ""), schedule, moment)
        note = triggers.pause(schedule, moment, until)
        zone = timetable.read_zone(schedule.timezone)
        how_long = f" until {until.astimezone(zone):%Y-%m-%d %H:%M %Z}" if until else ""
        done = f"The trigger {schedule.name} is paused{how_long}; runs under way go on. {note}"
        messages.success(request, done.strip())
    return back(request, schedule)


@require_POST
def resume(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = find(schedule_id)
    with RefusalsTold(request):
        note = triggers.resume(schedule, timezone.now())
        if schedule.problem:
            messages.error(request, f"The trigger {schedule.name} cannot fire: {schedule.problem}")
        else:
            messages.success(request, f"The trigger {schedule.name} is active from now on. {note}".strip())
    return back(request, schedule)


@form_of("schedules:detail")
def start(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Run now, with this trigger's settings; sending the same form twice starts it once."""
    schedule = find(schedule_id)
    form = VariableForm.filled(request.POST, known_variables(schedule))
    run = form.start(partial(scheduler.start_now, schedule), user=request.user, moment=timezone.now())
    if run is None:
        return render(request, "schedules/detail.html", page_of(schedule, None) | {"start": form}, status=422)
    messages.success(request, what_came_of(run))
    return redirect("runs:detail", run.pk)


@require_POST
def rotate(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Make a new token for an API trigger and show it this once; the old one ends."""
    schedule = find(schedule_id)
    if schedule.schedule_type != ScheduleType.API:
        raise Http404(f"The trigger {schedule.name} has no token: it is started by {schedule.schedule_type}.")
    with RefusalsTold(request):
        return show_token(request, schedule, triggers.rotate_token(schedule))
    return redirect("schedules:detail", schedule_id)


@require_POST
def save_in_code(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Write a trigger that was made by hand into its pipeline's triggers.yaml."""
    schedule = find(schedule_id)
    with RefusalsTold(request):
        triggers.save_in_code(schedule)
        messages.success(request, f"The trigger {schedule.name} is written in {triggers_path(schedule.pipeline.uuid)}.")
    return redirect("schedules:detail", schedule_id)


@require_POST
def delete(request: HttpRequest, schedule_id: int) -> HttpResponse:
    schedule = find(schedule_id)
    with RefusalsTold(request):
        triggers.delete(schedule)
        messages.success(request, f"The trigger {schedule.name} is deleted; its runs stay.")
        return redirect("schedules:list")
    return redirect("schedules:detail", schedule_id)


# --- what the views show --------------------------------------------------------------------------------------------


def page_of(schedule: PipelineSchedule, before: str | None, decision: str = "") -> dict[str, Any]:
    now, decision = timezone.now(), decision if decision in Decision.values else ""
    ledger = list(schedule.occurrences.ledger(moment_of(before), decision)[: LEDGER + 1])
    runs = list(PipelineRun.objects.for_list().filter(trigger_id=schedule.pk)[:STRIP])
    return {
        "schedule": schedule,
        "words": in_words(schedule),
        "why": why_schedule(schedule, now, is_fresh=True),
        "cadence": cadence(schedule) if schedule.schedule_type == ScheduleType.TIME else None,
        "upcoming": upcoming(schedule, now),
        "ledger": ledger[:LEDGER],
        "older": ledger[LEDGER - 1].scheduled_for.isoformat() if len(ledger) > LEDGER else None,
        "before": before,
        "decision": decision,
        "decisions": Decision.values,
        "resuming": start_notes.what_resuming_does(schedule, now),
        "shift": start_notes.shift_in_words(schedule),
        "runs": with_progress(runs[:RUNS]),
        "strip": runs[::-1],
        **of_file(schedule),
        "start": VariableForm.of(known_variables(schedule)),
        "now": now,
    }


def known_variables(schedule: PipelineSchedule) -> dict[str, Any]:
    """Return the variables of a run of it, as they are if nobody says otherwise: the trigger's over the pipeline's."""
    version = schedule.pipeline.current_version
    return {**((version.settings.get("variables") or {}) if version else {}), **schedule.variables}


def of_file(schedule: PipelineSchedule) -> dict[str, Any]:
    """Say whether the trigger is in code, whether only the file may be changed, and what hinders its taking over."""
    in_code = is_in_code(schedule)
    try:
        only_file = triggers.rules_of(schedule).files_are_authoritative
    except Refusal:  # a broken metadata.yaml: told when someone tries
        only_file = False
    return {
        "in_code": in_code,
        "only_file": only_file,
        "may_change": not (in_code and only_file),
        "may_save_in_code": not in_code and not only_file and schedule.pipeline.is_present,
        "file": triggers_path(schedule.pipeline.uuid),
        "file_problems": schedule.pipeline.trigger_problems if in_code else [],
    }


def moment_of(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def upcoming(schedule: PipelineSchedule, now: datetime) -> list[timetable.Instant]:
    """Return the next moments, as they would be also for a paused trigger; none for what cannot fire."""
    if schedule.schedule_type != ScheduleType.TIME:
        return []
    try:
        return schedule.timetable().upcoming(now, UPCOMING)
    except Refusal:
        return []


def back(request: HttpRequest, schedule: PipelineSchedule) -> HttpResponse:
    """Return to the page the button was on: the list, or the schedule."""
    if request.POST.get("from") == "list":
        return redirect("schedules:list")
    return redirect("schedules:detail", schedule.pk)
