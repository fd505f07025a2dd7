"""What people choose about a trigger beside its interval: Mage's settings and ours, checked. Pure: no Django, no clock.

They are the JSON object `settings` on the form, in the API and in `triggers.yaml`; docs/schedules.md explains each.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from difflib import get_close_matches
from typing import Any, Self

from pipelines.refusal import Refusal
from schedules import setting_readers as read
from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.setting_readers import InvalidSettings, UnknownSetting


class LimitPolicy(enum.StrEnum):
    """What becomes of a moment that comes while the limit is reached."""

    SKIP = "skip"
    WAIT = "wait"


class TimeoutStatus(enum.StrEnum):
    FAILED = "failed"
    CANCELLED = "cancelled"


class Overlap(enum.StrEnum):
    """What becomes of a moment that comes while an earlier run of the trigger goes on."""

    ALLOW = "allow"
    SKIP = "skip"
    WAIT_ONE = "wait_one"  # one moment waits, further ones are skipped
    WAIT_ALL = "wait_all"
    CANCEL_OTHER = "cancel_other"


class Catchup(enum.StrEnum):
    """What becomes of moments found late: after downtime, a pause, an edit."""

    LATEST = "latest"
    ALL = "all"  # the latest `catchup_max` of them
    NONE = "none"
    HOLD = "hold"  # until someone releases or drops them


class OnCalendarHit(enum.StrEnum):
    SKIP = "skip"
    PREVIOUS = "previous_business_day"
    NEXT = "next_business_day"


class Match(enum.StrEnum):
    ANY = "any"
    ALL = "all"


class Ending(enum.StrEnum):
    """Which ends of a run count."""

    COMPLETED = "completed"
    FAILED = "failed"
    FINISHED = "finished"


@dataclass(frozen=True)
class After:
    """Chaining: fire when runs of other pipelines end. `pipelines` are uuids."""

    pipelines: tuple[str, ...]
    match: Match = Match.ANY
    on: Ending = Ending.COMPLETED


def read_after(name: str, value: object) -> After:
    """Read {"pipelines": [uuid, …], "match": "any" | "all", "on": "completed" | "failed" | "finished"}."""
    if not isinstance(value, Mapping):
        raise InvalidSettings(name, 'an object such as {pipelines: [extract], on: "completed"}', value)
    for key in value:
        if key not in ("pipelines", "match", "on"):
            raise InvalidSettings(name, "made of pipelines, match and on", str(key))
    uuids = value.get("pipelines")
    if not isinstance(uuids, list) or not 1 <= len(uuids) <= 50:
        raise InvalidSettings(f"{name}.pipelines", "a list of 1 to 50 pipelines", uuids)
    return After(
        tuple(dict.fromkeys(read.text(f"{name}.pipelines", uuid) for uuid in uuids)),
        read.one_of(Match)(f"{name}.match", value.get("match", "any")),
        read.one_of(Ending)(f"{name}.on", value.get("on", "completed")),
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A trigger's settings. Spans are timedeltas here, seconds in JSON. Unknown ones are kept in `others`."""

    skip_if_previous_running: bool = False  # Mage's word for overlap: skip
    overlap: Overlap | None = None
    allow_blocks_to_fail: bool = False
    create_initial_pipeline_run: bool = False
    pipeline_run_limit: int | None = None
    on_pipeline_run_limit_reached: LimitPolicy = LimitPolicy.SKIP
    run_limit_by_variable: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0  # lower starts first
    timeout: timedelta | None = None
    timeout_status: TimeoutStatus = TimeoutStatus.FAILED
    retry_config: Mapping[str, Any] = field(default_factory=dict)
    catchup: Catchup = Catchup.LATEST
    catchup_max: int = 100
    catchup_window: timedelta = timedelta(hours=24)
    start_deadline: timedelta | None = None
    stop_after_failures: int | None = None
    jitter: timedelta = timedelta(0)
    active_hours: tuple[time, time] | None = None  # local; from, included, to, excluded
    calendar: str = ""  # names of calendars, combined with and, or, not
    on_calendar_hit: OnCalendarHit = OnCalendarHit.SKIP
    landing_time_enabled: bool = False
    landing_quantile: float = 0.9
    landing_runs: int = 20
    after: After | None = None
    dst_missing: Missing = Missing.AT_NEXT_VALID
    dst_repeated: Repeated = Repeated.FIRST
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """Read the JSON of a schedule, a request or `triggers.yaml`; raise `InvalidSettings` naming the setting."""
        if raw is None or raw == {}:
            return cls()
        if not isinstance(raw, Mapping):
            raise InvalidSettings("settings", "an object", raw)
        known: dict[str, Any] = {name: READERS[name](name, raw[name]) for name in READERS if raw.get(name) is not None}
        found = cls(**known, others={str(name): value for name, value in raw.items() if name not in READERS})
        if found.skip_if_previous_running and found.overlap not in (None, Overlap.SKIP):
            raise InvalidSettings("overlap", "skip, or left out, beside skip_if_previous_running", str(found.overlap))
        return found

    @property
    def dst(self) -> DstRule:
        return DstRule(self.dst_missing, self.dst_repeated)

    @property
    def overlap_policy(self) -> Overlap:
        return self.overlap or (Overlap.SKIP if self.skip_if_previous_running else Overlap.ALLOW)


def mistakes(raw: Mapping[str, object]) -> list[Refusal]:
    """Return what is wrong with the JSON of a trigger's settings, one entry for each setting."""
    found: list[Refusal] = [UnknownSetting(name, right) for name, right in misspelt(raw).items()]
    for name, read_one in READERS.items():
        try:
            read_one(name, raw[name]) if raw.get(name) is not None else None
        except InvalidSettings as mistake:
            found.append(mistake)
    if not found:
        try:
            Settings.from_json(raw)
        except InvalidSettings as mistake:  # settings that contradict each other
            found.append(mistake)
    return found


def misspelt(raw: Mapping[str, object]) -> dict[str, str]:
    """Return the names that are nearly those of settings, with these. What is quite different is somebody else's."""
    found = {name: get_close_matches(str(name)[:80].lower(), READERS, n=1, cutoff=0.85) for name in raw}
    return {str(name): close[0] for name, close in found.items() if close and name not in READERS}


READERS: dict[str, Callable[[str, object], Any]] = {
    "skip_if_previous_running": read.flag,
    "overlap": read.one_of(Overlap),
    "allow_blocks_to_fail": read.flag,
    "create_initial_pipeline_run": read.flag,
    "pipeline_run_limit": read.limit,
    "on_pipeline_run_limit_reached": read.one_of(LimitPolicy),
    "run_limit_by_variable": read.limits_by_variable,
    "priority": read.whole(-1000, 1000),
    "timeout": read.seconds,
    "timeout_status": read.one_of(TimeoutStatus),
    "retry_config": read.retry_config,
    "catchup": read.one_of(Catchup),
    "catchup_max": read.whole(1, 1000),
    "catchup_window": read.seconds,
    "start_deadline": read.seconds,
    "stop_after_failures": read.whole(1, 1000),
    "jitter": read.short_seconds,
    "active_hours": read.active_hours,
    "calendar": read.text,
    "on_calendar_hit": read.one_of(OnCalendarHit),
    "landing_time_enabled": read.flag,
    "landing_quantile": read.share,
    "landing_runs": read.whole(1, 1000),
    "after": read_after,
    "dst_missing": read.one_of(Missing),
    "dst_repeated": read.one_of(Repeated),
}
