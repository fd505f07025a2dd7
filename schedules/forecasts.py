"""How long the runs of a trigger take: from what they took before."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.policies import Settings
from schedules.timing import quantile


def durations(trigger_ids: Iterable[int], count: int) -> dict[int, list[float]]:
    """Return what the last `count` completed runs of each trigger took, in seconds, waiting for a worker included."""
    ids = list(trigger_ids)
    found: dict[int, list[float]] = {trigger_id: [] for trigger_id in ids}
    if ids:
        newest = Window(RowNumber(), partition_by=F("trigger_id"), order_by=F("id").desc())
        runs = PipelineRun.objects.filter(trigger_id__in=ids, status=RunStatus.COMPLETED, started_at__isnull=False)
        rows = runs.annotate(place=newest).filter(place__lte=count)
        for trigger_id, started_at, completed_at in rows.values_list("trigger_id", "started_at", "completed_at"):
            if trigger_id is not None and started_at and completed_at:
                found[trigger_id].append((completed_at - started_at).total_seconds())
    return found


def leads(settings: Mapping[int, Settings]) -> dict[int, timedelta]:
    """Return, for each schedule that is to *finish* by its moments, how much earlier it has to start.

    `settings` by schedule id. The quantile of its past durations; nothing without history.
    """
    landing = {pk: each for pk, each in settings.items() if each.landing_time_enabled}
    if not landing:
        return {}
    taken = durations(landing, max(each.landing_runs for each in landing.values()))
    return {
        pk: timedelta(seconds=quantile(taken[pk][: each.landing_runs], each.landing_quantile))
        for pk, each in landing.items()
    }


def triggers_with_news(since: datetime, moment: datetime) -> set[int]:
    """Return the triggers of which a run completed in `since` < t <= `moment`: their forecasts may have changed."""
    ended = PipelineRun.objects.filter(
        status=RunStatus.COMPLETED, completed_at__gt=since, completed_at__lte=moment, trigger_id__isnull=False
    )
    return {trigger_id for trigger_id in ended.values_list("trigger_id", flat=True).distinct() if trigger_id}
