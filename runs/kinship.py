"""Runs that blocks of other runs started: above whom they stand, below whom, and which of them may be."""

from collections.abc import Iterable

from pipelines.refusal import Refusal
from runs import limits
from runs.admission import config_of, start_of
from runs.advancing import lock
from runs.limits import Ongoing
from runs.models import BlockRun, PipelineRun, PipelineRunQuerySet
from runs.states import BlockStatus

DEEPEST = 20  # runs that wait for each other in a row
MOST_SHOWN = 50


def check(run: PipelineRun, block_run: BlockRun) -> None:
    """Raise Refusal unless this block may start this run now. Within the transaction that stores the run."""
    if run.is_awaited:
        check_chain(run, waiting_above(block_run))
    # After the pipeline's row, as everywhere: of a stop of the parent and this start one sees the other.
    lock(block_run.pipeline_run_id)
    held = BlockRun.objects.filter(pk=block_run.pk, status=BlockStatus.RUNNING, attempt=block_run.attempt)
    if not held.exists():
        raise Refusal("The block that asks was stopped meanwhile.", code="conflict")


def check_chain(run: PipelineRun, above: list[PipelineRun]) -> None:
    """Refuse a run for which runs would wait that keep it from starting themselves."""
    names = " → ".join([other.pipeline.uuid for other in reversed(above)] + [run.pipeline.uuid])
    if len(above) >= DEEPEST:
        raise Refusal(
            f"{DEEPEST} runs would wait for each other in a row: {names[:200]}.",
            hint="Does a pipeline trigger itself without an end?",
            code="conflict",
        )
    kin = [
        Ongoing(other.pk, other.trigger_id, other.backfill_id, True, other.variables)
        for other in above
        if other.pipeline_id == run.pipeline_id
    ]
    gate = limits.decide(start_of(run, is_new=False), config_of(run), kin)
    if gate.cancels or not gate.is_open:
        why = gate.reason or "It would cancel the run that waits for it."
        raise Refusal(
            f"{names}: a run of {run.pipeline.uuid} waits for this one already, which could never start. {why}",
            hint="Allow more runs at a time, or trigger it without check_status.",
            code="conflict",
        )


def waiting_above(block_run: BlockRun) -> list[PipelineRun]:
    """Return the block's run and those that wait for it, the nearest first; one more than may be at most."""
    found: list[PipelineRun] = []
    run_id: int | None = block_run.pipeline_run_id
    while run_id is not None and len(found) <= DEEPEST:
        run = PipelineRun.objects.select_related("pipeline", "parent_block_run").defer("version").get(pk=run_id)
        found.append(run)
        run_id = run.parent_block_run.pipeline_run_id if run.is_awaited and run.parent_block_run else None
    return found


def family(run_id: int) -> list[int]:
    """Return the numbers of the run and of all runs that its blocks started, and theirs."""
    found, last = [run_id], [run_id]
    for _ in range(DEEPEST):
        last = list(children_of(last).values_list("pk", flat=True))
        if not last:
            break
        found += last
    return found


def awaited_by(block_runs: Iterable[int]) -> dict[int, list[PipelineRun]]:
    """Return the unfinished runs that block runs wait for, by the number of the block run."""
    runs = PipelineRun.objects.unfinished().filter(parent_block_run__in=list(block_runs), is_awaited=True)
    found: dict[int, list[PipelineRun]] = {}
    for run in runs.select_related("pipeline").order_by("pk"):
        found.setdefault(run.parent_block_run_id or 0, []).append(run)
    return found


def started_by(block_run: BlockRun) -> list[PipelineRun]:
    """Return the runs that a block started, the newest first, MOST_SHOWN at most."""
    return list(PipelineRun.objects.for_list().filter(parent_block_run=block_run.pk)[:MOST_SHOWN])


def children_of(run_ids: Iterable[int]) -> PipelineRunQuerySet:
    return PipelineRun.objects.filter(parent_block_run__pipeline_run__in=list(run_ids)).order_by("pk")
