"""The pages of calendars and maintenance windows."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from executors.registry import FACTORIES
from pipelines.models import Pipeline
from pipelines.pages import RefusalsTold, row_or_404
from pipelines.refusal import Refusal
from runs.zones import zone_names
from schedules.days import calendar_changes, day_sets, window_changes, windows
from schedules.days.calendar_forms import CalendarForm, WindowForm
from schedules.days.calendars import Calendar
from schedules.days.maintenance import MaintenanceWindow
from schedules.timetable import read_zone

AHEAD, MOST_SHOWN, MOST_SPANS = 400, 24, 8


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now, users = timezone.now(), calendar_changes.users()
    calendars = [
        {"calendar": each, "coming": coming_days(each, now.date(), 3), "users": users.get(each.name, [])}
        for each in Calendar.objects.defer("ics").order_by("name")
    ]
    rows = [state_of(window, now) for window in MaintenanceWindow.objects.order_by("name")]
    rows.sort(key=lambda row: ORDER.index(row["state"]))
    return render(request, "calendars/list.html", {"calendars": calendars, "windows": rows, "now": now})


DAYS = ("country", "subdivision", "weekdays", "dates", "file")  # fields of the form that say which
OPENINGS = ("starts_at", "ends_at", "recurrence", "duration", "until")  # likewise, when
ORDER = ("open", "coming", "paused", "over", "broken")


def state_of(window: MaintenanceWindow, now: datetime) -> dict[str, Any]:
    """Return what the list says about a window: whether it is open, until when, or when it opens."""
    span = windows.read(window, lambda each: each.opening_at(now))
    coming = windows.read(window, lambda each: each.next_opening(now))
    words = windows.read(window, lambda each: each.describe())
    state = "open" if span else "coming" if coming else "over"
    if words is None:
        state = "broken"
    elif not window.is_active:
        state = "paused"
    return {"window": window, "state": state, "words": words or "cannot be read", "span": span, "coming": coming}


def coming_days(calendar: Calendar, first: date, most: int) -> list[tuple[date, str]]:
    """Return the coming days of a calendar; none of one that cannot be read."""
    try:
        named = calendar.days()
        days = ((day, named(day)) for day in (first + timedelta(days=count) for count in range(AHEAD)))
        found = [(day, name) for day, name in days if name is not None]
    except Refusal:
        return []
    return found[:most]


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show_calendar(request, CalendarForm())
    form = CalendarForm(request.POST, request.FILES)
    calendar = form.save(timezone.now()) if form.is_valid() else None
    if calendar is None:
        return show_calendar(request, form, status=422)
    messages.success(request, f"The calendar {calendar.name} is saved.")
    return redirect("calendars:list")


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, calendar_id: int) -> HttpResponse:
    calendar = find_calendar(calendar_id)
    if request.method != "POST":
        return show_calendar(request, CalendarForm(calendar=calendar))
    form = CalendarForm(request.POST, request.FILES, calendar=calendar)
    if not form.is_valid() or form.save(timezone.now()) is None:
        return show_calendar(request, form, status=409 if form.is_stale else 422)
    messages.success(request, f"The calendar {calendar.name} is saved; what uses it is planned anew.")
    return redirect("calendars:list")


@require_POST
def preview(request: HttpRequest, calendar_id: int | None = None) -> HttpResponse:
    """The coming days of what is being typed, or what is wrong with it."""
    calendar = find_calendar(calendar_id) if calendar_id is not None else None
    form = CalendarForm(request.POST, request.FILES, calendar=calendar)
    form.is_valid()
    problems = [error for name in DAYS for error in form.errors.get(name, [])]
    days = [] if problems else coming_days(form.draft, timezone.now().date(), MOST_SHOWN)
    context = {"problems": problems, "days": days, "is_blank": calendar is None and not has_any(request, DAYS)}
    return render(request, "calendars/_days.html", context)


@require_POST
def delete(request: HttpRequest, calendar_id: int) -> HttpResponse:
    calendar = find_calendar(calendar_id)
    with RefusalsTold(request):
        calendar_changes.delete(calendar)
        messages.success(request, f"The calendar {calendar.name} is deleted.")
        return redirect("calendars:list")
    return redirect("calendars:edit", calendar_id)


@require_http_methods(["GET", "POST"])
def create_window(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show_window(request, WindowForm())
    form = WindowForm(request.POST)
    window = form.save() if form.is_valid() else None
    if window is None:
        return show_window(request, form, status=422)
    messages.success(request, f"The window {window.name} is saved.")
    return redirect("calendars:list")


@require_http_methods(["GET", "POST"])
def edit_window(request: HttpRequest, window_id: int) -> HttpResponse:
    window = find_window(window_id)
    if request.method != "POST":
        return show_window(request, WindowForm(window=window))
    form = WindowForm(request.POST, window=window)
    if not form.is_valid() or form.save() is None:
        return show_window(request, form, status=409 if form.is_stale else 422)
    messages.success(request, f"The window {window.name} is saved.")
    return redirect("calendars:list")


@require_POST
def preview_window(request: HttpRequest, window_id: int | None = None) -> HttpResponse:
    """When what is being typed is open next, or what is wrong with it."""
    window = find_window(window_id) if window_id is not None else None
    form = WindowForm(request.POST, window=window)
    form.is_valid()
    problems = [error for name, errors in form.errors.items() if name != "name" for error in errors]
    draft = form.draft
    context = {
        "problems": problems,
        "spans": [] if problems else spans_of(draft, timezone.now()),
        "zone": draft.timezone,
        "is_blank": window is None and not has_any(request, OPENINGS),
    }
    return render(request, "calendars/_spans.html", context)


def spans_of(window: MaintenanceWindow, now: datetime) -> list[str]:
    """Return when a window is open, from now on, in its own zone."""
    found: list[str] = []
    try:
        zone = read_zone(window.timezone)
        span = window.opening_at(now) or window.next_opening(now)
        while span and len(found) < MOST_SPANS:
            begin, end = (moment.astimezone(zone) for moment in span)
            found.append(f"{begin:%a %Y-%m-%d %H:%M} to {end:%a %Y-%m-%d %H:%M}")
            span = window.next_opening(span[0])
    except Refusal:
        return []
    return found


@require_POST
def delete_window(request: HttpRequest, window_id: int) -> HttpResponse:
    window = find_window(window_id)
    window_changes.delete(window)
    messages.success(request, f"The window {window.name} is deleted; what it held may start.")
    return redirect("calendars:list")


# --- what the views show --------------------------------------------------------------------------------------------


def has_any(request: HttpRequest, names: Iterable[str]) -> bool:
    """Is something typed in one of these fields?"""
    return any(request.POST.get(name) or request.FILES.get(name) for name in names)


def find_calendar(calendar_id: int) -> Calendar:
    return row_or_404(Calendar.objects.all(), calendar_id, "calendar")


def find_window(window_id: int) -> MaintenanceWindow:
    return row_or_404(MaintenanceWindow.objects.all(), window_id, "maintenance window")


def show_calendar(request: HttpRequest, form: CalendarForm, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "calendar": form.calendar, "countries": sorted(day_sets.countries_known())}
    if form.calendar:
        context["users"] = calendar_changes.users_of(form.calendar.name)
    return render(request, "calendars/calendar_form.html", context, status=status)


def show_window(request: HttpRequest, form: WindowForm, status: int = 200) -> HttpResponse:
    pipelines = Pipeline.objects.present().order_by("uuid").values_list("uuid", flat=True)[:2000]
    context = {
        "form": form,
        "window": form.window,
        "zones": sorted(zone_names()),
        "values": [*pipelines, *FACTORIES],
    }
    return render(request, "calendars/window_form.html", context, status=status)
