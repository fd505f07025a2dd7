"""The runs of a crowd and all that hangs on them, as rows: a year in the life of an installation, always the same."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from benchmarks.loading import Raw, Values

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
STARTED = 0.785  # of all moments; of the others most were skipped
UNDER_WAY, QUEUED_UP = 28, 12  # runs that go on at the end
OTHERS = ("skipped", "skipped", "skipped", "expired", "missed", "cancelled")
NAMES = ("manual", "api", "event")


@dataclass(frozen=True)
class Rhythm:
    """A schedule of the crowd, or a backfill: when it fires, and of which pipeline."""

    number: int
    name: str
    pipeline: int  # its place among the pipelines
    period: timedelta
    is_backfill: bool = False


class Shape(NamedTuple):
    """What a run of a pipeline is made of: the keys of pipeline and version, its blocks, a usual block's seconds."""

    pipeline_id: int
    version_id: int
    blocks: Sequence[dict[str, Any]]
    usual: float


class Fact(NamedTuple):
    """One moment; `run_id` is 0 where it did not start. Blocks and members have keys from `first_block` on."""

    run_id: int
    first_block: int
    shape: Shape
    schedule_id: int | None
    trigger_name: str
    backfill_id: int | None
    moment: datetime
    period: timedelta
    at: datetime  # when it was decided
    decision: str
    status: str
    origin: str
    seconds: float  # of each block
    broken: int  # the block at which it failed, was cancelled, or is


class Moment(NamedTuple):
    """What a rhythm stands for, and when it is its turn: a backfill's moments are long past."""

    at: datetime
    moment: datetime
    rhythm: Rhythm


def moments(rhythms: Sequence[Rhythm], since: datetime, until: datetime, slots: int) -> list[Moment]:
    """Every moment of every schedule and so many of each backfill, in the order in which they were decided."""
    found = []
    for rhythm in rhythms:
        at = since + rhythm.period * (rhythm.number % 97) / 97
        if rhythm.is_backfill:
            begin = until - (until - since) / 4 * rhythm.number
            found += [Moment(begin + SECOND * n, since + rhythm.period * n, rhythm) for n in range(slots)]
            continue
        while at < until:
            found.append(Moment(at, at, rhythm))
            at += rhythm.period
    found.sort(key=lambda each: each.at)
    return found


def facts(shapes: Sequence[Shape], turns: Sequence[Moment], by_hand: float = 0.02) -> list[Fact]:
    """What became of each moment; some of them stand for a run that somebody started by hand."""
    dice = random.Random(5)
    found: list[Fact] = []
    run_id, block_id = 0, 1
    for at, moment, rhythm in turns:
        shape, is_started = shapes[rhythm.pipeline], dice.random() < STARTED
        is_by_hand = is_started and not rhythm.is_backfill and dice.random() < by_hand
        is_of_schedule = not is_by_hand and not rhythm.is_backfill
        run_id += is_started
        found.append(
            Fact(
                run_id=run_id if is_started else 0,
                first_block=block_id,
                shape=shape,
                schedule_id=rhythm.number if is_of_schedule else None,
                trigger_name=rhythm.name if is_of_schedule else "",
                backfill_id=rhythm.number if rhythm.is_backfill else None,
                moment=moment,
                period=rhythm.period,
                at=at,
                decision="started" if is_started else dice.choice(OTHERS),
                status=status_of(run_id, rhythm.pipeline),
                origin="backfill" if rhythm.is_backfill else dice.choice(NAMES) if is_by_hand else "schedule",
                seconds=shape.usual * dice.lognormvariate(0, 0.4),
                broken=dice.randrange(len(shape.blocks)),
            )
        )
        block_id += len(shape.blocks) if is_started else 0
    return at_work(found)


def status_of(run_id: int, pipeline: int) -> str:
    """The busiest pipeline never fails: who looks for its failed runs has to be told that quickly."""
    if pipeline == 0:
        return "completed"
    return "failed" if run_id % 40 == 7 else "cancelled" if run_id % 70 == 5 else "completed"


