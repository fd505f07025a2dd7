"""Freshness: a completed run at least so often. Asked about a pipeline or trigger only when its time has come."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from alerts.kinds import Span
from alerts.models import Kind
from alerts.watching.look import Look, Subject, Watched, fingerprint_of
from pipelines.models import Pipeline
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.models import PipelineSchedule
from schedules.reasons.drift import about

ASK_AGAIN = timedelta(minutes=1)  # about what is stale, and about which pipelines and triggers there are


class Freshness:
    """When each has to be asked about next, as one process knows."""

    def __init__(self) -> None:
        self.next_at: dict[str, datetime] = {}
        self.subjects: dict[str, list[Subject]] = {}
        self.read_at: datetime | None = None

    def look_at(self, look: Look) -> None:
        """Write down what is stale; a few queries for what is due to be asked about, none while nothing is."""
        if not look.has(Kind.FRESHNESS):
            return
        if self.read_at is None or not self.read_at <= look.moment < self.read_at + ASK_AGAIN:
            self.subjects, self.read_at = {}, look.moment
        for watched in look.rules(Kind.FRESHNESS):
            told = watched.told
            assert isinstance(told, Span)
            name = f"{watched.rule.pk} {watched.rule.updated_at.isoformat()}"
            if name not in self.subjects:
                self.subjects[name] = list(subjects(watched))
            for subject in self.subjects[name]:
                key = f"{name} {subject.pipeline.pk}"
                due = self.next_at.get(key)
                if due is None or due <= look.moment or due > look.moment + told.span:
                    self.next_at[key] = ask(look, watched, subject, told.span)
                    if look.is_over:
                        return


def subjects(watched: Watched) -> Iterator[Subject]:
    """Return whom a rule is about: a trigger, a pipeline, or the pipelines that have its tag."""
    rule = watched.rule
    if rule.trigger_id is not None:
        schedule = PipelineSchedule.objects.select_related("pipeline").filter(pk=rule.trigger_id).first()
        found = [Subject(schedule.pipeline, schedule.pk, schedule.name)] if schedule else []
    elif rule.pipeline is not None:
        found = [Subject(rule.pipeline)]
    else:
        found = [Subject(pipeline) for pipeline in Pipeline.objects.present().defer("problems")]
    for subject in found:
        is_tagged = not rule.tag or rule.tag in subject.pipeline.tags
        if subject.pipeline.is_present and is_tagged and rule.pipeline_id in (None, subject.pipeline.pk):
            yield subject


def ask(look: Look, watched: Watched, subject: Subject, span: timedelta) -> datetime:
    """Ask when a run completed last; return when to ask again."""
    newest = last_completed(subject)
    since = newest.completed_at if newest and newest.completed_at else watched.rule.created_at
    if since + span > look.moment:
        return since + span
    last = f"run {newest.pk} at {since:%Y-%m-%d %H:%M} UTC" if newest else "none ever"
    title = f"{subject.name} has had no completed run for {about(span)}"
    key = f"pipeline {subject.pipeline.pk} trigger {subject.trigger_id or 0} after run {newest.pk if newest else 0}"
    key += f" {since.isoformat()}" if newest else ""  # the same run may complete again
    fingerprint = fingerprint_of(watched.rule, subject)
    look.breaks(
        watched.rule, key, subject, title=title, message=f"The last: {last}.", at=since + span, fingerprint=fingerprint
    )
    return look.moment + min(span, ASK_AGAIN)


def last_completed(subject: Subject) -> PipelineRun | None:
    """Return the newest completed run; past runs that did not, an index is walked back."""
    runs = PipelineRun.objects.filter(completed_at__isnull=False, status=RunStatus.COMPLETED).only("completed_at")
    if subject.trigger_id is not None:
        return runs.filter(trigger_id=subject.trigger_id).order_by("-id").first()
    return runs.filter(pipeline=subject.pipeline.pk).order_by("-completed_at").first()
