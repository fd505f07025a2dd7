"""The system page: schedulers and workers with what each is doing, pools and who holds them, executors, storage."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from orchestrator_site import shown_settings
from orchestrator_site.dashboard.condition import health, state_of
from runs import at_work, overview
from runs.models import Pool
from runs.retaining import retention_preview, usage
from runs.views import is_refresh
from schedules.reasons import invariants

MOST_POOLS = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    workers, work = overview.processes(now), at_work.look()
    pools = list(Pool.objects.with_use().with_queued().order_by("name")[: MOST_POOLS + 1])
    context = {
        "now": now,
        "numbers": overview.going_on(now),
        "pools": [{"pool": pool, "holders": work.by_pool.get(pool.name, [])} for pool in pools[:MOST_POOLS]],
        "more_pools": len(pools) > MOST_POOLS,
        "processes": [
            {"process": worker, "state": state_of(worker, now), "blocks": work.by_worker.get(worker.pk, [])}
            for worker in workers
        ],
        "executors": at_work.executors(now),
        "health": health(workers, now),
        "findings": invariants.told_by(each for each in workers if state_of(each, now) == "alive"),
        "stores": usage.measure(),
        "outstanding": retention_preview.outstanding(),
        "version": settings.VERSION,
        "settings": shown_settings.told(),
    }
    return render(request, "system/_live.html" if is_refresh(request) else "system/page.html", context)
