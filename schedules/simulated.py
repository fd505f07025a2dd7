"""A simulation of this installation's schedules, read, played and told as the JSON that scripts rely on."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.refusal import Refusal
from schedules import load_advice, loads
from schedules.loads import Hour, Miss
from schedules.recorded import DEFAULT_DURATION, Recorded, holds, recorded, worker_slots
from schedules.simulation import Result, Trigger, simulate

LONGEST = timedelta(days=31)
WEEK = timedelta(days=7)
LISTED_MISSES = 200
MOST_WORKERS = 10_000


@dataclass(frozen=True)
class Simulated:
    """A simulation, and what it was made from."""

    result: Result
    recorded: Recorded
    share: float  # the quantile of past durations


def run(
    begin: datetime,
    end: datetime,
    *,
    moment: datetime,
    workers: int | None = None,
    share: float = 0.5,
    pks: Collection[int] | None = None,
) -> Simulated:
    """Simulate the active schedules (of `pks`, if given); `workers` are those that are there, unless said.

    Stores nothing. Raises `Refusal` for a span or a number that makes no sense.
    """
    check(begin, end, workers, share)
    found = recorded(begin, share=share, pks=pks)
    slots = worker_slots(moment) if workers is None else workers
    windows = holds(begin, end, found.triggers)
    return Simulated(simulate(found.triggers, begin, end, workers=slots, holds=windows), found, share)


def check(begin: datetime, end: datetime, workers: int | None, share: float) -> None:
    if begin >= end:
        raise Refusal("The end must be after the beginning.", field="until", code="invalid_range")
    if end - begin > LONGEST:
        hint = f"Use at most {LONGEST.days} days."
        raise Refusal(f"{(end - begin).days} days are too many to simulate.", field="until", hint=hint, code="too_long")
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        hint = f"Use 1 to {MOST_WORKERS}."
        raise Refusal(f"{workers} workers are out of range.", field="workers", hint=hint, code="out_of_range")
    if not 0 < share <= 1:
        hint = "Use more than 0 and at most 1, for example 0.9."
        raise Refusal(f"The quantile {share:g} is out of range.", field="quantile", hint=hint, code="out_of_range")


def as_dict(found: Simulated, zone: ZoneInfo) -> dict[str, Any]:
    """Shape that scripts rely on (docs/load.md). Spans are seconds; `at` of collisions is a local time of `zone`."""
    result = found.result
    missed = loads.misses(result)
    return {
        "from": iso(result.begin),
        "until": iso(result.end),
        "timezone": zone.key,
        "workers": result.workers,
        "schedules": len(result.triggers),
        "left_out": found.recorded.left_out,
        "durations": {
            "quantile": found.share,
            "from": found.recorded.sources,
            "default_seconds": DEFAULT_DURATION.total_seconds(),
        },
        "decisions": loads.decisions(result),
        "queueing": {
            name: {"count": each.count, "total": seconds(each.total), "longest": seconds(each.longest)}
            for name, each in loads.queueing(result).items()
        },
        "missed": {"count": len(missed), "first": [miss_as_dict(miss) for miss in missed[:LISTED_MISSES]]},
        "hours": [hour_as_dict(hour) for hour in loads.by_hour(result)],
        "collisions": [
            {"at": each.at, "most": each.most, "days": each.days, "schedules": [named(one) for one in each.triggers]}
            for each in load_advice.collisions(result, zone)
        ],
    }


def miss_as_dict(miss: Miss) -> dict[str, Any]:
    by = None if miss.by is None else seconds(miss.by)
    return {**named(miss.trigger), "scheduled_for": iso(miss.scheduled_for), "kind": miss.kind, "by": by}


def hour_as_dict(hour: Hour) -> dict[str, Any]:
    told = {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(hour).items()}
    return {**told, "begin": iso(hour.begin)}


def named(trigger: Trigger) -> dict[str, Any]:
    return {"schedule": trigger.pk, "name": trigger.name, "pipeline": trigger.pipeline}


def seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)


def iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
