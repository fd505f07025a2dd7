"""Other pipelines as a block sees them: started by it, waited for, looked at. The functions that blocks import."""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from numbers import Real
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pipelines.questions import Refused, ask

logger = logging.getLogger("orchestrator")
INSTANTS = ("execution_date", "created_at", "started_at", "completed_at")
_lock = threading.Lock()
_calls: dict[str, int] = {}


class PipelineRunFailed(RuntimeError):
    """A run that a block started and waited for failed or was cancelled."""


class PipelineRunTimeout(TimeoutError):
    """A run that a block waits for was not finished within `poll_timeout`; it goes on."""


@dataclass
class PipelineRun:
    """A run that a block started, as it stood when it was last looked at. Moments are aware datetimes."""

    id: int
    pipeline_uuid: str
    status: str  # initial | running | completed | failed | cancelled
    execution_date: datetime
    variables: dict[str, Any]
    pipeline_schedule_id: int | None
    pipeline_schedule_name: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    reason: str = field(repr=False)  # why it waits, failed or was cancelled
    url: str = field(repr=False)

    @property
    def completed(self) -> bool:
        return self.status == "completed"

    @property
    def failed(self) -> bool:
        return self.status == "failed"

    @property
    def cancelled(self) -> bool:
        return self.status == "cancelled"

    @property
    def is_finished(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    def refresh(self) -> "PipelineRun":
        """Look again."""
        self.__dict__.update(read(ask("wait_for_run", run_id=self.id, seconds=0)).__dict__)
        return self

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def begin() -> None:
    """A block begins in this process: its calls are counted from the first."""
    with _lock:
        _calls.clear()


def trigger_pipeline(
    pipeline_uuid: str,
    repo_path: str | None = None,
    variables: Mapping[str, Any] | None = None,
    check_status: bool = False,
    error_on_failure: bool = False,
    poll_interval: float = 60,
    poll_timeout: float | None = None,
    schedule_name: str | None = None,
    verbose: bool = True,
    remote_blocks: Any = None,
    return_remote_blocks: bool = False,
    **others: Any,
) -> PipelineRun:
    """Start a run of another pipeline of the project; with `check_status`, wait until it is finished.

    Waiting holds no worker. `poll_interval` is how often, in seconds, the log says that the run still goes on;
    `poll_timeout` how long to wait: PipelineRunTimeout then, and the run goes on. `error_on_failure` raises
    PipelineRunFailed if it failed or was cancelled. `schedule_name` gives it the settings of that API trigger, which
    is made if there is none. A run that is waited for is cancelled when the block is stopped. Raises Refused for what
    cannot be started.
    """
    _refuse_remote(remote_blocks, return_remote_blocks)
    _refuse_others("trigger_pipeline", others)
    _check_here(repo_path)
    _check_seconds(poll_interval=poll_interval, **({} if poll_timeout is None else {"poll_timeout": poll_timeout}))
    plain = plain_variables(variables)
    call = name_call(pipeline_uuid, schedule_name, plain)
    found = ask(
        "trigger_pipeline",
        pipeline_uuid=pipeline_uuid,
        variables=plain,
        schedule_name=schedule_name,
        waits=bool(check_status),
        call=call,
    )
    run = read(found)
    what = "Started" if found["is_new"] else "Goes on with what it started before:"
    logger.info("%s run %s of %s: %s", what, run.id, run.pipeline_uuid, run.url)
    if not check_status:
        return run
    run = _wait(run, poll_interval if verbose else None, poll_timeout)
    if verbose:
        logger.info("Run %s of %s is %s", run.id, run.pipeline_uuid, run.status)
    if error_on_failure and not run.completed:
        reason = f": {run.reason}" if run.reason else ""
        raise PipelineRunFailed(f"run {run.id} of {run.pipeline_uuid} {_was(run)}{reason} ({run.url})")
    return run


def check_status(
    pipeline_uuid: str,
    execution_date: datetime | str,
    repo_path: str | None = None,
    block_uuid: str | None = None,
    hours: float = 24,
    **others: Any,
) -> bool:
    """Whether the latest run of a pipeline, or of a block of it, for a time within `hours` before is completed.

    False for no such run, one that goes on, failed or was cancelled, and for an unknown name; the log says which.
    """
    _refuse_others("check_status", others)
    _check_here(repo_path)
    moment = execution_date.isoformat() if isinstance(execution_date, date) else str(execution_date)
    found = ask("check_status", pipeline_uuid=pipeline_uuid, execution_date=moment, block_uuid=block_uuid, hours=hours)
    logger.log(logging.getLevelName(found["level"]), "check_status: %s", found["text"])
    return bool(found["completed"])


def read(found: Mapping[str, Any]) -> PipelineRun:
    """Make a run of what the worker says of one."""
    values = {name: found[name] for name in PipelineRun.__dataclass_fields__}
    for name in INSTANTS:
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return PipelineRun(**values)


def name_call(*what: Any) -> str:
    """Name this call so that it has the same name when the block is run again from its beginning.

    In the main thread calls come in order. Of other threads nobody knows which is first: theirs are named for what
    they ask for.
    """
    name = ""
    if threading.current_thread() is not threading.main_thread():
        name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    with _lock:
        _calls[name] = number = _calls.get(name, 0) + 1
    return f"{name}:{number}"


def plain_variables(variables: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return variables as JSON has them; moments become text in ISO 8601. TypeError for what has no such form."""
    if variables is not None and not isinstance(variables, Mapping):
        raise TypeError(f"variables must be a dict, not {type(variables).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(variables or {}), default=_plain, allow_nan=False))
    except ValueError as error:  # NaN, or a value within itself
        raise TypeError(f"variables must be plain JSON: {error}") from error
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, date):  # datetimes too
        return value.isoformat()
    if isinstance(value, Decimal | PurePath | UUID):
        return str(value)
    if callable(item := getattr(value, "item", None)):  # a number of numpy's
        return item()
    raise TypeError(f"variables must be plain JSON: a value is a {type(value).__name__}")


def _wait(run: PipelineRun, interval: float | None, timeout: float | None) -> PipelineRun:
    """Wait for the run's end, saying every `interval` seconds that it goes on."""
    until = None if timeout is None else time.monotonic() + timeout
    while not run.is_finished:
        left = None if until is None else max(0.0, until - time.monotonic())
        pause = None if interval is None else max(1.0, interval)
        run = read(
            ask("wait_for_run", run_id=run.id, seconds=min((s for s in (left, pause) if s is not None), default=None))
        )
        if run.is_finished:
            break
        if until is not None and time.monotonic() >= until:
            ask("leave_run", run_id=run.id)
            what = f"run {run.id} of {run.pipeline_uuid}"
            raise PipelineRunTimeout(f"{what} was still {run.status} after {timeout:g} s; it goes on ({run.url})")
        logger.info("Run %s of %s is %s", run.id, run.pipeline_uuid, run.reason or run.status)
    return run


def _was(run: PipelineRun) -> str:
    return "failed" if run.failed else "was cancelled"


def _refuse_remote(remote_blocks: Any, return_remote_blocks: bool) -> None:
    if remote_blocks or return_remote_blocks:
        raise Refused("remote_blocks are not available here; hand values over in `variables`")


def _refuse_others(function: str, names: Mapping[str, Any]) -> None:
    """Raise TypeError for a keyword that is not known. Mage's own, for itself, begin with an underscore."""
    for name in names:
        if not name.startswith("_"):
            raise TypeError(f"{function}() got an unexpected keyword argument {name[:80]!r}")


def _check_seconds(**given: Any) -> None:
    """Raise for what cannot be waited for, before anything is started."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
        if not float(value) >= 0:
            raise ValueError(f"{name} must be 0 seconds or more, not {float(value):g}")


def _check_here(repo_path: str | None) -> None:
    if repo_path is not None and os.path.realpath(repo_path) != os.path.realpath(os.getcwd()):
        raise Refused(
            f"repo_path {str(repo_path)[:200]!r} is another project; only pipelines of this one can be asked for"
        )
