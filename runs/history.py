"""Earlier attempts at blocks, written down when the next one begins: a block run itself knows only its latest.

Nothing here costs a block anything that succeeds at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runs.many_rows import insert_all
from runs.models import Attempt, BlockRun, Worker
from runs.states import BLOCK_FINISHED, BlockStatus

FAILED, LOST, HANDED_BACK = "failed", "lost", "handed_back"
OF_AN_ATTEMPT = ("queued_at", "started_at", "executor", "external_id", "metrics", "error", "reason")
BEGUN = (BlockStatus.RUNNING, BlockStatus.COMPLETED, BlockStatus.FAILED)
UNBEGUN: dict[str, Any] = {"started_at": None, "external_id": "", "host": "", "metrics": {}, "error": {}}


def keep(
    block_runs: Sequence[BlockRun], moment: datetime, *, run_attempt: int, ended_as: str = "", **known: Any
) -> None:
    """Write down the attempts that these rows, as they were before the move, were at: two or three statements.

    `ended_as` says how each ended, "" that its status does; `known` is what the rows don't say yet (error, metrics).
    Call it when the move was made, in the same transaction.
    """
    if not block_runs:
        return
    hosts = hosts_of(block_runs)
    unbegun = set() if ended_as else unbegun_among(block_runs)
    insert_all(
        [
            Attempt(
                block_run_id=row.pk,
                number=row.attempt,
                run_attempt=run_attempt,
                ended_as=ended_as or row.status,
                ended_at=row.completed_at or moment,
                **{name: getattr(row, name) for name in OF_AN_ATTEMPT}
                | {"host": hosts.get(row.worker_id, "")}
                | (UNBEGUN if row.pk in unbegun else {})
                | known,
            )
            for row in block_runs
        ]
    )


def hosts_of(block_runs: Iterable[BlockRun]) -> dict[int | None, str]:
    """Return the host of each worker that had one of these, by the worker's key."""
    workers = {row.worker_id for row in block_runs if row.worker_id is not None}
    return dict(Worker.objects.filter(pk__in=workers).values_list("pk", "host")) if workers else {}


def unbegun_among(block_runs: Iterable[BlockRun]) -> set[int]:
    """Return the keys of those whose attempt never began: what they say of times and errors is the one before's."""
    again = {row.pk: row for row in block_runs if row.attempt > 1 and row.started_at and row.status not in BEGUN}
    if not again:
        return set()
    earlier = Attempt.objects.filter(block_run__in=list(again)).values_list("block_run_id", "started_at")
    return {pk for pk, started_at in earlier if started_at == again[pk].started_at}


@dataclass(frozen=True)
class AttemptLine:
    """One attempt as people and programs see it. `number` names its log too; times are None while it has not come."""

    number: int
    run_attempt: int
    ended_as: str  # "" while it goes on
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    executor: str
    external_id: str
    host: str
    metrics: dict[str, Any]
    error: dict[str, Any]
    reason: str

    @property
    def duration(self) -> float | None:
        """Seconds it took; None if it never began or has not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds(), 3)


def all_attempts(block_run: BlockRun, run_attempt: int) -> list[AttemptLine]:
    """Return every attempt at a block in order, the latest included; `run_attempt` is its run's."""
    earlier = list(block_run.attempts.order_by("number"))
    kept = [
        AttemptLine(
            number=row.number,
            run_attempt=row.run_attempt,
            ended_as=row.ended_as,
            ended_at=row.ended_at,
            host=row.host,
            **{name: getattr(row, name) for name in OF_AN_ATTEMPT},
        )
        for row in earlier
    ]
    return [*kept, latest(block_run, run_attempt, earlier)]


def latest(block_run: BlockRun, run_attempt: int, earlier: Sequence[Attempt]) -> AttemptLine:
    fields = {name: getattr(block_run, name) for name in OF_AN_ATTEMPT}
    fields["host"] = hosts_of([block_run]).get(block_run.worker_id, "")
    is_finished = block_run.status in BLOCK_FINISHED
    may_be_unbegun = block_run.started_at is not None and block_run.status not in BEGUN
    if may_be_unbegun and any(row.started_at == block_run.started_at for row in earlier):
        fields |= UNBEGUN
    return AttemptLine(
        number=block_run.attempt,
        run_attempt=run_attempt,
        ended_as=block_run.status if is_finished else "",
        ended_at=block_run.completed_at if is_finished else None,
        **fields,
    )
