"""The page of moments that are held: chosen, counted, then released or dropped."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from pipelines.pages import RefusalsTold
from pipelines.refusal import Refusal
from runs.views import is_refresh
from schedules import holding
from schedules.models import Occurrence

PAGE = 100
VERBS = {"release": holding.release, "drop": holding.drop}


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    query = filter_of(request.GET)
    page = Paginator(shown(holding.matching(**query)), PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "rows": list(page.object_list), "q": query["text"], "schedule_id": query["schedule_id"]}
    return render(request, "schedules/_held_live.html" if is_refresh(request) else "schedules/held.html", context)


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """First say how many it would be; do it when that is confirmed."""
    sent, verb = request.POST, request.POST.get("verb", "")
    with RefusalsTold(request):
        if verb not in VERBS:
            raise Refusal("Choose whether to release or to drop them.", field="verb")
        found = of_form(sent)
        count = found.count()
        if not count:
            raise Refusal("None of these is held any more.")
        if "confirmed" not in sent:
            return render(request, "schedules/held_confirm.html", confirmation(sent, verb, found, count))
        count = VERBS[verb](found, timezone.now(), request.user.get_username(), sent.get("reason", ""))
        done = "released: they start as soon as limits allow" if verb == "release" else "dropped"
        messages.success(request, f"{count:,} moment{'' if count == 1 else 's'} {done}.")
    query = {name: value for name in ("q", "schedule") if (value := sent.get(name))}
    return redirect(reverse("schedules:held") + (f"?{urlencode(query)}" if query else ""))


def confirmation(sent: QueryDict, verb: str, found: QuerySet[Occurrence], count: int) -> dict[str, Any]:
    kept = [(name, value) for name in ("ids", "which", "q", "schedule", "verb") for value in sent.getlist(name)]
    schedules = found.order_by().values("schedule").distinct().count()
    return {"kept": kept, "verb": verb, "count": count, "schedules": schedules, "first": shown(found)[:10]}


def of_form(sent: QueryDict) -> QuerySet[Occurrence]:
    """Return the moments that are ticked, or all that fit the filter."""
    if sent.get("which") == "all":
        return holding.matching(**filter_of(sent))
    return holding.chosen([int(text) for text in sent.getlist("ids") if is_id(text)])


def filter_of(query: QueryDict) -> dict[str, Any]:
    schedule = query.get("schedule", "")
    text = query.get("q", "").strip()[:200].replace("\x00", "")
    return {"text": text, "schedule_id": int(schedule) if is_id(schedule) else None}


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def shown(found: QuerySet[Occurrence]) -> QuerySet[Occurrence]:
    return found.select_related("schedule", "pipeline")
