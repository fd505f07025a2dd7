"""The dashboard: everything at once."""

from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from runs import overview
from runs.models import PipelineRun, Worker, WorkerKind
from runs.views import is_refresh, with_progress
from schedules import holding
from schedules.models import PipelineSchedule

NEXT, RECENT, GOING_ON = 12, 12, 20
LATE = timedelta(seconds=10)  # past its moment by more than this, a schedule is late
QUIET = timedelta(seconds=30)  # unseen for longer than this, a process is gone


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    since = now - timedelta(days=1)
    workers = overview.processes(now)
    failed = list(PipelineRun.objects.failed_since(since).for_list()[:6])
    context = {
        "now": now,
        "numbers": overview.numbers(now, since),
        "late": PipelineSchedule.objects.due(now - LATE).count(),
        "set_aside": PipelineSchedule.objects.set_aside().count(),
        "held": holding.held().count(),
        "going_on": with_progress(list(PipelineRun.objects.unfinished().for_list()[:GOING_ON])),
        "failed": with_progress(failed),
        "recent": with_progress(list(PipelineRun.objects.finished().for_list()[:RECENT])),
        "next": list(PipelineSchedule.objects.coming()[:NEXT]),
        "health": health(workers, now),
    }
    return render(request, "dashboard/_live.html" if is_refresh(request) else "dashboard/page.html", context)


def health(workers: list[Worker], now: datetime) -> dict[str, object]:
    """Say whether somebody keeps time and somebody works, and since when not."""
    schedulers = [each for each in workers if each.kind == WorkerKind.SCHEDULER]
    loops = [each.last_loop_at for each in schedulers if each.last_loop_at]
    last_loop = max(loops, default=None)
    alive = [each for each in workers if state_of(each, now) == "alive"]
    return {
        "last_loop": last_loop,
        "scheduler": "alive" if last_loop and now - last_loop < QUIET else "gone",
        "workers": sum(each.kind == WorkerKind.WORKER for each in alive),
        "lag": max((each.lag for each in schedulers if each.lag and state_of(each, now) == "alive"), default=None),
    }


def state_of(worker: Worker, now: datetime) -> str:
    if worker.stopped_at:
        return "stopped"
    return "alive" if now - worker.seen_at < QUIET else "gone"
