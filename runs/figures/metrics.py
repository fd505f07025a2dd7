"""What a block run and a run took and used: computed from what is stored, never stored a second time."""

from datetime import datetime
from typing import Any

from django.db.models import Count, FloatField, Func, Max, Min, Q, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from runs.models import BlockRun, PipelineRun

Metrics = dict[str, Any]


class SumOfOutputs(Func):
    """The sum of a number over the outputs of a block run, without fetching their previews."""

    output_field = FloatField()
    template = "(SELECT SUM(json_extract(each.value, '$.%(key)s')) FROM json_each(%(expressions)s) AS each)"

    # (A column that were no list would end the query with an error.)
    on_postgresql = (
        "(SELECT SUM((each->>'%(key)s')::numeric) FROM jsonb_array_elements("
        "CASE WHEN jsonb_typeof(%(expressions)s) = 'array' THEN %(expressions)s ELSE '[]' END) AS each)"
    )

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self.on_postgresql, **context)


def of_block(block_run: BlockRun) -> Metrics:
    """Return what is stored of its attempt and, beside it, seconds of waiting, starting and running, rows and bytes.

    waiting: queued until a worker took it; starting: until its own process took the work; running: from there to its
    end. None: not known, or not yet. A block of many members has its members' figures in their own rows.
    """
    starting = block_run.metrics.get("starting_seconds")
    claimed = seconds(block_run.started_at, block_run.completed_at)
    running = None if claimed is None else round(max(0.0, claimed - (starting or 0)), 3)
    return {
        "rows": total(block_run, "rows"),
        "bytes": total(block_run, "bytes"),
        **block_run.metrics,
        "waiting_seconds": seconds(block_run.queued_at, block_run.started_at),
        "starting_seconds": starting,
        "running_seconds": running,
    }


def total(block_run: BlockRun, key: str) -> int | None:
    """Return the sum over its outputs; None where none of them counts."""
    counts = [output[key] for output in block_run.output if output.get(key) is not None]
    return sum(counts) if counts else None


def of_run(run: PipelineRun) -> Metrics:
    """Return the sums over its block runs, the latest attempt of each, and how its time is split. One query.

    waiting: created until it was let in (not known once it was retried); starting: until its first block began;
    running: from there to its end.
    """
    rows = BlockRun.objects.filter(pipeline_run=run).of_graph()  # run.block_runs may be prefetched, without members
    sums = rows.aggregate(**SUMS, first=Min("first_started_at", filter=of_this_attempt(run)))
    begun = sums["first"]
    return {
        "waiting_seconds": seconds(run.created_at, run.started_at) if run.attempt == 1 else None,
        "starting_seconds": seconds(run.started_at, begun),
        "running_seconds": seconds(begun, run.completed_at),
        "cpu_seconds": None if sums["cpu"] is None else round(sums["cpu"], 6),
        "peak_memory_bytes": whole(sums["memory"]),
        "rows": whole(sums["rows"]),
        "bytes": whole(sums["bytes"]),
        "block_runs": sums["blocks"],
    }


def number(key: str) -> Cast:
    return Cast(KeyTextTransform(key, "metrics"), FloatField())


SUMS: dict[str, Any] = {
    "cpu": Sum(number("cpu_seconds")),
    "memory": Max(number("peak_memory_bytes")),
    "rows": Sum(SumOfOutputs("output", key="rows")),
    "bytes": Sum(SumOfOutputs("output", key="bytes")),
    "blocks": Count("pk"),
}


def of_this_attempt(run: PipelineRun) -> Q:
    """Those blocks that began since the run was (last) started: a retry leaves the others as they were."""
    return Q(first_started_at__gte=run.started_at) if run.started_at else Q(pk=None)


def whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def seconds(begin: datetime | None, end: datetime | None) -> float | None:
    """Return how long it was; None where an end is missing; 0 where a clock was set back in between."""
    return None if begin is None or end is None else round(max(0.0, (end - begin).total_seconds()), 3)
