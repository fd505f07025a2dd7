"""How a stream's attempt ends: as a rule it is started again, for ever or as often as its pipeline says.

A stream that has ended or failed waits before it is started again, each time longer: 1 s doubling to 5 min, or as
`retry_config` says. After ten minutes of health the count begins anew. `retries` limits the failures in a row.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from executors.base import Outcome, Verdict
from runs import attempts, events, history, logs
from runs.models import Attempt, BlockRun, Event, PipelineRun
from runs.retries import delay_before_next
from runs.states import BlockStatus

HEALTHY_AFTER = timedelta(minutes=10)
BACK_OFF: dict[str, Any] = {"delay": 1.0, "max_delay": 300.0}
AGAIN = frozenset({Verdict.COMPLETED, Verdict.FAILED, Verdict.TIMED_OUT})
FOR_GOOD = frozenset({"BlockError", "Refusal"})  # written in a way that cannot run: trying again changes nothing
ATTEMPTS_KEPT, LOGS_KEPT = 100, 20  # of one stream


def record(run: PipelineRun, block_run: BlockRun, outcome: Outcome, moment: datetime) -> bool:
    """As `attempts.record`, for any block run: a stream is started again where another block would be over."""
    if not is_stream(block_run):
        return attempts.record(run, block_run, outcome, moment)
    figures = outcome.result.get("stream") or block_run.metrics
    outcome = replace(outcome, usage={**figures, **outcome.usage})
    if outcome.verdict is Verdict.COMPLETED and outcome.result.get("stopped"):  # by a SIGTERM that was not ours
        outcome = replace(outcome, verdict=Verdict.HANDED_BACK)
    if outcome.verdict not in AGAIN:
        return attempts.record(run, block_run, outcome, moment)
    return start_again(run, block_run, outcome, moment)


def is_stream(block_run: BlockRun) -> bool:
    return bool(block_run.config.get("stream"))


def counted(used: int, started_at: datetime | None, moment: datetime) -> int:
    """Return how many failures in a row there were before this one: none after an attempt that lived long enough."""
    return 0 if started_at and moment - started_at >= HEALTHY_AFTER else used


def delay_before_restart(config: Mapping[str, Any], used: int, *, has_failed: bool, seed: str = "") -> timedelta | None:
    """Return how long to wait before the next attempt; None after a failure when all `retries` are used up."""
    asked = {**BACK_OFF, **config}
    if not has_failed or config.get("retries") is None:
        asked["retries"] = used + 1
    return delay_before_next(asked, used, seed)


def start_again(run: PipelineRun, block_run: BlockRun, outcome: Outcome, moment: datetime) -> bool:
    """Have an attempt that is over wait for the next one, or fail the stream. False if fenced."""
    metrics = {**outcome.usage, **({"exit": outcome.exit} if outcome.exit else {})}
    error = outcome.failure.as_dict() if outcome.failure else {}
    config = {**run.retry_config, **(block_run.config.get("retry_config") or {})}
    used = counted(block_run.retries, block_run.started_at, moment)
    delay = delay_before_restart(config, used, has_failed=bool(error), seed=str(block_run.pk))
    if error and error["type"] in FOR_GOOD:
        return attempts.fail(run, block_run, error, metrics, moment)
    if delay is None:
        return attempts.fail(run, block_run, error, metrics, moment, reason=f"failed {used + 1} times in a row")
    what = f"{error['type']}: {error['message']}" if error else "its source ended"
    was, next_at = copy(block_run), moment + delay
    moved = block_run.move_to(
        BlockStatus.WAITING,
        next_attempt=True,
        worker_id=None,
        next_attempt_at=next_at,
        retries=used + 1,
        metrics=metrics,
        error=error,
        reason=f"{what}; is started again"[:500],
    )
    if moved:
        ended_as = history.FAILED if error else BlockStatus.COMPLETED.value
        how: dict[str, Any] = {"ended_as": ended_as, "metrics": metrics, "error": error, "reason": ""}
        history.keep([was], moment, run_attempt=run.attempt, **how)
        message = f"{block_run.block_uuid}: {what}; started again in {delay.total_seconds():.3g} s"
        events.note(run, "restart", moment, message, block_run=block_run, attempt=was.attempt)
        events.publish_timer()
        forget_old(block_run)
    return moved


def forget_old(block_run: BlockRun) -> None:
    """Keep the newest attempts, restarts and logs only: a stream may be started again for years."""
    Attempt.objects.filter(block_run_id=block_run.pk, number__lt=block_run.attempt - ATTEMPTS_KEPT).delete()
    restarts = Event.objects.filter(block_run_id=block_run.pk, kind="restart").order_by("-id")
    Event.objects.filter(pk__in=list(restarts.values_list("pk", flat=True)[ATTEMPTS_KEPT : 2 * ATTEMPTS_KEPT])).delete()
    oldest = block_run.attempt - LOGS_KEPT
    if oldest > 0:
        transaction.on_commit(lambda: logs.remove_before(block_run, oldest))
