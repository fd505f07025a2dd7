"""What each kind of rule may be told, what it means by default, and how it reads as a phrase. Knows no database."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerts.models import AlertRule, Kind
from pipelines.refusal import Refusal
from schedules.reasons.drift import about

YEAR = 366 * 86_400
LONGEST_PATTERN = 200
LARGEST = 10**300  # of what can be written as a float
DECISIONS = ("missed", "expired", "skipped")
SINCE = ("due", "start")


# --- what is read ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plain:
    """Of a kind that has nothing to set."""


@dataclass(frozen=True)
class Streak:
    count: int = 3  # failed runs in a row


@dataclass(frozen=True)
class Deadline:
    seconds: float = 3600
    since: str = "due"  # or "start"

    @property
    def span(self) -> timedelta:
        return timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Span:
    """Of freshness and queue time: how long is too long."""

    seconds: float

    @property
    def span(self) -> timedelta:
        return timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Slower:
    factor: float = 2.0  # times the p95
    samples: int = 10  # completed runs it takes to know what is usual


@dataclass(frozen=True)
class Moments:
    decisions: tuple[str, ...] = ("missed", "expired")


@dataclass(frozen=True)
class Pattern:
    pattern: str  # a text that a line contains; * stands for anything


@dataclass(frozen=True)
class Rows:
    low: int | None = None
    high: int | None = None


Settings = Plain | Streak | Deadline | Span | Slower | Moments | Pattern | Rows


def read(kind: str, settings: Mapping[str, Any]) -> Settings:
    """Return what a rule of the kind is told; raises Refusal that names the setting, and what would be right."""
    if kind not in READERS:
        hint = f"Allowed: {', '.join(READERS)}."
        raise Refusal(f"{str(kind)[:80]!r} is no kind of rule.", field="kind", hint=hint)
    if not isinstance(settings, Mapping):
        raise Refusal("The settings are no object.", field="settings", hint='For example {"seconds": 3600}.')
    names = NAMES[kind]
    for name in settings:
        if name not in names:
            hint = f"Allowed: {', '.join(names)}." if names else "It has none."
            raise refused(str(name)[:80], f"A rule of kind {kind} has no setting {str(name)[:80]!r}.", hint)
    return READERS[kind](settings)


def defaults(kind: str) -> dict[str, Any]:
    """Return what a form begins with."""
    return dict(DEFAULTS.get(kind, {}))


def refused(name: str, message: str, hint: str) -> Refusal:
    return Refusal(message, field=f"settings.{name}", hint=hint)


def number(settings: Mapping[str, Any], name: str, default: float | None, low: float, high: float, hint: str) -> float:
    value = settings.get(name, default)
    is_odd = isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value))
    if is_odd or not isinstance(value, int | float):
        raise refused(name, f"{name} is {'missing' if value is None else 'no number'}.", hint)
    if not low <= value <= high:  # a whole number may be larger than any that has a fraction
        typed = f"{value:g}" if abs(value) <= LARGEST else f"{str(value)[:20]}…"
        raise refused(name, f"{name} is {typed}, which is outside {low:g} to {high:g}.", hint)
    return value


def whole(settings: Mapping[str, Any], name: str, default: int | None, low: int, high: int, hint: str) -> int:
    value = number(settings, name, default, low, high, hint)
    if value != int(value):
        raise refused(name, f"{name} is {value:g}, which is no whole number.", hint)
    return int(value)


def read_streak(settings: Mapping[str, Any]) -> Streak:
    return Streak(whole(settings, "count", 3, 2, 100, "How many failed runs in a row: 2 to 100."))


def read_deadline(settings: Mapping[str, Any]) -> Deadline:
    seconds = number(settings, "seconds", None, 1, YEAR, "In seconds: 3600 is an hour.")
    since = settings.get("since", "due")
    if since not in SINCE:
        raise refused("since", f"since is {str(since)[:80]!r}.", "Use due (the moment it was due) or start.")
    return Deadline(seconds, since)


def read_span(settings: Mapping[str, Any]) -> Span:
    return Span(number(settings, "seconds", None, 1, YEAR, "In seconds: 21600 is 6 hours."))


def read_slower(settings: Mapping[str, Any]) -> Slower:
    factor = number(settings, "factor", 2.0, 1, 1000, "How many times the p95: 2 is twice as long.")
    return Slower(factor, whole(settings, "samples", 10, 3, 100, "How many completed runs it takes: 3 to 100."))


def read_moments(settings: Mapping[str, Any]) -> Moments:
    chosen = settings.get("decisions", list(Moments.decisions))
    hint = f"A list of one or more of: {', '.join(DECISIONS)}."
    if not isinstance(chosen, list) or not chosen:
        raise refused("decisions", "decisions is no list, or an empty one.", hint)
    for each in chosen:
        if each not in DECISIONS:
            raise refused("decisions", f"{str(each)[:80]!r} is not what becomes of a moment here.", hint)
    return Moments(tuple(name for name in DECISIONS if name in chosen))


def read_pattern(settings: Mapping[str, Any]) -> Pattern:
    pattern, hint = settings.get("pattern"), "A text that a line contains, for example: connection * refused"
    if not isinstance(pattern, str) or not pattern.replace("*", "").strip():
        raise refused("pattern", "pattern is missing, or has nothing but * in it.", hint)
    if len(pattern) > LONGEST_PATTERN or "\x00" in pattern or "\n" in pattern:
        raise refused("pattern", f"pattern is longer than {LONGEST_PATTERN} characters, or no single line.", hint)
    return Pattern(pattern)


def read_rows(settings: Mapping[str, Any]) -> Rows:
    hint = "The least (low) or the most (high) rows, or both; 0 and more."
    given = {name: settings.get(name) for name in ("low", "high")}
    low, high = (None if given[name] is None else whole(settings, name, None, 0, 2**53, hint) for name in given)
    if low is None and high is None:
        raise refused("low", "Neither low nor high is given.", hint)
    if low is not None and high is not None and low > high:
        raise refused("high", f"high ({high:,}) is less than low ({low:,}).", hint)
    return Rows(low, high)


READERS: dict[str, Callable[[Mapping[str, Any]], Settings]] = {
    Kind.RUN_FAILED: lambda settings: Plain(),
    Kind.BLOCK_FAILED: lambda settings: Plain(),
    Kind.CONSECUTIVE_FAILURES: read_streak,
    Kind.SLA: lambda settings: Plain(),
    Kind.DEADLINE: read_deadline,
    Kind.FRESHNESS: read_span,
    Kind.SLOWER: read_slower,
    Kind.QUEUE_TIME: read_span,
    Kind.OCCURRENCE_MISSED: read_moments,
    Kind.UNHEALTHY: lambda settings: Plain(),
    Kind.LOG_PATTERN: read_pattern,
    Kind.ROW_COUNT: read_rows,
    Kind.DELIVERY_FAILED: lambda settings: Plain(),
}
DEFAULTS: dict[str, dict[str, Any]] = {
    Kind.CONSECUTIVE_FAILURES: {"count": 3},
    Kind.DEADLINE: {"seconds": 3600, "since": "due"},
    Kind.FRESHNESS: {"seconds": 86_400},
    Kind.SLOWER: {"factor": 2.0, "samples": 10},
    Kind.QUEUE_TIME: {"seconds": 600},
    Kind.OCCURRENCE_MISSED: {"decisions": ["missed", "expired"]},
    Kind.LOG_PATTERN: {"pattern": "Traceback"},
    Kind.ROW_COUNT: {"low": 1},
}
NAMES: dict[str, tuple[str, ...]] = {kind: tuple(DEFAULTS.get(kind, ())) for kind in READERS} | {
    Kind.ROW_COUNT: ("low", "high")
}


# --- about whom -----------------------------------------------------------------------------------------------------

UNSCOPED = (Kind.UNHEALTHY, Kind.DELIVERY_FAILED)
OF_BLOCKS = (Kind.BLOCK_FAILED, Kind.SLA, Kind.SLOWER, Kind.LOG_PATTERN, Kind.ROW_COUNT)


def check_scope(kind: str, *, pipeline: Any, tag: str, trigger_id: int | None, block_uuid: str) -> None:
    """Raise Refusal where a kind cannot be about that, or has to be told about whom."""
    given = {"pipeline": pipeline, "tag": tag, "trigger_id": trigger_id, "block_uuid": block_uuid}
    if kind in UNSCOPED and (wrong := next((name for name, value in given.items() if value), None)):
        hint = "Leave pipeline, tag, trigger and block empty."
        raise Refusal(f"A rule of kind {kind} is about the whole installation.", field=wrong, hint=hint)
    if block_uuid and kind not in OF_BLOCKS:
        hint = f"Leave it empty, or use one of: {', '.join(OF_BLOCKS)}."
        raise Refusal(f"A rule of kind {kind} is about runs, not about a block.", field="block_uuid", hint=hint)
    if kind == Kind.FRESHNESS and not (pipeline or tag or trigger_id):
        hint = "Name a pipeline, a tag or a trigger."
        raise Refusal("Whose runs should complete so often?", field="pipeline", hint=hint)
    if kind == Kind.ROW_COUNT and not block_uuid:
        raise Refusal("Whose rows are counted?", field="block_uuid", hint="Name a block.")


# --- in words -------------------------------------------------------------------------------------------------------


def sentence(rule: AlertRule, trigger: str = "") -> str:
    """Return what the rule tells of, as it reads after "Tell … of": "no completed run of daily_report for 6 h".

    `trigger` is the name of the rule's trigger, where it is at hand. Settings that are wrong read as what they should
    have been.
    """
    try:
        told = read(rule.kind, rule.settings)
    except Refusal as refusal:
        return f"nothing: {refusal.message}"
    return phrase(rule, told, whom(rule, trigger))


def whom(rule: AlertRule, trigger: str = "") -> str:
    """Return the scope in words: " of load in etl, started by daily"; "" when it is everything."""
    parts = [f" of {rule.block_uuid}"] if rule.block_uuid else []
    if rule.pipeline is not None:
        parts.append(f" {'in' if parts else 'of'} {rule.pipeline.uuid}")
    if rule.tag:
        parts.append(f" of pipelines tagged {rule.tag}")
    if rule.trigger_id is not None:
        parts.append(f" started by {trigger or f'trigger {rule.trigger_id}'}")
    return "".join(parts)


def phrase(rule: AlertRule, told: Settings, whom: str) -> str:
    match told:
        case Streak():
            return f"{told.count} failed runs{whom} in a row"
        case Deadline():
            since = "it was due" if told.since == "due" else "it started"
            return f"a run{whom} that is not finished {about(told.span)} after {since}"
        case Span() if rule.kind == Kind.FRESHNESS:
            return f"no completed run{whom} for {about(told.span)}"
        case Span():
            return f"a run{whom} that waits longer than {about(told.span)} for its place or a worker"
        case Slower():
            return f"a {subject(rule)}{whom} that takes longer than {told.factor:g} times what is usual (p95)"
        case Moments():
            return f"a moment{whom} that was {' or '.join(told.decisions)}"
        case Pattern():
            return f"a log{whom} that says “{told.pattern}”"
        case Rows():
            return f"{bounds(told)} rows{whom}"
    return PHRASES[rule.kind].format(whom=whom, block="a failure" if rule.block_uuid else "a failed block")


def subject(rule: AlertRule) -> str:
    return "block" if rule.block_uuid else "run"


def bounds(rows: Rows) -> str:
    few = f"fewer than {rows.low:,}" if rows.low is not None else ""
    many = f"more than {rows.high:,}" if rows.high is not None else ""
    return " or ".join(part for part in (few, many) if part)


PHRASES: dict[str, str] = {
    Kind.RUN_FAILED: "a failed run{whom}",
    Kind.BLOCK_FAILED: "{block}{whom}",
    Kind.SLA: "a passed SLA{whom}",
    Kind.UNHEALTHY: "trouble with schedulers, workers or storage",
    Kind.DELIVERY_FAILED: "a message that could not be delivered",
}
