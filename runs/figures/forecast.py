"""When a run that goes on will probably end: its blocks take as long as they took in the pipeline's last runs.

Each of those runs is played again from where this one stands: what is done is done, what runs takes at least as long
as it has, what is to come begins when all before it has ended. Of the ends that come of it the middle one is
expected, and nine of ten are not later than the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runs.figures.history_of_blocks import percentile
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus, RunStatus

RUNS = 30  # completed runs that are looked at
ENOUGH = 5

Times = Mapping[str, float]  # seconds by block


@dataclass(frozen=True)
class Forecast:
    """`expected` and `latest` are None where there were not enough runs. `runs`: how many it was drawn from.

    `path`: the blocks that are left on the way that will probably take longest; `unknown`: those that never completed
    before; `is_late`: a block has been at it for longer than in any of those runs.
    """

    runs: int
    expected: datetime | None = None
    latest: datetime | None = None
    path: Sequence[str] = ()
    unknown: Sequence[str] = ()
    is_late: bool = False


def forecast(run: PipelineRun, block_runs: Sequence[BlockRun], now: datetime) -> Forecast | None:
    """Return when a run will end; None for one that does not run. Two queries."""
    if run.status != RunStatus.RUNNING or run.started_at is None:
        return None
    left = [row for row in block_runs if not row.is_finished]
    past = past_times(run, [row.block_uuid for row in left])
    return play(left, past, since=run.started_at, now=now)


def past_times(run: PipelineRun, uuids: Sequence[str]) -> list[Times]:
    """Return how long these blocks took in each of the last completed runs, from when they were ready."""
    newest = PipelineRun.objects.filter(pipeline=run.pipeline_id, status=RunStatus.COMPLETED, attempt=1)
    ids = list(newest.filter(completed_at__isnull=False).order_by("-completed_at").values_list("pk", flat=True)[:RUNS])
    found: dict[int, dict[str, float]] = {pk: {} for pk in ids}
    rows = BlockRun.objects.filter(pipeline_run__in=ids, role=Role.BLOCK, status=BlockStatus.COMPLETED)
    fields = ("pipeline_run_id", "block_uuid", "queued_at", "first_started_at", "started_at", "completed_at")
    for run_id, uuid, *begins, end in rows.filter(block_uuid__in=uuids).values_list(*fields):
        if (begin := min(filter(None, begins), default=None)) and end:
            found[run_id][uuid] = max((end - begin).total_seconds(), 0.0)
    return list(found.values())


def play(left: Sequence[BlockRun], past: Sequence[Times], *, since: datetime, now: datetime) -> Forecast:
    """Play each of the past runs from where this one stands. `left` in topological order. Pure."""
    known = {uuid for times in past for uuid in times}
    unknown = [row.block_uuid for row in left if row.block_uuid not in known]
    if len(past) < ENOUGH or not known:
        return Forecast(len(past), unknown=unknown)
    usual = {uuid: percentile([times[uuid] for times in past if uuid in times], 0.5) or 0.0 for uuid in known}
    elapsed = {row.block_uuid: gone(row, since, now) for row in left}
    ends = [max(ends_of(left, {**usual, **times}, elapsed).values(), default=0.0) for times in past]
    middle, late = percentile(ends, 0.5) or 0.0, percentile(ends, 0.9) or 0.0
    most = {uuid: max(times.get(uuid, 0.0) for times in past) for uuid in known}
    return Forecast(
        runs=len(past),
        expected=now + timedelta(seconds=middle),
        latest=now + timedelta(seconds=late),
        path=longest_way(left, ends_of(left, usual, elapsed)),
        unknown=unknown,
        is_late=any(elapsed[uuid] > most[uuid] for uuid in elapsed if uuid in most),
    )


def gone(row: BlockRun, since: datetime, now: datetime) -> float:
    """Return for how many seconds a block has been at it (or ready) in this attempt at the run."""
    begin = min(filter(None, (row.queued_at, row.first_started_at, row.started_at)), default=None)
    if row.status == BlockStatus.INITIAL or begin is None:
        return 0.0
    return max((now - max(begin, since)).total_seconds(), 0.0)


def ends_of(left: Sequence[BlockRun], times: Times, elapsed: Times) -> dict[str, float]:
    """Return after how many seconds from now each block ends."""
    ends: dict[str, float] = {}
    for row in left:
        uuid = row.block_uuid
        ready = max((ends[name] for name in row.upstream if name in ends), default=0.0)
        ends[uuid] = ready + max(times.get(uuid, 0.0) - elapsed[uuid], 0.0)
    return ends


def longest_way(left: Sequence[BlockRun], ends: Times) -> list[str]:
    upstream = {row.block_uuid: row.upstream for row in left}
    way: list[str] = []
    at = max(ends, key=lambda uuid: (ends[uuid], uuid), default=None)
    while at is not None:
        way.append(at)
        at = max((name for name in upstream[at] if name in ends), key=lambda name: (ends[name], name), default=None)
    return way[::-1]
