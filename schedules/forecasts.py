"""How long the runs of a trigger take: from what they took before."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import QuerySet

from pipelines.models import Pipeline
from runs import overview
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.policies import Settings
from schedules.timing import quantile


def durations(owners: QuerySet[Any], link: str, count: int) -> dict[int, list[float]]:
    """Return what the last `count` completed runs of each owner took, in seconds, the newest first. Two queries.

    `link` is the field of a run that holds its owner: "pipeline", or "trigger_id" for schedules.
    """
    ids = overview.newest_ids(owners, link, count, status=RunStatus.COMPLETED, started_at__isnull=False)
    wanted = [run_id for found in ids.values() for run_id in found]
    runs = PipelineRun.objects.filter(pk__in=wanted).values_list("pk", "started_at", "completed_at")
    took = {pk: (end - begin).total_seconds() for pk, begin, end in runs if begin and end}
    return {pk: [took[run_id] for run_id in found if run_id in took] for pk, found in ids.items()}


def leads(settings: Mapping[int, Settings]) -> dict[int, timedelta]:
    """Return, for each schedule that is to *finish* by its moments, how much earlier it has to start.

    `settings` by schedule id. The quantile of its past durations, or of its pipeline's while it has none; nothing
    without history.
    """
    landing = {pk: each for pk, each in settings.items() if each.landing_time_enabled}
    if not landing:
        return {}
    most = max(each.landing_runs for each in landing.values())
    schedules = apps.get_model("schedules", "PipelineSchedule").objects.filter(pk__in=landing)
    taken = durations(schedules, "trigger_id", most)
    new = {pk: pipeline for pk, pipeline in schedules.values_list("pk", "pipeline_id") if not taken.get(pk)}
    of_pipeline = durations(Pipeline.objects.filter(pk__in=new.values()), "pipeline", most) if new else {}
    return {pk: lead(each, taken.get(pk) or of_pipeline.get(new.get(pk, 0), [])) for pk, each in landing.items()}


def lead(settings: Settings, taken: Sequence[float]) -> timedelta:
    return timedelta(seconds=quantile(taken[: settings.landing_runs], settings.landing_quantile))


def triggers_with_news(since: datetime, moment: datetime) -> set[int]:
    """Return the triggers of which a run completed in `since` < t <= `moment`: their forecasts may have changed."""
    ended = PipelineRun.objects.filter(
        status=RunStatus.COMPLETED, completed_at__gt=since, completed_at__lte=moment, trigger_id__isnull=False
    )
    return {trigger_id for trigger_id in ended.values_list("trigger_id", flat=True).distinct() if trigger_id}
