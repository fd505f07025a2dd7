"""Which pipelines the list shows, and in which order. All are known by little; what takes a question is asked once."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, OuterRef, Q, Subquery, TextField

from alerts.models import Incident
from orchestrator_site.pipeline_list.asked import ListForm
from orchestrator_site.timeline.lanes import Row, narrowed
from pipelines.models import Pipeline
from runs.figures.history_of_blocks import percentile
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.models import PipelineSchedule

LATER = datetime.max.replace(tzinfo=UTC)
ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
LOOKED_AT = 30  # runs of each pipeline


def found(rows: Iterable[Row], form: ListForm, moment: datetime) -> list[Row]:
    """Return what fits, in order; at most four queries, however many there are."""
    own = narrowed(rows, text=form.value("q"), tag=form.value("tag"), owner=form.value("owner"))
    return in_order(in_state(own, form.value("state"), moment), form.value("sort"))


def in_state(rows: list[Row], state: str, moment: datetime) -> list[Row]:
    match state:
        case "failing" | "well":
            wanted = RunStatus.FAILED if state == "failing" else RunStatus.COMPLETED
            last = last_states([row.pk for row in rows])
            return [row for row in rows if last.get(row.pk) == wanted]
        case "running":
            return among(rows, PipelineRun.objects.unfinished().order_by().values_list("pipeline_id", flat=True))
        case "incident":
            return among(rows, Incident.objects.loud(moment).order_by().values_list("pipeline_id", flat=True))
        case "broken":
            return [row for row in rows if not row.is_valid]
        case "paused" | "untriggered":
            triggers = triggers_of([row.pk for row in rows])
            has_some = state == "paused"
            return [row for row in rows if (row.pk in triggers) is has_some and not is_active(triggers.get(row.pk))]
    return rows


def among(rows: Iterable[Row], pks: Iterable[int | None]) -> list[Row]:
    wanted = set(pks)
    return [row for row in rows if row.pk in wanted]


def in_order(rows: list[Row], sort: str) -> list[Row]:
    """Sort by name, and by what was asked for before that."""
    rows = sorted(rows, key=lambda row: row.uuid)
    match sort:
        case "next":
            triggers = triggers_of([row.pk for row in rows])
            return sorted(rows, key=lambda row: (row.pk in triggers and triggers[row.pk].next) or LATER)
        case "last":
            last = last_states([row.pk for row in rows])
            return sorted(rows, key=lambda row: LAST.get(last.get(row.pk, ""), len(LAST)))
        case "p95":
            long = longest([row.pk for row in rows])
            return sorted(rows, key=lambda row: -long.get(row.pk, -1.0))
    return rows


LAST: dict[str, int] = {RunStatus.FAILED: 0, RunStatus.COMPLETED: 1}


# --- what is asked of the database ------------------------------------------------------------------------------------


def last_states(pks: Collection[int]) -> dict[int, str]:
    """Return how the last run of each pipeline that completed or failed ended; one query."""
    ended = PipelineRun.objects.filter(pipeline=OuterRef("pk"), status__in=ENDED).order_by("-id").values("status")[:1]
    rows = Pipeline.objects.filter(pk__in=pks).order_by().annotate(last=Subquery(ended)).values_list("pk", "last")
    return {pk: status for pk, status in rows if status}


@dataclass(frozen=True)
class Triggers:
    total: int
    active: int
    next: datetime | None


def is_active(triggers: Triggers | None) -> bool:
    return triggers is not None and triggers.active > 0


def triggers_of(pks: Collection[int]) -> dict[int, Triggers]:
    """Return how many triggers each pipeline has, and when the next is due; one query."""
    active = Q(is_active=True)
    rows = PipelineSchedule.objects.filter(pipeline__in=pks).order_by().values_list("pipeline_id")
    counted = rows.annotate(
        total=Count("id"), active=Count("id", filter=active), next=Min("next_due_at", filter=active)
    )
    return {pk: Triggers(*values) for pk, *values in counted}


class JoinedSpans(Subquery):
    """The spans `took` that a subquery finds, in microseconds, as one text with spaces: a row for each owner."""

    output_field = TextField()
    template = "(SELECT GROUP_CONCAT(found.took, ' ') FROM (%(subquery)s) AS found)"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        micro = "(EXTRACT(EPOCH FROM found.took) * 1000000)::bigint::text"
        template = self.template.replace("GROUP_CONCAT(found.took, ", "STRING_AGG(" + micro + ", ")
        return self.as_sql(compiler, connection, template=template, **context)


def longest(pks: Collection[int]) -> dict[int, float]:
    """Return the 95th percentile of what the last runs of each pipeline took, in microseconds; one query."""
    completed = PipelineRun.objects.filter(
        pipeline=OuterRef("pk"), status=RunStatus.COMPLETED, started_at__isnull=False, completed_at__isnull=False
    )
    took = ExpressionWrapper(F("completed_at") - F("started_at"), output_field=DurationField())
    spans = JoinedSpans(completed.order_by("-id").annotate(took=took).values("took")[:LOOKED_AT])
    rows = Pipeline.objects.filter(pk__in=pks).order_by().annotate(spans=spans).values_list("pk", "spans")
    found = {pk: percentile([float(each) for each in text.split()], 0.95) for pk, text in rows if text}
    return {pk: value for pk, value in found.items() if value is not None}
