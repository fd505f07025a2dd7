"""How an attempt at a block ends: completed, failed, to be tried again, to be looked at again. Under the run's lock."""

from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from executors.base import Outcome, Verdict
from runs import events, history
from runs.models import BlockRun, PipelineRun, Role
from runs.retries import delay_before_next, objection
from runs.states import BlockStatus

# What is due later than this is seen by the scheduler at its next poll, in good time.
RUNG_FOR = timedelta(seconds=2 * settings.SCHEDULER_POLL_SECONDS)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
# How far a sensor's look may be put off, by its interval.
GRIDS = ((timedelta(seconds=60), timedelta(seconds=5)), (timedelta(seconds=10), timedelta(seconds=1)))


def record(run: PipelineRun, block_run: BlockRun, outcome: Outcome, moment: datetime) -> bool:
    """Move the block run as its outcome says; False when this attempt may not write any more."""
    metrics = {**outcome.usage, **({"exit": outcome.exit} if outcome.exit else {})}
    ended: dict[str, Any] = {"completed_at": moment, "metrics": metrics, "external_id": block_run.external_id}
    match outcome.verdict:
        case Verdict.COMPLETED:
            output = outcome.result.get("outputs", [])
            fields: dict[str, Any] = (
                {"fanout": outcome.result.get("fanout") or {}} if block_run.config.get("dynamic") else {}
            )
            metrics.update(received(outcome.result))
            return block_run.move_to(BlockStatus.COMPLETED, output=output, error={}, reason="", **ended, **fields)
        case Verdict.NOT_YET:
            return poke_later(run, block_run, metrics, moment)
        case Verdict.CONDITION_FAILED:
            reason = str(outcome.result.get("reason", ""))[:500]
            return block_run.move_to(BlockStatus.CONDITION_FAILED, **ended, error={}, reason=reason)
        case Verdict.CANCELLED:
            return block_run.move_to(BlockStatus.CANCELLED, **ended)
        case Verdict.HANDED_BACK:
            return hand_back(run, block_run, metrics, moment)
        case Verdict.FENCED:
            return False
        case _:
            return fail_or_retry(run, block_run, outcome, metrics, moment)


def received(result: Mapping[str, Any]) -> dict[str, int]:
    """Return how many rows and bytes the block says it was given; a process may say anything."""
    said = result.get("received")
    known = said if isinstance(said, Mapping) else {}
    return {name: known[name] for name in ("rows_in", "bytes_in") if isinstance(known.get(name), int)}


def hand_back(run: PipelineRun, block_run: BlockRun, metrics: dict[str, Any], moment: datetime) -> bool:
    """A worker that stops gives back what it could not finish: somebody else shall have it, no retry charged."""
    was = copy(block_run)
    moved = block_run.move_to(BlockStatus.QUEUED, next_attempt=True, worker_id=None, queued_at=moment)
    if moved:
        history.keep([was], moment, run_attempt=run.attempt, ended_as=history.HANDED_BACK, metrics=metrics)
    events.publish_work()
    return moved


def poke_later(run: PipelineRun, block_run: BlockRun, metrics: dict[str, Any], moment: datetime) -> bool:
    """A sensor that is not true yet gives its worker back and looks again later, until its own time-out."""
    config, since = block_run.config, block_run.first_started_at or moment
    patience = config.get("poke_timeout")
    if patience and moment - since >= timedelta(seconds=patience):
        if config.get("soft_fail"):
            reason = f"not true within {patience:g} s"
            return block_run.move_to(BlockStatus.CONDITION_FAILED, completed_at=moment, reason=reason)
        error = {"type": "SensorTimeout", "message": f"the sensor was not true within {patience:g} s"}
        return fail(run, block_run, error, metrics, moment)
    interval = timedelta(seconds=config.get("poke_interval") or 60)
    due = together(moment + interval, interval)
    if patience:  # the last look is at the end of its time, not up to an interval later
        due = min(due, since + timedelta(seconds=patience))
    if due - moment < RUNG_FOR:
        events.publish_timer()
    return block_run.move_to(
        BlockStatus.WAITING,
        worker_id=None,
        next_attempt_at=due,
        pokes=block_run.pokes + 1,
        metrics=metrics,
        reason="not true yet; looks again",
    )


def together(due: datetime, interval: timedelta) -> datetime:
    """Put a look off to the next full second, or five of them: many sensors are woken at once, not one by one."""
    for least, grid in GRIDS:
        if interval >= least:
            return due + (EPOCH - due) % grid
    return due


def fail_or_retry(
    run: PipelineRun, block_run: BlockRun, outcome: Outcome, metrics: dict[str, Any], moment: datetime
) -> bool:
    """Have a failed attempt wait for the next one, if it has one left; else fail the block. False if fenced."""
    error = outcome.failure.as_dict() if outcome.failure else {"type": "Failure", "message": "failed"}
    given = {} if block_run.role == Role.CALLBACK else run.retry_config
    config = {**given, **(block_run.config.get("retry_config") or {})}
    delay = delay_before_next(config, block_run.retries, seed=str(block_run.pk))
    if delay is None:
        return fail(run, block_run, error, metrics, moment)
    names = (outcome.failure.bases if outcome.failure else ()) or [error["type"]]
    if reason := objection(config, names):
        return fail(run, block_run, error, metrics, moment, reason=reason)
    message = f"{block_run.block_uuid}: {error['type']}: {error['message']}"
    was = copy(block_run)
    moved = block_run.move_to(
        BlockStatus.WAITING,
        next_attempt=True,
        worker_id=None,
        next_attempt_at=moment + delay,
        retries=block_run.retries + 1,
        metrics=metrics,
        error=error,
        reason=f"attempt {was.attempt} failed; tries again",
    )
    if moved:
        how: dict[str, Any] = {"ended_as": history.FAILED, "metrics": metrics, "error": error, "reason": ""}
        history.keep([was], moment, run_attempt=run.attempt, **how)
        events.note(run, "retry", moment, message, block_run=block_run, attempt=was.attempt, error=error)
        events.publish_timer()
    return moved


def fail(
    run: PipelineRun,
    block_run: BlockRun,
    error: Mapping[str, str],
    metrics: dict[str, Any],
    moment: datetime,
    *,
    reason: str = "",
) -> bool:
    fields: dict[str, Any] = {
        "error": dict(error),
        "metrics": metrics,
        "external_id": block_run.external_id,
        "reason": reason,
    }
    moved = block_run.move_to(BlockStatus.FAILED, completed_at=moment, **fields)
    if moved:
        message = f"{block_run.block_uuid}: {error['type']}: {error['message']}"
        kind = "callback_failed" if block_run.role == Role.CALLBACK else "block_failed"
        events.note(run, kind, moment, message, block_run=block_run, attempt=block_run.attempt)
    return moved
