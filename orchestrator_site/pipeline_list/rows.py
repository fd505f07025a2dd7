"""What the list says of each pipeline: its triggers in words, its last runs, and what is to be minded."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from alerts.models import Incident
from orchestrator_site.dashboard.deadlines import Usual, usual
from pipelines.models import Pipeline
from runs import overview
from runs.models import PipelineRun
from schedules.days.calendars import Shelf
from schedules.models import PipelineSchedule
from schedules.pages.form_pages import in_words
from schedules.reasons.drift import Drift, drift_of

STRIP = 30


@dataclass(frozen=True)
class Shown:
    """One row. `first` is the trigger that is due next, or any; `others` are how many there are beside it."""

    pipeline: Pipeline
    strip: Sequence[PipelineRun]
    first: PipelineSchedule | None
    words: str
    others: int
    drift: Drift | None
    usual: Usual | None
    timed: int  # runs of the strip that have an SLA
    late: int  # and passed it
    incidents: int
    key: uuid.UUID  # of a run to start: pressing the button twice starts one

    @property
    def last(self) -> PipelineRun | None:
        return self.strip[-1] if self.strip else None


def shown(pks: Sequence[int], moment: datetime) -> list[Shown]:
    """Return the rows of these pipelines, in this order; six queries, however many they are."""
    pipelines = Pipeline.objects.defer("trigger_problems").in_bulk(pks)
    strips = overview.last_runs(Pipeline.objects.filter(pk__in=pks), "pipeline", STRIP)
    triggers = PipelineSchedule.objects.defer("variables", "description").next_of_pipelines(pipelines.values())
    incidents = open_incidents(pks, moment)
    shelf = Shelf()
    return [row(pipelines[pk], strips[pk], triggers[pk], incidents[pk], shelf) for pk in pks if pk in pipelines]


def open_incidents(pks: Sequence[int], moment: datetime) -> Counter[int]:
    """Return how many incidents of each pipeline are open and put aside by nobody; one query."""
    loud = Incident.objects.loud(moment).filter(pipeline__in=pks).order_by()
    return Counter({pk: count for pk, count in loud.values_list("pipeline_id").annotate(Count("id")) if pk})


def row(
    pipeline: Pipeline,
    strip: Sequence[PipelineRun],
    triggers: Sequence[PipelineSchedule],
    incidents: int,
    shelf: Shelf,
) -> Shown:
    first = triggers[0] if triggers else None
    return Shown(
        pipeline=pipeline,
        strip=strip,
        first=first,
        words=in_words(first, shelf) if first else "",
        others=max(0, len(triggers) - 1),
        drift=drifting(triggers, strip),
        usual=usual(strip),
        timed=sum(run.sla_at is not None for run in strip),
        late=sum(run.passed_sla for run in strip),
        incidents=incidents,
        key=uuid.uuid4(),
    )


def drifting(triggers: Sequence[PipelineSchedule], strip: Sequence[PipelineRun]) -> Drift | None:
    """Return the first drift of an active trigger that is worth a word, as far as the last runs of all tell."""
    for trigger in triggers:
        if trigger.is_active:
            found = drift_of(trigger, [run for run in strip if run.trigger_id == trigger.pk])
            if found and found.is_drifting:
                return found
    return None
