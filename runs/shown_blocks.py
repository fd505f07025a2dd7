"""Which blocks the page of a run sends where it has too many to send all: those that tell most, or those asked for."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from runs.models import BlockRun, PipelineRun, Role
from runs.shown_members import TELLING, read_page
from runs.states import BlockStatus

ROOM = 60  # rows that are sent unasked
PART = 300  # rows of what was asked for, at a time
MOST = 10_000  # rows of a run that its page knows of
ALL = "all"
GOES_WRONG_OR_ON = TELLING[:4]
WIDE = ("output", "error", "downstream")  # what only the rows that are shown need


@dataclass(frozen=True)
class ShownBlocks:
    """`rows` in the order of the graph, `first` to `last` of the `of` that fit what was `asked` for: a state, "all",
    or "" for those that tell most."""

    rows: Sequence[BlockRun]
    asked: str
    tally: Sequence[tuple[str, int]]
    total: int
    of: int
    page: int = 1

    @property
    def is_cut(self) -> bool:
        return len(self.rows) < self.total

    @property
    def is_choice(self) -> bool:
        """Whether there is something to choose: it may be that others are shown."""
        return bool(self.asked) or self.is_cut

    @property
    def first(self) -> int:
        return (self.page - 1) * PART + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def earlier(self) -> int | None:
        return self.page - 1 if self.asked and self.page > 1 else None

    @property
    def later(self) -> int | None:
        return self.page + 1 if self.asked and self.last < self.of else None

    @property
    def uuids(self) -> set[str]:
        return {row.block_uuid for row in self.rows}

    @property
    def link(self) -> str:
        """The start of an address that shows another block beside the same rows."""
        kept = {"blocks": self.asked, "part": self.page if self.page > 1 else ""}
        return f"?{urlencode({name: value for name, value in kept.items() if value} | {'block': ''})}"


def choose(
    block_runs: Sequence[BlockRun], query: Mapping[str, str], *, chain: Collection[str] = (), current: str = ""
) -> ShownBlocks:
    """Choose by a query string: `blocks=failed`, `blocks=all`, each with `part=2`; else what tells most.

    That is what goes wrong or on, the `current` one and the `chain` that decides how long the run takes, then what
    took longest.
    """
    counts = Counter(row.status for row in block_runs)
    tally = [(state.value, counts[state]) for state in TELLING if counts[state]]
    asked = query.get("blocks", "")
    if asked not in (ALL, *BlockStatus):
        room = most_telling(block_runs, set(chain), current)
        return ShownBlocks(room, "", tally, len(block_runs), len(room))
    fit = [row for row in block_runs if asked in (ALL, row.status)]
    page = min(read_page(query.get("part", "")), max(1, -(-len(fit) // PART)))
    return ShownBlocks(fit[(page - 1) * PART : page * PART], asked, tally, len(block_runs), len(fit), page)


def most_telling(block_runs: Sequence[BlockRun], chain: Collection[str], current: str) -> Sequence[BlockRun]:
    if len(block_runs) <= ROOM:
        return block_runs

    def rank(row: BlockRun) -> tuple[int, float]:
        if row.block_uuid == current:
            return 0, 0.0
        if row.status in GOES_WRONG_OR_ON:
            return 1 + GOES_WRONG_OR_ON.index(BlockStatus(row.status)), 0.0
        return (10 if row.block_uuid in chain else 11 if row.status != BlockStatus.INITIAL else 12), -took(row)

    chosen = {row.pk for row in sorted(block_runs, key=rank)[:ROOM]}
    return [row for row in block_runs if row.pk in chosen]


def took(row: BlockRun) -> float:
    return (row.completed_at - row.started_at).total_seconds() if row.completed_at and row.started_at else 0.0


def read(run: PipelineRun) -> list[BlockRun]:
    """Return the blocks of a run in their order, MOST at most; where most will not be shown without what is `WIDE`."""
    is_wide = len(run.version.graph["blocks"]) > 2 * ROOM
    rows = run.block_runs.for_page().exclude(role=Role.MEMBER).defer("config", "fanout", *(WIDE if is_wide else ()))
    return list(rows[:MOST])


def fill(rows: Collection[BlockRun]) -> None:
    """Read what was left out of these rows; one query if anything was."""
    lacking = [row for row in rows if row.get_deferred_fields() & set(WIDE)]
    if not lacking:
        return
    rows_in_full = BlockRun.objects.filter(pk__in=[row.pk for row in lacking]).values_list("pk", *WIDE)
    found: dict[int, Any] = {pk: rest for pk, *rest in rows_in_full}
    for row in lacking:
        for name, value in zip(WIDE, found.get(row.pk, ([], {}, [])), strict=True):
            setattr(row, name, value)
