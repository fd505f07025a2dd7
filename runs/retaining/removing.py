"""Retention at work, in short transactions: rows go, or are marked, and what files remain to be removed is noted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from pipelines.models import Pipeline, PipelineVersion
from runs.many_rows import insert_all
from runs.models import Attempt, BlockRun, Event, PipelineRun, Removal, Worker
from runs.retaining import retention
from runs.retaining.retention import BATCH, Cut, Policy

MOST_ROWS = 400  # block runs that go in one transaction, unless one run has more
WORKERS_STAY = timedelta(days=7)
VERSIONS_STAY = timedelta(days=1)  # a run that is being created may just have read it

# Called in the transaction in which runs go, with their ids: what is above lets go of them.
FORGET: list[Callable[[Sequence[int]], None]] = []


@dataclass(frozen=True)
class Done:
    """A step of retention: how many runs went, or lost their logs or outputs."""

    cut: Cut
    runs: int


def steps(policies: Sequence[Policy], moment: datetime) -> Iterator[Done | None]:
    """Remove what the policies let go; one short transaction, or one look at up to 50 pipelines, between two yields."""
    for begin in range(0, len(policies), retention.AT_ONCE):
        some = policies[begin : begin + retention.AT_ONCE]
        for cut in list(retention.cuts(some, moment)):
            yield None
            yield from apply(cut, moment)
        yield None


def apply(cut: Cut, moment: datetime) -> Iterator[Done]:
    """Take away what a cut takes, batch by batch. Ends early where another process holds the rows."""
    while ids := list(retention.due(cut, moment).values_list("pk", flat=True)[:BATCH]):
        if cut.kind == "runs":
            ids = as_many_as_fit(ids)
        went = remove_runs(ids, moment) if cut.kind == "runs" else mark(ids, cut.kind, moment)
        if not went:
            return
        yield Done(cut, went)


def as_many_as_fit(ids: Sequence[int]) -> list[int]:
    """Return the first of these runs, as many as have 400 block runs together; at least one."""
    rows = BlockRun.objects.filter(pipeline_run__in=ids).values_list("pipeline_run").annotate(Count("pk")).order_by()
    counts, total = dict(rows), 0
    for number, run_id in enumerate(ids):
        total += counts.get(run_id, 0)
        if total > MOST_ROWS:
            return list(ids[: max(1, number)])
    return list(ids)


def remove_runs(ids: Sequence[int], moment: datetime) -> int:
    """Delete runs with all their rows, if they may still go; what files they left is noted in the same transaction.

    Written as one DELETE per table: asking each row what hangs on it costs ten times as much.
    """
    with transaction.atomic():
        gone = held("runs", ids, moment)
        if not gone:
            return 0
        for forget in FORGET:
            forget(gone)
        of_them = BlockRun.objects.filter(pipeline_run__in=gone)
        PipelineRun.objects.filter(parent_block_run__pipeline_run__in=gone).update(parent_block_run=None)
        delete(Event.objects.filter(pipeline_run__in=gone))
        delete(Attempt.objects.filter(block_run__pipeline_run__in=gone))
        delete(of_them)
        delete(PipelineRun.objects.filter(pk__in=gone))
        Removal.objects.filter(run_id__in=gone).delete()  # of its logs or outputs alone: now all of it goes
        note("runs", gone, moment)
    return len(gone)


def mark(ids: Sequence[int], kind: str, moment: datetime) -> int:
    """Decide that the logs (or outputs) of these runs go, if they still may; the runs say so from now on."""
    with transaction.atomic():
        chosen = held(kind, ids, moment)
        PipelineRun.objects.filter(pk__in=chosen).update(**{f"{kind}_removed_at": moment})
        note(kind, chosen, moment)
    return len(chosen)


def held(kind: str, ids: Sequence[int], moment: datetime) -> list[int]:
    """Return those that may still go, their rows held until the commit: none is retried, kept or taken meanwhile."""
    rows = PipelineRun.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk__in=ids).order_by("pk")
    locked = list(rows.values_list("pk", flat=True))
    # Asked once they are held: a condition that looks at other tables is not looked at again when a lock is got.
    return list(retention.removable(kind, moment).filter(pk__in=locked).values_list("pk", flat=True))


def note(kind: str, ids: Sequence[int], moment: datetime) -> None:
    if ids:
        insert_all([Removal(run_id=run_id, kind=kind, decided_at=moment) for run_id in ids])


def delete(rows: QuerySet[Any]) -> None:
    rows._raw_delete(rows.db)


# --- what no run uses any more ----------------------------------------------------------------------------------------


def forget_workers(moment: datetime) -> int:
    """Delete rows of processes that ended, or were last seen, more than a week ago and that no block run names."""
    old = moment - WORKERS_STAY
    over = Worker.objects.filter(Q(stopped_at__lt=old) | Q(stopped_at=None, seen_at__lt=old))
    unused = over.filter(~Exists(BlockRun.objects.filter(worker=OuterRef("pk"))))
    ids = list(unused.order_by("pk").values_list("pk", flat=True)[:BATCH])
    delete(Worker.objects.filter(pk__in=ids))
    return len(ids)


def forget_versions(policies: Sequence[Policy], moment: datetime) -> int:
    """Delete versions that are not current and that no run uses, of pipelines whose runs go at some time."""
    pipelines = [policy.pipeline_id for policy in policies if "runs" in policy.rules]
    old = PipelineVersion.objects.filter(pipeline__in=pipelines, created_at__lt=moment - VERSIONS_STAY)
    current = Exists(Pipeline.objects.filter(current_version=OuterRef("pk")))
    used = Exists(PipelineRun.objects.filter(version=OuterRef("pk")))
    ids = list(old.filter(~current, ~used).order_by("pk").values_list("pk", flat=True)[:BATCH])
    delete(PipelineVersion.objects.filter(pk__in=ids))
    return len(ids)
