"""A simulation of this installation's schedules, read, played and told as the JSON that scripts rely on."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.refusal import Refusal
from schedules.simulating import load_advice, loads
from schedules.simulating.loads import Hour, Miss
from schedules.simulating.recorded import DEFAULT_DURATION, Recorded, holds, recorded, worker_slots
from schedules.simulating.simulation import Hold, Result, Trigger, simulate

LONGEST = timedelta(days=31)
WEEK = timedelta(days=7)
LISTED_MISSES, LISTED_TRIGGERS = 200, 50
MOST_MOMENTS = 1_000_000
MOST_WORKERS = 10_000


@dataclass(frozen=True)
class World:
    """All that a simulation is made from: it can be played anywhere, and touches nothing."""

    begin: datetime
    end: datetime
    workers: int
    share: float  # the quantile of past durations
    recorded: Recorded
    holds: list[Hold]

    def play(self) -> Result:
        triggers, begin, end = self.recorded.triggers, self.begin, self.end
        return simulate(triggers, begin, end, workers=self.workers, holds=self.holds, most=MOST_MOMENTS)


def read_world(
    begin: datetime,
    end: datetime,
    *,
    moment: datetime,
    workers: int | None = None,
    share: float = 0.5,
    pks: Collection[int] | None = None,
) -> World:
    """Read the active schedules (of `pks`, if given); `workers` are those that are there, unless said.

    Raises `Refusal` for a span or a number that makes no sense.
    """
    check(begin, end, workers, share)
    found = recorded(begin, share=share, pks=pks)
    slots = worker_slots(moment) if workers is None else workers
    return World(begin, end, slots, share, found, holds(begin, end, found.triggers))


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


def as_dict(world: World, result: Result, zone: ZoneInfo) -> dict[str, Any]:
    """Shape that scripts rely on (docs/load.md). Spans are seconds; `at` of collisions is a local time of `zone`."""
    missed = loads.misses(result)
    return {
        "from": iso(result.begin),
        "until": iso(result.end),
        "is_cut_short": result.end < world.end,
        "timezone": zone.key,
        "workers": result.workers,
        "schedules": len(result.triggers),
        "left_out": world.recorded.left_out,
        "durations": {
            "quantile": world.share,
            "from": world.recorded.sources,
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
            {
                "at": each.at,
                "also_at": list(each.also_at),
                "most": each.most,
                "days": each.days,
                "schedules": named_of(each.triggers),
            }
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


def named_of(triggers: Sequence[Trigger]) -> list[dict[str, Any]]:
    return [named(trigger) for trigger in triggers[:LISTED_TRIGGERS]]


def seconds(span: timedelta) -> float:
    return round(span.total_seconds(), 3)


def iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
