"""The list of pipelines. It joins what three apps know, so it lives above all of them."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_list import finding, rows
from orchestrator_site.pipeline_list.asked import ListForm
from orchestrator_site.timeline import lanes
from runs.views import is_refresh

PAGE = 50
MOST_CHOICES = 200


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now, form, known = timezone.now(), ListForm(request.GET), lanes.all_rows()
    page = Paginator(finding.found(known, form, now), PAGE).get_page(request.GET.get("page"))
    tags = sorted({tag for row in known for tag in row.tags}, key=str.casefold)
    owners = sorted({row.owner for row in known if row.owner}, key=str.casefold)
    form.offer("tag", "Tag", tags[:MOST_CHOICES], "Any tag")
    form.offer("owner", "Owner", owners[:MOST_CHOICES], "Any owner")
    context = {
        "form": form,
        "rows": rows.shown([row.pk for row in page.object_list], now),
        "page": page,
        "has_pipelines": bool(known),
        "now": now,
    }
    return render(request, "pipelines/_rows_live.html" if is_refresh(request) else "pipelines/list.html", context)
