"""What becomes of a moment that a schedule was due: start, skip or miss, with the reason. Pure: no Django, no clock.

`Settings` are Mage's trigger settings, checked. `decide` is given the moments that are due and what still runs, and
rules on each; nothing here reads or writes anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pipelines.refusal import Refusal
from schedules.clock_changes import DstRule, Missing, Repeated

STARTED: Literal["started"] = "started"
SKIPPED: Literal["skipped"] = "skipped"
MISSED: Literal["missed"] = "missed"

YEAR = 31_536_000  # seconds
DELAYS = ("delay", "max_delay")


class InvalidSettings(Refusal):
    """A setting of a wrong type or outside its range."""

    def __init__(self, name: str, wanted: str, value: object) -> None:
        seen = repr(value) if len(repr(value)) <= 80 else repr(value)[:79] + "…"
        super().__init__(f"{name} must be {wanted}; {seen} is not.", field=f"settings.{name}", code="invalid_settings")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A schedule's settings: Mage's, and ours about DST. Unknown ones are kept in `others` and change nothing."""

    skip_if_previous_running: bool = False
    allow_blocks_to_fail: bool = False
    create_initial_pipeline_run: bool = False
    pipeline_run_limit: int | None = None
    on_pipeline_run_limit_reached: str = "skip"
    timeout: timedelta | None = None
    timeout_status: str = "failed"
    retry_config: Mapping[str, Any] = field(default_factory=dict)
    landing_time_enabled: bool = False
    dst_missing: Missing = Missing.AT_NEXT_VALID
    dst_repeated: Repeated = Repeated.FIRST
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """Read the JSON of a schedule, a request or `triggers.yaml`; raise `InvalidSettings` naming the setting."""
        if raw is None:
            return cls()
        if not isinstance(raw, Mapping):
            raise InvalidSettings("settings", "an object", raw)
        known: dict[str, Any] = {name: READERS[name](name, raw[name]) for name in READERS if raw.get(name) is not None}
        return cls(**known, others={str(name): value for name, value in raw.items() if name not in READERS})

    @property
    def dst(self) -> DstRule:
        return DstRule(self.dst_missing, self.dst_repeated)


@dataclass(frozen=True)
class Ruling:
    """What was decided about one moment, and why. `blocker_run_id` is the run that stood in the way."""

    decision: Literal["started", "skipped", "missed"]
    reason: str = ""
    blocker_run_id: int | None = None


def decide(
    moments: Sequence[datetime],
    settings: Settings,
    unfinished_runs: Sequence[int] = (),
    *,
    unlisted_since: datetime | None = None,
) -> list[Ruling]:
    """Rule on the overdue `moments` of one schedule, given in order; `unfinished_runs` are its own, oldest first.

    After downtime the latest moment stands for all: it is started (or skipped), the earlier ones are missed. When
    there were too many to list, the first one given stands for all those `unlisted_since`.
    """
    if not moments:
        return []
    why = f"Not started in time; of the overdue moments only the latest, {moments[-1]:%Y-%m-%d %H:%M} UTC, is run."
    missed = [Ruling(MISSED, why)] * (len(moments) - 1)
    if unlisted_since and missed:
        missed[0] = Ruling(MISSED, f"{why} This stands for every moment since {unlisted_since:%Y-%m-%d %H:%M} UTC.")
    return [*missed, decide_latest(settings, unfinished_runs)]


def decide_latest(settings: Settings, unfinished_runs: Sequence[int]) -> Ruling:
    if settings.skip_if_previous_running and unfinished_runs:
        previous = unfinished_runs[-1]
        return Ruling(SKIPPED, f"The previous run, {previous}, was still running.", previous)
    limit = settings.pipeline_run_limit
    if limit is not None and len(unfinished_runs) >= limit:
        runs = "1 run is" if limit == 1 else f"{limit} runs are"
        return Ruling(SKIPPED, f"The limit was reached: {runs} allowed at a time.", unfinished_runs[0])
    return Ruling(STARTED)


def read_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettings(name, "true or false", value)
    return value


def read_limit(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise InvalidSettings(name, "a whole number of at least 1, or empty for no limit", value)
    return value


def read_seconds(name: str, value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= YEAR:
        raise InvalidSettings(name, "a number of seconds from 1 to 31 536 000", value)
    return timedelta(seconds=value)


def read_timeout_status(name: str, value: object) -> str:
    if value not in ("failed", "cancelled"):
        raise InvalidSettings(name, '"failed" or "cancelled"', value)
    return str(value)


def read_limit_policy(name: str, value: object) -> str:
    if value not in ("skip", "wait"):
        raise InvalidSettings(name, '"skip" or "wait"', value)
    return str(value)


def read_missing(name: str, value: object) -> Missing:
    if value not in tuple(Missing):
        raise InvalidSettings(name, '"at_next_valid" or "skipped"', value)
    return Missing(str(value))


def read_repeated(name: str, value: object) -> Repeated:
    if value not in tuple(Repeated):
        raise InvalidSettings(name, '"first", "second" or "both"', value)
    return Repeated(str(value))


def read_retry_config(name: str, value: object) -> Mapping[str, Any]:
    """Check Mage's `retries`, `delay`, `max_delay` (seconds) and `exponential_backoff`; keep whatever else is there."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(name, "an object such as {retries: 3, delay: 5}", value)
    retries = value.get("retries", 0)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 1000:
        raise InvalidSettings(f"{name}.retries", "a whole number from 0 to 1000", retries)
    for key in DELAYS:
        seconds = value.get(key, 0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= YEAR:
            raise InvalidSettings(f"{name}.{key}", "a number of seconds from 0 to 31 536 000", seconds)
    read_flag(f"{name}.exponential_backoff", value.get("exponential_backoff", True))
    return dict(value)


READERS: dict[str, Callable[[str, object], Any]] = {
    "skip_if_previous_running": read_flag,
    "allow_blocks_to_fail": read_flag,
    "create_initial_pipeline_run": read_flag,
    "pipeline_run_limit": read_limit,
    "on_pipeline_run_limit_reached": read_limit_policy,
    "timeout": read_seconds,
    "timeout_status": read_timeout_status,
    "retry_config": read_retry_config,
    "landing_time_enabled": read_flag,
    "dst_missing": read_missing,
    "dst_repeated": read_repeated,
}