def at_work(found: list[Fact]) -> list[Fact]:
    """Let the newest runs go on, the very newest wait to begin."""
    places = [number for number in range(len(found) - 1, -1, -1) if found[number].run_id]
    for number in places[:QUEUED_UP]:
        found[number] = found[number]._replace(status="initial")
    for number in places[QUEUED_UP : QUEUED_UP + UNDER_WAY]:
        found[number] = found[number]._replace(status="running")
    return found


# --- rows -----------------------------------------------------------------------------------------------------------

RUN = (
    *("id", "pipeline_id", "version_id", "status", "origin", "trigger_id", "trigger_name", "backfill_id"),
    *("execution_date", "interval_end", "created_at", "started_at", "completed_at", "reason", "started_by"),
    *("sla_at", "passed_sla"),
)


def run_rows(found: Sequence[Fact]) -> Iterator[Values]:
    for fact in found:
        if not fact.run_id:
            continue
        created = created_at(fact)
        is_open = fact.status in ("initial", "running")
        yield (
            fact.run_id,
            fact.shape.pipeline_id,
            fact.shape.version_id,
            fact.status,
            fact.origin,
            fact.schedule_id,
            fact.trigger_name,
            fact.backfill_id,
            fact.moment,
            fact.moment + fact.period,
            created,
            None if fact.status == "initial" else created + SECOND / 10,
            None if is_open else ended_at(fact),
            f"Block {fact.broken} failed: ValueError: no rows" if fact.status == "failed" else "",
            "ada" if fact.origin == "manual" else "",
            created + HOUR if fact.run_id % 7 == 0 else None,
            fact.run_id % 700 == 0,
        )


def created_at(fact: Fact) -> datetime:
    return fact.at + SECOND * (fact.run_id % 50) / 1000


def ended_at(fact: Fact) -> datetime:
    blocks = fact.broken + 1 if fact.status in ("failed", "cancelled") else len(fact.shape.blocks)
    return created_at(fact) + SECOND * (0.3 + fact.seconds * blocks)


BLOCK_RUN = (
    *("id", "pipeline_run_id", "block_uuid", "name", "type", "status", "position", "upstream", "downstream"),
    *("config", "queued_at", "started_at", "first_started_at", "completed_at", "next_attempt_at", "output", "metrics"),
    *("error", "worker_id", "attempt"),
)
ERROR = json.dumps(
    {"type": "ValueError", "message": "no rows", "traceback": "  File block.py, line 7, in load\n" * 6, "line": 7}
)


def block_rows(found: Sequence[Fact], workers: Sequence[int]) -> Iterator[Values]:
    for fact in found:
        if fact.run_id:
            yield from blocks_of(fact, workers)


def blocks_of(fact: Fact, workers: Sequence[int]) -> Iterator[Values]:
    begin, took = created_at(fact) + SECOND * 0.2, SECOND * fact.seconds
    metrics = Raw(f'{{"cpu_seconds": {fact.seconds:.3f}, "peak_memory_bytes": 17010688, "starting_seconds": 0.01}}')
    for position, block in enumerate(fact.shape.blocks):
        status = block_status(fact, position)
        text = texts(fact.shape.version_id, position, fact.shape.blocks)
        has_begun = status in ("completed", "failed", "running")
        started = begin + took * position if has_begun else None
        ended = begin + took * (position + 1) if status in ("completed", "failed") else None
        yield (
            fact.first_block + position,
            fact.run_id,
            block["uuid"],
            block["name"],
            block["type"],
            status,
            position,
            text.upstream,
            text.downstream,
            text.config,
            started or (begin if status in ("queued", "waiting") else None),
            started,
            started,
            ended or (begin + took * position if status in ("upstream_failed", "cancelled") else None),
            begin + HOUR if status == "waiting" else None,
            text.output if status == "completed" else text.nothing,
            metrics if ended else text.nothing_known,
            ERROR if status == "failed" else text.nothing_known,
            workers[fact.run_id % len(workers)] if has_begun else None,
            2 if fact.run_id % 300 == 0 and position == 0 else 1,
        )


