"""Why a running run does not come along: for each of its unfinished blocks, what it does or waits for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import F, Q

from runs import admission, kinship, pools
from runs.models import BlockRun, PipelineRun, Role
from runs.reasons.explanations import Check, Explanation, at, block_link, counted, listed, run_link
from runs.reasons.presence import ago, scheduler_check, worker_check
from runs.states import BlockStatus

MOST_BLOCKS = 200  # unfinished blocks that are told about
FEW_MEMBERS = 3  # in each state, of those that a block runs as
ORDER = (BlockStatus.RUNNING, BlockStatus.QUEUED, BlockStatus.WAITING, BlockStatus.INITIAL)
WIDE = ("config", "output", "error", "metrics", "fanout")


def why_running(run: PipelineRun, moment: datetime) -> Explanation:
    """Tell of a running run what each unfinished block waits for; blocks at work first."""
    in_order = run.block_runs.of_graph().select_related("worker").defer(*WIDE).order_by("position", "id")
    rows = {row.block_uuid: row for row in in_order.annotate(dimensions=F("config__dimensions"))}
    unfinished = sorted(
        (row for row in rows.values() if not row.is_finished), key=lambda row: ORDER.index(BlockStatus(row.status))
    )
    workers, scheduler = worker_check(moment), scheduler_check(moment)
    place = place_in_queue(unfinished)
    awaited = kinship.awaited_by(row.pk for row in unfinished if row.status == BlockStatus.RUNNING)
    told = with_few_members(unfinished)[:MOST_BLOCKS]
    blocks = [
        waits_for(awaited[row.pk], row, moment) if row.pk in awaited else check_of(row, rows, run, moment, place)
        for row in told
    ]
    by_name = dict(zip((row.block_uuid for row in told), blocks, strict=True))
    summary = summary_of(unfinished, by_name, workers, scheduler, moment)
    is_running = any(check.passed for check in blocks)
    return Explanation(summary=summary, checks=(*blocks, workers, scheduler), is_running=is_running)


def with_few_members(unfinished: Sequence[BlockRun]) -> list[BlockRun]:
    """Leave out most of those that stand alike among the members of a block: it counts them itself."""
    seen: Counter[tuple[int | None, str]] = Counter()
    found = []
    for row in unfinished:
        seen[row.parent_id, row.status] += 1
        few = 0 if row.status == BlockStatus.INITIAL else FEW_MEMBERS
        if row.role != Role.MEMBER or seen[row.parent_id, row.status] <= few:
            found.append(row)
    return found


def summary_of(
    unfinished: Sequence[BlockRun], checks: Mapping[str, Check], workers: Check, scheduler: Check, moment: datetime
) -> str:
    """Put the most telling of it in one sentence."""
    at_work = [row.block_uuid for row in unfinished if row.status == BlockStatus.RUNNING and not is_lost(row, moment)]
    if at_work:
        return f"It is running: {listed(at_work)} {'is' if len(at_work) == 1 else 'are'} at work."
    if not unfinished:
        return f"All its blocks are finished; {nobody_or_soon(scheduler, 'it is ended')}."
    first = unfinished[0]
    told = checks[first.block_uuid]
    name = f"Block {first.block_uuid}: "
    match first.status:
        case BlockStatus.RUNNING:
            return f"{name}{told.detail} {'' if scheduler.passed else scheduler.detail}".strip()
        case BlockStatus.QUEUED:
            return f"{name}{told.detail} {workers.detail}"
        case BlockStatus.WAITING if told.clears_at and told.clears_at <= moment and not scheduler.passed:
            return f"{name}{told.detail} {scheduler.detail}"
        case BlockStatus.WAITING:
            return f"{name}{told.detail}"
    return f"None of its blocks is queued, at work or waiting; {nobody_or_soon(scheduler, 'the next is queued')}."


def nobody_or_soon(scheduler: Check, what: str) -> str:
    return f"{what} by the scheduler's next sweep, within seconds" if scheduler.passed else scheduler.detail.rstrip(".")


def check_of(
    row: BlockRun, rows: Mapping[str, BlockRun], run: PipelineRun, moment: datetime, place: Mapping[int, int]
) -> Check:
    name = f"block {row.block_uuid}"
    match row.status:
        case BlockStatus.RUNNING:
            return running(name, row, moment)
        case BlockStatus.QUEUED:
            number = place.get(row.pk)
            where = f"number {number} in the queue" if number else "in the queue"
            since = f"since {at(row.queued_at)}, " if row.queued_at else ""
            again = f" Before: {row.reason}." if row.reason else ""
            if row.pool and (full := pools.why_full(row)):
                return Check(name=name, passed=False, detail=f"{full}{again}")
            return Check(name=name, passed=False, detail=f"It waits for a worker {since}{where}.{again}")
        case BlockStatus.WAITING if row.members_total is not None:
            return waiting_for_members(name, row, rows)
        case BlockStatus.WAITING:
            return waiting(name, row, moment)
    return initial(name, row, rows, run)


def running(name: str, row: BlockRun, moment: datetime) -> Check:
    if is_lost(row, moment):
        who = f"Its worker, {row.worker.host}:{row.worker.pid}," if row.worker else "Its worker"
        detail = f"{who} was lost; the scheduler's sweep gives the block to another one."
        return Check(name=name, passed=False, detail=detail)
    worker = f" on {row.worker.host}:{row.worker.pid}" if row.worker else ""
    since = f" for {ago(moment - row.started_at)}" if row.started_at else ""
    tries = f", attempt {row.attempt}" if row.attempt > 1 else ""
    return Check(name=name, passed=True, detail=f"It has been at work{since}{worker}{tries}.")


def waits_for(runs: Sequence[PipelineRun], row: BlockRun, moment: datetime) -> Check:
    """It has started runs, and goes on when they are finished."""
    check = running(f"block {row.block_uuid}", row, moment)
    said = listed([f"run {run.pk} of {run.pipeline.uuid} ({run.status})" for run in runs])
    blockers = tuple(run_link(run.pk) for run in runs[:5])
    return replace(check, detail=f"{check.detail} It waits for {said}.", blockers=blockers)


def is_lost(row: BlockRun, moment: datetime) -> bool:
    return row.worker is None or row.worker.lease_until is None or row.worker.lease_until < moment


def waiting_for_members(name: str, row: BlockRun, rows: Mapping[str, BlockRun]) -> Check:
    """It runs once for each item; each of those is told about too, as far as there is room."""
    members = [each for each in rows.values() if each.parent_id == row.pk and not each.is_finished]
    counts = Counter(each.status for each in members)
    told = ", ".join(f"{counts[status]:,} {status}" for status in ORDER if counts[status])
    detail = f"It waits for {len(members):,} of its {row.members_total:,} members: {told}."
    return Check(name=name, passed=False, detail=detail)


def waiting(name: str, row: BlockRun, moment: datetime) -> Check:
    if row.type == "sensor" and "failed" not in row.reason:
        what = f"Its sensor is not true yet; it has looked {counted(row.pokes, 'time')}."
    else:
        what = f"It is to be tried again: {row.reason or 'an attempt failed'}."
    when = row.next_attempt_at
    following = f" The next attempt {'was due' if when <= moment else 'is'} at {at(when)}." if when else ""
    return Check(name=name, passed=False, detail=what + following, clears_at=when)


def initial(name: str, row: BlockRun, rows: Mapping[str, BlockRun], run: PipelineRun) -> Check:
    """It waits for blocks above it, or for one of the run's slots, or for the next sweep."""
    items_of = getattr(row, "dimensions", None) or ()
    if row.members_total is None and (open_ones := [uuid for uuid in items_of if not rows[uuid].is_finished]):
        links = tuple(block_link(run.pk, uuid) for uuid in open_ones[:5])
        return Check(name=name, passed=False, detail=f"It waits for the items of {listed(open_ones)}.", blockers=links)
    above = [rows[uuid] for uuid in row.upstream if uuid in rows and not rows[uuid].is_finished]
    if above:
        said = listed([f"{each.block_uuid} ({each.status})" for each in above])
        links = tuple(block_link(run.pk, each.block_uuid) for each in above[:5])
        return Check(name=name, passed=False, detail=f"It comes after {said}.", blockers=links)
    slots = admission.first_slots(run)
    holding = [each for each in rows.values() if each.status in ORDER[:3] and each.members_total is None]
    if slots is not None and len(holding) >= slots:
        why = "run in one process" if run.in_one_process else f"limited to {counted(slots, 'block')} at a time"
        said = listed([each.block_uuid for each in holding])
        links = tuple(block_link(run.pk, each.block_uuid) for each in holding[:5])
        return Check(name=name, passed=False, detail=f"It is ready, but the run is {why}: {said}.", blockers=links)
    return Check(name=name, passed=False, detail="It is ready: the scheduler's next sweep queues it.")


def place_in_queue(unfinished: Sequence[BlockRun]) -> dict[int, int]:
    """Return the place in the queue (1 is next) of the first queued block of the run."""
    queued = sorted((row for row in unfinished if row.status == BlockStatus.QUEUED), key=lambda r: (r.priority, r.pk))
    if not queued:
        return {}
    first = queued[0]
    before = Q(priority__lt=first.priority) | Q(priority=first.priority, pk__lt=first.pk)
    return {first.pk: BlockRun.objects.filter(before, status=BlockStatus.QUEUED).count() + 1}
