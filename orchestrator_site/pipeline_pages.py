"""The list of pipelines. It joins what three apps know, so it lives above all of them."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from pipelines.models import Pipeline
from runs import overview
from runs.forms import StartForm
from runs.views import is_refresh
from schedules.models import PipelineSchedule

PAGE = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    found = Pipeline.objects.for_list(text)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    strips = overview.last_runs(Pipeline.objects.filter(pk__in=[pipeline.pk for pipeline in shown]), "pipeline")
    due = PipelineSchedule.objects.next_of_pipelines(shown)
    context = {
        "rows": [
            {
                "pipeline": pipeline,
                "strip": strips[pipeline.pk],
                "last": strips[pipeline.pk][-1] if strips[pipeline.pk] else None,
                "schedules": due[pipeline.pk],
                "start": StartForm.fresh(),
            }
            for pipeline in shown
        ],
        "page": page,
        "q": text,
        "now": timezone.now(),
    }
    return render(request, "pipelines/_rows_live.html" if is_refresh(request) else "pipelines/list.html", context)
