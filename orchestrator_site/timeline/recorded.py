"""What the database knows of a stretch of time: runs, too many runs as numbers, and moments that have no run."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Min, OuterRef, QuerySet, Subquery

from pipelines.models import Pipeline
from runs.drawing.timeline import Mark, Ran, moment
from runs.figures.cells import CellOf
from runs.models import BlockRun, Origin, PipelineRun
from runs.overview import JoinedIds
from schedules.models import Decision, Occurrence

MOST_UNFINISHED, MOST_MOMENTS, MOST_WAITING = 500, 3000, 500
OVERLAP = timedelta(days=1)  # a run that ends later than this after the window is not looked for


@dataclass
class Recorded:
    """By pipeline: its runs, or (for those in `dense`) how many ended in each cell; and moments without a run."""

    runs: dict[int, list[Ran]] = field(default_factory=lambda: defaultdict(list))
    dense: dict[int, dict[int, Counter[str]]] = field(default_factory=dict)
    moments: dict[int, list[Mark]] = field(default_factory=lambda: defaultdict(list))
    is_cut: bool = False  # there are more moments than were read


def read(pks: Collection[int], begin: datetime, end: datetime, *, most: int, cell: timedelta) -> Recorded:
    """Look up what ran in the window, at most `most` runs of each pipeline one by one; five queries at most."""
    found = Recorded()
    ids = ids_in(pks, begin, end, most)
    crowded = [pk for pk, own in ids.items() if len(own) > most]
    wanted = [run_id for pk, own in ids.items() if pk not in crowded for run_id in own]
    open_ids = PipelineRun.objects.unfinished().filter(pipeline__in=pks, created_at__lte=end).order_by("id")
    for pipeline_id, run in runs_of([*wanted, *open_ids.values_list("pk", flat=True)[:MOST_UNFINISHED]]):
        found.runs[pipeline_id].append(run)
    found.dense = {pk: {} for pk in crowded}
    if crowded:
        count_cells(found.dense, begin, end, cell)
    lost = Occurrence.objects.not_run().filter(pipeline__in=pks, scheduled_for__gte=begin, scheduled_for__lte=end)
    fields = ("pipeline_id", "decision", "scheduled_for", "reason", "schedule_id")
    rows = list(lost.order_by("scheduled_for").values_list(*fields)[: MOST_MOMENTS + 1])
    found.is_cut = len(rows) > MOST_MOMENTS
    for pipeline_id, decision, at, reason, schedule_id in rows[:MOST_MOMENTS]:
        found.moments[pipeline_id].append(moment(decision, at, note=reason, link=schedule_id))
    return found


def ids_in(pks: Collection[int], begin: datetime, end: datetime, most: int) -> dict[int, list[int]]:
    """Return the runs of each pipeline that ended in the window or soon after, one more than `most`; one query."""
    ended = PipelineRun.objects.filter(
        pipeline=OuterRef("pk"), completed_at__gte=begin, completed_at__lte=end + OVERLAP, created_at__lte=end
    )
    joined = JoinedIds(ended.order_by("completed_at").values("id")[: most + 1])
    rows = Pipeline.objects.filter(pk__in=pks).order_by().annotate(run_ids=joined).values_list("pk", "run_ids")
    return {pk: [int(text) for text in texts.split()] if texts else [] for pk, texts in rows}


def runs_of(ids: Collection[int]) -> list[tuple[int, Ran]]:
    """Return runs with the pipeline of each, and when its first block began; one query."""
    begun = BlockRun.objects.filter(pipeline_run=OuterRef("pk")).order_by().values("pipeline_run")
    first = Subquery(begun.annotate(at=Min("first_started_at")).values("at"))
    fields = ("pipeline_id", "pk", "status", "origin", "execution_date", "created_at", "started_at", "completed_at")
    rows = PipelineRun.objects.filter(pk__in=ids).annotate(began=first).values_list(*fields, "passed_sla", "began")
    return [(row[0], ran(*row[1:])) for row in rows]


def ran(
    pk: int,
    status: str,
    origin: str,
    stands_for: datetime,
    created: datetime,
    started: datetime | None,
    ended: datetime | None,
    is_late: bool,
    began: datetime | None,
) -> Ran:
    due = min(stands_for, created) if origin == Origin.SCHEDULE else created
    return Ran(id=pk, status=status, due=due, started=started, began=began, ended=ended, is_late=is_late)


def waiting(schedules: Collection[int], end: datetime, now: datetime) -> list[tuple[int, Mark]]:
    """Return the moments that are due and wait for a limit or their turn, with their pipelines; one query."""
    rows = Occurrence.objects.filter(
        decision=Decision.WAITING, schedule__in=schedules, backfill=None, scheduled_for__lte=end
    )
    fields = ("pipeline_id", "scheduled_for", "reason", "schedule_id")
    return [
        (pipeline_id, moment("waiting", at, max(at, now), note=reason, link=schedule_id))
        for pipeline_id, at, reason, schedule_id in rows.order_by("scheduled_for").values_list(*fields)[:MOST_WAITING]
    ]


# --- too many to be drawn ---------------------------------------------------------------------------------------------


def count_cells(
    dense: Mapping[int, dict[int, Counter[str]]], begin: datetime, end: datetime, length: timedelta
) -> None:
    """Count what ended in each cell, by state; one query."""
    ended: QuerySet[PipelineRun] = PipelineRun.objects.filter(
        pipeline__in=list(dense), completed_at__gte=begin, completed_at__lte=end
    )
    counted = ended.order_by().annotate(cell=CellOf("completed_at", begin, length))
    rows = counted.values_list("pipeline_id", "cell", "status").annotate(Count("id"))
    for pipeline_id, cell, status, count in rows:
        dense[pipeline_id].setdefault(cell, Counter())[status] = count
