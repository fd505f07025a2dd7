"""The last runs of `@always_on` schedules, as they are stored: when each may start again, and which has just ended."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import F, OuterRef, Subquery

from runs import overview
from runs.models import Origin, PipelineRun
from runs.states import RUN_FINISHED, RunStatus
from schedules.backoff import DOUBLINGS, Last, Trail, trail_of
from schedules.models import PipelineSchedule
from schedules.timetable import Kind

BY_ITSELF = (Origin.SCHEDULE, Origin.EVENT)


def trails(schedules: Collection[PipelineSchedule], *, most: int = DOUBLINGS + 1) -> dict[int, Trail]:
    """Return the trail of each schedule that has had a run since it was switched on; looks at `most` runs of each."""
    if not schedules:
        return {}
    owners = PipelineSchedule.objects.filter(pk__in=[schedule.pk for schedule in schedules])
    ids = overview.newest_ids(owners, "trigger_id", most, status__in=RUN_FINISHED, backfill_id__isnull=True)
    fields = ("status", "origin", "created_at", "started_at", "completed_at")
    runs = PipelineRun.objects.only(*fields).in_bulk([pk for found in ids.values() for pk in found])
    found = {}
    for schedule in schedules:
        since = schedule.last_enabled_at
        own = (runs[pk] for pk in ids.get(schedule.pk, []) if pk in runs)
        trail = trail_of(last(run) for run in own if since is None or run.created_at >= since)
        if trail:
            found[schedule.pk] = trail
    return found


def last(run: PipelineRun) -> Last:
    started = run.started_at or run.created_at
    return Last(started, run.completed_at or started, run.status == RunStatus.FAILED, run.origin not in BY_ITSELF)


def wake_idle(moment: datetime) -> int:
    """Have those looked at now whose run ended since the last look, rather than at the next one; return how many."""
    newest = PipelineRun.objects.filter(trigger_id=OuterRef("pk"), backfill_id=None).order_by("-id")
    ended = PipelineSchedule.objects.filter(
        is_active=True, next_due_at__gt=moment, schedule_interval=Kind.ALWAYS_ON.value
    ).annotate(ended_at=Subquery(newest.values("completed_at")[:1]))
    pks = list(ended.filter(ended_at__gt=F("decided_until"), ended_at__lte=moment).values_list("pk", flat=True))
    return PipelineSchedule.objects.filter(pk__in=pks, is_active=True).update(next_due_at=moment) if pks else 0
