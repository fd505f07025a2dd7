"""The view of what starts a pipeline: its triggers and its backfills."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show
from pipelines.models import Pipeline
from runs import overview
from schedules.days.calendars import Shelf
from schedules.models import Backfill, PipelineSchedule
from schedules.pages.form_pages import in_words

MOST_TRIGGERS, MOST_BACKFILLS, STRIP = 100, 25, 12


@require_GET
def triggers(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "triggers", page_of(pipeline))


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    schedules = list(PipelineSchedule.objects.for_list().filter(pipeline=pipeline)[:MOST_TRIGGERS])
    owners = PipelineSchedule.objects.filter(pk__in=[each.pk for each in schedules])
    strips, shelf = overview.last_runs(owners, "trigger_id", STRIP), Shelf()
    backfills = list(Backfill.objects.for_list().filter(pipeline=pipeline)[: MOST_BACKFILLS + 1])
    return {
        "rows": [{"of": each, "words": in_words(each, shelf), "strip": strips[each.pk]} for each in schedules],
        "backfills": backfills[:MOST_BACKFILLS],
        "more_backfills": len(backfills) > MOST_BACKFILLS,
    }
