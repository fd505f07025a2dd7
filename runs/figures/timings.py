"""When the last runs of a pipeline or a trigger began, ended, and should have ended."""

from runs.drawing.charts import Landing, Timed
from runs.models import Origin, PipelineRun


def of_pipeline(pipeline_id: int, count: int) -> list[Timed]:
    """Return its newest finished runs that had begun, the oldest first. One query."""
    ended = PipelineRun.objects.filter(pipeline=pipeline_id, completed_at__isnull=False).order_by("-completed_at")
    rows = ended.values_list("pk", "status", "started_at", "completed_at", "version_id")[:count]
    found = [
        Timed(pk, status, begin, max(0.0, (end - begin).total_seconds()), version)
        for pk, status, begin, end, version in rows
        if begin and end
    ]
    return sorted(found, key=lambda run: (run.at, run.run))


def of_trigger(trigger_id: int, count: int, *, lands: bool) -> list[Landing]:
    """Return the landings of its newest runs, the oldest first; it `lands` if its moments are when to be finished."""
    runs = PipelineRun.objects.filter(trigger_id=trigger_id).order_by("-id")
    rows = runs.values_list("pk", "status", "execution_date", "completed_at", "sla_at", "origin")[:count]
    return [
        Landing(pk, status, due, end, due if lands else sla)
        for pk, status, due, end, sla, origin in reversed(rows)
        if end and origin == Origin.SCHEDULE
    ]
