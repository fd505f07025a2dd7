"""What lists show beside pipelines and runs: the last runs of each, and how far each has come."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery, TextField

from runs.models import BlockRun, PipelineRun, Role, Worker
from runs.states import BlockStatus, RunStatus

STRIP = 20


class JoinedIds(Subquery):
    """The ids a subquery finds, as one text with spaces: one index look-up per row, also with a LIMIT."""

    output_field = TextField()
    template = "(SELECT GROUP_CONCAT(found.id, ' ') FROM (%(subquery)s) AS found)"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "(SELECT STRING_AGG(found.id::text, ' ') FROM (%(subquery)s) AS found)"
        return self.as_sql(compiler, connection, template=template, **context)


def last_runs(owners: QuerySet[Any], link: str, count: int = STRIP) -> dict[int, list[PipelineRun]]:
    """Return the newest `count` runs of each owner (by id), oldest first. Two queries, however many there are.

    `link` is the field of a run that holds its owner: "pipeline", or "trigger_id" for schedules.
    """
    ids = newest_ids(owners, link, count)
    runs = PipelineRun.objects.for_strip().in_bulk([run_id for found in ids.values() for run_id in found])
    return {pk: [runs[run_id] for run_id in reversed(found) if run_id in runs] for pk, found in ids.items()}


def newest_ids(owners: QuerySet[Any], link: str, count: int, **only: Any) -> dict[int, list[int]]:
    """Return the ids of the newest `count` runs of each owner that are as `only` says, the newest first. One query."""
    newest = PipelineRun.objects.filter(**{link: OuterRef("pk")}, **only).order_by("-id").values("id")[:count]
    joined = owners.order_by().annotate(run_ids=JoinedIds(newest)).values_list("pk", "run_ids")
    return {pk: sorted(map(int, text.split()), reverse=True) if text else [] for pk, text in joined}


def progress(runs: Iterable[PipelineRun]) -> dict[int, Counter[str]]:
    """Return for each run (by id) how many of its block runs are in which state. One query."""
    found: dict[int, Counter[str]] = {run.pk: Counter() for run in runs}
    counts = (
        BlockRun.objects.of_graph()
        .filter(pipeline_run__in=list(found), members_total=None)
        .values_list("pipeline_run", "status")
    )
    for run_id, status, count in counts.annotate(Count("id")).order_by():
        found[run_id][status] = count
    return found


def members_of(run_id: int) -> dict[int, Counter[str]]:
    """Return for each block run that has members (by id) how many of them are in which state. One query."""
    found: dict[int, Counter[str]] = {}
    members = BlockRun.objects.filter(pipeline_run=run_id, role=Role.MEMBER).order_by()
    for parent, status, count in members.values_list("parent", "status").annotate(Count("id")):
        found.setdefault(parent or 0, Counter())[status] = count
    return found


def numbers(moment: datetime, since: datetime) -> dict[str, int]:
    """Count what is going on at `moment`, and what failed since then."""
    return {**going_on(moment), "failed": PipelineRun.objects.failed_since(since).count()}


def going_on(moment: datetime) -> dict[str, int]:
    """Count what is going on at `moment`."""
    runs = dict(PipelineRun.objects.unfinished().values_list("status").annotate(Count("id")).order_by())
    blocks = BlockRun.objects.at_work().filter(members_total=None).order_by()
    blocks_by_status = dict(blocks.values_list("status").annotate(Count("id")))
    return {
        "running": runs.get(RunStatus.RUNNING, 0),
        "initial": runs.get(RunStatus.INITIAL, 0),
        "blocks_queued": blocks_by_status.get(BlockStatus.QUEUED, 0),
        "blocks_running": blocks_by_status.get(BlockStatus.RUNNING, 0),
        "blocks_waiting": blocks_by_status.get(BlockStatus.WAITING, 0),
        "overdue": BlockRun.objects.due(moment).count(),
    }


def processes(moment: datetime) -> list[Worker]:
    """Return the processes that have not said goodbye, or did so within the day, the newest first (at most 50)."""
    return list(Worker.objects.for_list(moment)[:50])