def block_status(fact: Fact, position: int) -> str:
    if fact.status == "completed" or (fact.status != "initial" and position < fact.broken):
        return "completed"
    if fact.status == "running" and position == fact.broken:
        return ("running", "queued", "waiting")[fact.run_id % 3]
    if fact.status in ("running", "initial"):
        return "initial"
    if fact.status == "failed":
        return "failed" if position == fact.broken else "upstream_failed"
    return "cancelled"


class Texts(NamedTuple):
    upstream: Raw
    downstream: Raw
    config: Raw
    output: Raw
    nothing: Raw
    nothing_known: Raw


known: dict[tuple[int, int], Texts] = {}


def texts(version_id: int, position: int, blocks: Sequence[dict[str, Any]]) -> Texts:
    """The JSON of a block's runs, written once."""
    if (version_id, position) not in known:
        block = blocks[position]
        known[version_id, position] = Texts(
            Raw(json.dumps(block["upstream"])),
            Raw(json.dumps(block["downstream"])),
            Raw(json.dumps(block)),
            Raw(json.dumps(OUTPUT)),
            Raw("[]"),
            Raw("{}"),
        )
    return known[version_id, position]


MEMBER = (
    *("id", "pipeline_run_id", "block_uuid", "name", "type", "status", "position", "parent_id", "item_index"),
    *("started_at", "completed_at"),
)


def member_rows(found: Sequence[Fact], count: int) -> Iterator[Values]:
    fact, parent = fanned(found)
    begin = created_at(fact)
    above = max(each.first_block + len(each.shape.blocks) for each in found)
    for number in range(count):
        name, index = f"step_1:{number}", Raw(f"[{number}]")
        key = above + number
        yield (key, fact.run_id, name, name, "transformer", "completed", 1, parent, index, begin, begin + SECOND)


def fanned(found: Sequence[Fact]) -> tuple[Fact, int]:
    """The newest run of the last pipeline (`fanout`), and the key of its second block, which has members."""
    last = max(fact.shape.pipeline_id for fact in found)
    fact = next(each for each in reversed(found) if each.run_id and each.shape.pipeline_id == last)
    return fact, fact.first_block + 1


OUTPUT = [
    {
        "name": "output_0",
        "type": "json",
        "rows": 1200,
        "bytes": 50288,
        "url": "/var/lib/orchestrator/variables/0/1/load/1/output_0.json",
        "container": None,
        "preview": {"kind": "text", "text": "max 12.8, min 5.0, rain 0.0; " * 6},
    }
]

EVENT = ("pipeline_run_id", "kind", "message", "happened_at")


def event_rows(found: Sequence[Fact]) -> Iterator[Values]:
    """In the order in which they happened, near enough."""
    for fact in found:
        if not fact.run_id:
            continue
        yield (fact.run_id, "created", "started by ada" if fact.origin == "manual" else "", created_at(fact))
        if fact.run_id % 300 == 0:
            yield (fact.run_id, "retry", "tried again", created_at(fact) + SECOND)
        if fact.status in ("completed", "failed", "cancelled"):
            yield (fact.run_id, fact.status, "", ended_at(fact))


ATTEMPT = ("block_run_id", "queued_at", "started_at", "ended_at", "error")


def attempt_rows(found: Sequence[Fact]) -> Iterator[Values]:
    for fact in found:
        if fact.run_id and fact.run_id % 300 == 0:
            at = created_at(fact)
            yield (fact.first_block, at, at, at + SECOND, ERROR)


OCCURRENCE = (
    *("pipeline_id", "schedule_id", "backfill_id", "origin", "scheduled_for", "local_time", "interval_end"),
    *("decision", "reason", "pipeline_run_id", "decided_at"),
)


def occurrence_rows(found: Sequence[Fact]) -> Iterator[Values]:
    for fact in found:
        if fact.schedule_id is None and fact.backfill_id is None:
            continue
        yield (
            fact.shape.pipeline_id,
            fact.schedule_id,
            fact.backfill_id,
            "backfill" if fact.backfill_id else "schedule",
            fact.moment,
            fact.moment.isoformat(),
            fact.moment + fact.period,
            fact.decision,
            "" if fact.run_id else "The run before was still going on.",
            fact.run_id or None,
            fact.at + SECOND / 50,
        )
