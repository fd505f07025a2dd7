"""Looking for lines in the logs of all runs, the newest first, for as long as anybody wants to wait."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from typing import Any

from pipelines.refusal import Refusal
from runs import logs
from runs.models import BlockRun, PipelineRun
from runs.searching.scanning import Wanted, scan
from runs.storing import store

PATIENCE = 1.5  # seconds
MOST_LINES = 200
LINES_OF_A_LOG = 10  # more of them are a link away
LOGS_AT_ONCE = 1000  # that are looked up with one query
MOST_BATCHES = 10
PROBES = 6


@dataclass(frozen=True)
class Where:
    """Which runs and blocks to look at; "" and None are any."""

    pipeline: str = ""
    block: str = ""
    state: str = ""
    since: datetime | None = None
    till: datetime | None = None


@dataclass(frozen=True, order=True)
class Place:
    """A log and an offset in it. As text, where a search goes on."""

    run_id: int
    block_run_id: int = 0
    attempt: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.run_id}.{self.block_run_id}.{self.attempt}.{self.offset}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raise `Refusal` for what no search has said."""
        numbers = text.split(".")
        if len(numbers) != 4 or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in numbers):
            raise Refusal(
                f"{text[:80]!r} is no place to go on from.",
                field="cursor",
                hint="Use `next` as it was given, or leave it out.",
                code="invalid_cursor",
            )
        return cls(*map(int, numbers))


@dataclass(frozen=True)
class Hit:
    """Lines of one log."""

    block_run: BlockRun
    attempt: int
    lines: list[dict[str, Any]]
    has_more: bool


@dataclass
class Outcome:
    """What was found, how much was looked through for it, and where to go on; None: nowhere, that was all."""

    hits: list[Hit] = field(default_factory=list)
    next: Place | None = None
    logs: int = 0
    bytes: int = 0
    back_to: datetime | None = None  # when the oldest run looked at was created

    @property
    def lines(self) -> int:
        return sum(len(hit.lines) for hit in self.hits)

    def by_run(self) -> list[tuple[PipelineRun, list[Hit]]]:
        groups = groupby(self.hits, key=lambda hit: hit.block_run.pipeline_run_id)
        return [(hits[0].block_run.pipeline_run, hits) for hits in (list(group) for _, group in groups)]


def search(wanted: Wanted, where: Where, begin: Place | None = None, *, patience: float = PATIENCE) -> Outcome:
    """Look through logs from a place on until there are 200 lines, time is over, or there are no more."""
    until = time.monotonic() + patience
    outcome = Outcome()
    places = places_from(begin or Place(newest(where.till)))
    for _ in range(MOST_BATCHES):
        batch = list(islice(places, LOGS_AT_ONCE))
        rows = rows_of(batch, where)
        for place in batch:
            row = rows.get(place.block_run_id)
            if row is None:
                continue
            if where.since and row.pipeline_run.created_at < where.since:
                return outcome
            if time.monotonic() > until or outcome.lines >= MOST_LINES:
                outcome.next = place
                return outcome
            if look(outcome, row, place, wanted, until):
                return outcome
        if len(batch) < LOGS_AT_ONCE:
            return outcome
    outcome.next = next(places, None)
    return outcome


def look(outcome: Outcome, row: BlockRun, place: Place, wanted: Wanted, until: float) -> bool:
    """Look through one log; tell whether time was over before its end."""
    with suppress(FileNotFoundError):  # removed meanwhile, or compressed
        parts = [part for part in logs.parts_of(row, place.attempt) if part.end > place.offset]
        found = scan(parts, wanted, offset=place.offset, most=LINES_OF_A_LOG, until=until)
        outcome.bytes += found.looked_at
        outcome.logs += 1
        outcome.back_to = row.pipeline_run.created_at
        is_full = len(found.lines) == LINES_OF_A_LOG
        if found.lines:
            outcome.hits.append(Hit(row, place.attempt, found.lines, has_more=not found.is_whole))
        if not found.is_whole and not is_full:
            outcome.next = Place(place.run_id, place.block_run_id, place.attempt, found.next_offset)
            return True
    return False


def rows_of(places: Sequence[Place], where: Where) -> dict[int, BlockRun]:
    """Return the block runs whose logs these are, of those that are wanted. One query."""
    rows = BlockRun.objects.filter(pk__in={place.block_run_id for place in places})
    filters = {
        "block_uuid": where.block,
        "pipeline_run__pipeline__uuid": where.pipeline,
        "pipeline_run__status": where.state,
        "pipeline_run__created_at__lt": where.till,
    }
    rows = rows.filter(**{lookup: value for lookup, value in filters.items() if value})
    run = ("pipeline_run__status", "pipeline_run__created_at", "pipeline_run__pipeline__uuid")
    needed = rows.select_related("pipeline_run__pipeline").only("block_uuid", "status", "attempt", *run)
    return {row.pk: row for row in needed} if places else {}


# --- which logs there are ---------------------------------------------------------------------------------------------


def places_from(begin: Place) -> Iterator[Place]:
    """Yield the logs that there are, those of the newest runs first, from the given one on."""
    for bucket in sorted((number for number in numbers_in("") if number <= begin.run_id // 1000), reverse=True):
        for run_id in sorted((number for number in numbers_in(f"{bucket}") if number <= begin.run_id), reverse=True):
            for block_run_id, attempt in sorted(logs_in(f"{bucket}/{run_id}")):
                at_begin = (run_id, block_run_id, attempt) == (begin.run_id, begin.block_run_id, begin.attempt)
                if run_id < begin.run_id or (block_run_id, attempt) >= (begin.block_run_id, begin.attempt):
                    yield Place(run_id, block_run_id, attempt, begin.offset if at_begin else 0)


def numbers_in(folder: str) -> set[int]:
    return {int(name) for name in names_in(folder) if name.isascii() and name.isdigit() and len(name) < 19}


def logs_in(folder: str) -> set[tuple[int, int]]:
    found = set()
    for name in names_in(folder):
        owner, attempt, *_ = [*name.split("."), ""]
        if owner.isdigit() and attempt.isdigit():
            found.add((int(owner), int(attempt)))
    return found


def names_in(folder: str) -> set[str]:
    """Return what is in a folder of logs, here or in the store."""
    names = set[str]()
    with suppress(FileNotFoundError, NotADirectoryError):
        names |= set(os.listdir(store.root() / folder))
    if there := store.store():
        names |= {name for name, _ in there.names(folder)}
    return names


def newest(till: datetime | None) -> int:
    """Return a run id that none of the runs before a moment exceeds, not far above them: ids grow with time."""
    rows = PipelineRun.objects.order_by("pk").values_list("pk", "created_at")
    last = rows.last()
    if till is None or last is None:
        return 2**62
    first = rows.first()
    (low, low_at), (high, high_at) = first or last, last
    for _ in range(PROBES):
        if high_at < till or high - low < 1000 or low_at >= till:
            break
        share = (till - low_at) / max(high_at - low_at, till.resolution)
        probe = rows.filter(pk__lte=low + max(1, int((high - low) * min(share + 0.02, 0.98)))).last()
        if probe is None or probe[0] in (low, high):
            break
        if probe[1] < till:
            low, low_at = probe
        else:
            high, high_at = probe
    return int(high)
