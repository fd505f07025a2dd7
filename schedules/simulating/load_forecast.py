"""The expected load of the coming week, for page and API: played once an hour, off the request when it takes long."""

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connections
from django.db.models import Count, Max

from pipelines.filters import read_number
from pipelines.refusal import Refusal
from pipelines.serializers import read_instant
from schedules.days.maintenance import MaintenanceWindow
from schedules.models import PipelineSchedule
from schedules.simulating import load_advice, loads, simulated
from schedules.simulating.recorded import worker_slots
from schedules.simulating.simulated import World
from schedules.timetable import read_zone

logger = logging.getLogger(__name__)
HOUR = timedelta(hours=1)
KEPT = 2 * 3600  # seconds
LAST_KEPT = 26 * 3600  # seconds: who looks every morning sees the last one at once, with its age
PATIENCE = 0.1  # seconds that a request waits for a simulation: that of a small installation is there by then
PARAMETERS = ("from", "until", "timezone", "workers", "quantile", "minutes")


@dataclass(frozen=True)
class Question:
    """What somebody wants to know. `minutes`: of a run for which a quiet time of the day is looked for."""

    begin: datetime
    end: datetime
    zone: str = "UTC"
    workers: int | None = None
    share: float = 0.5
    minutes: int = 30


@dataclass(frozen=True)
class Answer:
    """What is known: `told` is the JSON of the API, `grid` local days of 24 cells. Both are None while it is worked out
    for the first time; `is_current` is False while it is worked out anew. `at` is when it was begun."""

    told: dict[str, Any] | None = None
    grid: list[loads.Day] | None = None
    at: datetime | None = None
    is_current: bool = False


def read_question(raw: Mapping[str, str], moment: datetime) -> Question:
    """Read a query string; what it leaves out is the coming week, from this hour on. Raises `Refusal`."""
    given = {name: value for name, value in raw.items() if value}
    zone = read_zone(given.get("timezone", "UTC"))
    begin = read_instant(given["from"].replace(" ", "+"), field="from") if "from" in given else floor(moment)
    end = read_instant(given["until"].replace(" ", "+"), field="until") if "until" in given else begin + simulated.WEEK
    return Question(
        begin,
        end,
        zone.key,
        read_number(given["workers"], "workers", low=1, high=simulated.MOST_WORKERS) if "workers" in given else None,
        read_share(given.get("quantile", "0.5")),
        read_number(given.get("minutes", "30"), "minutes", low=1, high=1440),
    )


def read_share(text: str) -> float:
    try:
        return float(text[:20])
    except ValueError:
        raise Refusal(
            f"quantile={text[:80]!r} is not a number.", field="quantile", hint="For example 0.9.", code="invalid_number"
        ) from None


def floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def answer(question: Question, moment: datetime, *, patience: float = PATIENCE) -> Answer:
    """Return what is known by now, after waiting so many seconds at most. Raises `Refusal` for what makes no sense."""
    simulated.check(question.begin, question.end, question.workers, question.share)
    wanted = replace(question, workers=question.workers or worker_slots(moment))
    names = digest(wanted, *versions(), floor(moment)), digest(replace(wanted, begin=moment.min, end=moment.min))
    if known := current(names[0]):
        return known
    with LOCK:
        task = None
        if names[0] not in TASKS:
            task = TASKS[names[0]] = begin(lambda: work(wanted, moment, names))
    if task:  # who asks again while it is under way knows that it takes longer
        task.join(patience)
    if known := current(names[0]):
        return known
    last: Answer | None = cache.get(names[1])
    return last or Answer()


def current(name: str) -> Answer | None:
    found: Answer | None = cache.get(name)
    return replace(found, is_current=True) if found else None


LOCK = threading.RLock()
TASKS: dict[str, threading.Thread] = {}  # simulations under way in this process


def begin(call: Callable[[], None]) -> threading.Thread:
    """Have something done beside the requests, with a connection to the database of its own."""

    def do() -> None:
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    return thread


def work(question: Question, moment: datetime, names: tuple[str, str]) -> None:
    """Read, play and keep the answer: under its own name, and under that of the last one of its kind."""
    try:
        world = simulated.read_world(
            question.begin, question.end, moment=moment, workers=question.workers, share=question.share
        )
        found = work_out(question, world, moment)
        cache.set(names[0], found, KEPT)
        cache.set(names[1], found, LAST_KEPT)
    except Exception:  # the edge of a thread: who waits is told that there is nothing yet, and may ask again
        logger.exception("the load could not be worked out")
    finally:
        with LOCK:
            TASKS.pop(names[0], None)


def work_out(question: Question, world: World, moment: datetime) -> Answer:
    result, zone = world.play(), read_zone(question.zone)
    quiet = load_advice.quiet_slots(result, zone, question.minutes)
    told = {
        **simulated.as_dict(world, result, zone),
        "quiet_slots": [
            {"at": each.at, "peak": each.peak, "average": round(each.average, 3), "minutes": question.minutes}
            for each in quiet
        ],
        "advice": advice_as_dict(load_advice.advice(result)),
    }
    return Answer(told, loads.by_day(loads.by_hour(result), zone), moment)


def advice_as_dict(advice: load_advice.Advice | None) -> dict[str, Any] | None:
    if advice is None:
        return None
    return {
        "schedules": simulated.named_of(advice.triggers),
        "count": len(advice.triggers),
        "minute": advice.minute,
        "jitter": simulated.seconds(advice.jitter),
        "peak": advice.peak,
        "peak_then": advice.peak_then,
    }


def versions() -> list[object]:
    """Return what changes when schedules or windows do."""
    schedules = PipelineSchedule.objects.active().aggregate(Max("updated_at"), Count("id"))
    windows = MaintenanceWindow.objects.aggregate(Max("updated_at"), Count("id"))
    return [*schedules.values(), *windows.values()]


def digest(*parts: object) -> str:
    return f"load:{hashlib.sha256(repr(parts).encode()).hexdigest()}"
