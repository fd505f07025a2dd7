"""Maintenance windows as a gate before every start, whoever starts: what they hold waits until they end."""

from collections.abc import Callable
from datetime import datetime

from runs.limits import Answer, Gate
from runs.models import PipelineRun
from schedules.days.maintenance import Scope
from schedules.days.windows import OpenWindow, holding, open_windows
from schedules.models import PipelineSchedule

OPEN = Gate("window")


def hold(moment: datetime) -> Callable[[PipelineRun], Gate]:
    """Return what says of any run whether a window that is open now holds it; one query, and none while all is shut."""
    windows = open_windows(moment)
    if not windows:
        return lambda run: OPEN
    tags: dict[int, list[str]] = {}

    def gate(run: PipelineRun) -> Gate:
        own = tags_of(run, tags) if any(window.scope == Scope.TAG for window in windows) else []
        found = holding(windows, pipeline=run.pipeline.uuid, tags=own, executor=run.executor)
        return gate_of(found) if found else OPEN

    return gate


def tags_of(run: PipelineRun, known: dict[int, list[str]]) -> list[str]:
    """Return the tags of the run's pipeline and of its trigger, which is asked for once."""
    if run.trigger_id is not None and run.trigger_id not in known:
        found = PipelineSchedule.objects.filter(pk=run.trigger_id).values_list("tags", flat=True).first()
        known[run.trigger_id] = found or []
    return [*run.pipeline.tags, *known.get(run.trigger_id or 0, [])]


def gate_of(window: OpenWindow) -> Gate:
    why = f" {window.reason}" if window.reason else ""
    reason = f"Maintenance window {window.name} until {window.until:%Y-%m-%d %H:%M} UTC.{why}"
    return Gate("window", Answer.WAIT, reason, until=window.until)
