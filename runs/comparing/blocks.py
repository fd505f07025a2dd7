"""Two runs block by block: states, times, what came out, and where their logs part."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from runs import logs
from runs.comparing.log_texts import Divergence, first_difference
from runs.figures.metrics import seconds as seconds_between
from runs.figures.metrics import total
from runs.models import BlockRun

LOG_BYTES = 128 * 1024  # of the beginning of a log
MOST_LOGS = 40  # pairs that are read, those that differ first
NOTICED, AT_LEAST = 1.5, 1.0  # a time differs if it is so many times the other, and so many seconds more


@dataclass(frozen=True)
class Pair:
    """A block as both runs have it; None where one has none. `logs_read`: their logs were compared."""

    block_uuid: str
    old: BlockRun | None
    new: BlockRun | None
    divergence: Divergence | None = None
    logs_read: bool = False

    @property
    def seconds(self) -> tuple[float | None, float | None]:
        return took(self.old), took(self.new)

    @property
    def rows(self) -> tuple[int | None, int | None]:
        return returned(self.old, "rows"), returned(self.new, "rows")

    @property
    def bytes(self) -> tuple[int | None, int | None]:
        return returned(self.old, "bytes"), returned(self.new, "bytes")

    @property
    def members(self) -> tuple[int | None, int | None]:
        return tuple(side.members_total if side else None for side in (self.old, self.new))  # type: ignore[return-value]

    @property
    def states(self) -> tuple[str, str]:
        return self.old.status if self.old else "", self.new.status if self.new else ""

    @property
    def ratio(self) -> float | None:
        """How many times as long it took; None where that says nothing."""
        was, now = self.seconds
        return now / was if was and now is not None else None

    @property
    def is_slower_or_faster(self) -> bool:
        return is_noticed(*self.seconds)

    @property
    def other_result(self) -> bool:
        return self.rows[0] != self.rows[1] or self.members[0] != self.members[1]

    @property
    def differs(self) -> bool:
        other_state = self.states[0] != self.states[1]
        return bool(other_state or self.is_slower_or_faster or self.other_result or self.divergence)


def pairs(old: Iterable[BlockRun], new: Iterable[BlockRun]) -> list[Pair]:
    """Put beside each other what has the same name, in the order of the new run, what is gone last."""
    was, now = ({row.block_uuid: row for row in rows} for rows in (old, new))
    return [Pair(uuid, was.get(uuid), now.get(uuid)) for uuid in dict.fromkeys([*now, *was])]


def with_logs(found: Sequence[Pair], *, numbers: bool) -> list[Pair]:
    """Read the beginnings of the logs of at most 40 pairs and say where each parts, those first that differ anyway."""
    readable = [pair for pair in found if has_log(pair.old) and has_log(pair.new)]
    chosen = {pair.block_uuid for pair in sorted(readable, key=lambda pair: not pair.differs)[:MOST_LOGS]}
    return [compared(pair, numbers) if pair.block_uuid in chosen else pair for pair in found]


def compared(pair: Pair, numbers: bool) -> Pair:
    assert pair.old is not None
    assert pair.new is not None
    old, new = logs.read(pair.old, limit=LOG_BYTES), logs.read(pair.new, limit=LOG_BYTES)
    if not old.lines or not new.lines:  # nothing was said, or it was removed
        return pair
    length = min((len(side.lines) for side in (old, new) if not side.at_end), default=None)  # nobody knows what follows
    parts = first_difference(old.lines[:length], new.lines[:length], numbers=numbers)
    return replace(pair, divergence=parts, logs_read=True)


def has_log(row: BlockRun | None) -> bool:
    return row is not None and row.started_at is not None and row.members_total is None


def is_noticed(was: float | None, now: float | None) -> bool:
    """Tell whether one time is so much longer than the other that it counts as a difference."""
    if was is None or now is None:
        return False
    return abs(now - was) >= AT_LEAST and max(was, now) >= NOTICED * min(was, now)


def took(row: BlockRun | None) -> float | None:
    return seconds_between(row.started_at, row.completed_at) if row else None


def returned(row: BlockRun | None, key: str) -> int | None:
    return total(row, key) if row else None


def longest(found: Iterable[Pair]) -> float:
    return max((side for pair in found for side in pair.seconds if side is not None), default=0.0)
