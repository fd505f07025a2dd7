"""What the page of a run shows of blocks that run many times: counts beside each, and the members of one of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Case, IntegerField, Value, When

from runs import overview
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BLOCK_FINISHED, BlockStatus

PAGE = 50
MOST_PAGES = 10_000
# Failed first, then what goes on, what is to come, and what is done.
TELLING = (
    BlockStatus.FAILED,
    BlockStatus.RUNNING,
    BlockStatus.WAITING,
    BlockStatus.QUEUED,
    BlockStatus.UPSTREAM_FAILED,
    BlockStatus.CANCELLED,
    BlockStatus.CONDITION_FAILED,
    BlockStatus.INITIAL,
    BlockStatus.COMPLETED,
)


class Members:
    """The members of a run's blocks, as far as its page shows them."""

    def __init__(self, run: PipelineRun, block_runs: Sequence[BlockRun]) -> None:
        self.run = run
        self.expanded = {row.pk: row for row in block_runs if row.members_total is not None}
        self.tallies = overview.members_of(run.pk) if self.expanded else {}

    @property
    def counts(self) -> dict[str, str]:
        """By block: how many of its members are done, "12 / 1,000"."""
        found = {}
        for pk, row in self.expanded.items():
            tally = self.tallies.get(pk, Counter())
            done = sum(count for status, count in tally.items() if status in BLOCK_FINISHED)
            found[row.block_uuid] = f"{done:,} / {tally.total():,}"
        return found

    def tally(self, block_runs: Sequence[BlockRun]) -> dict[str, int]:
        """Count what is done and to do: blocks, and in place of those that run many times their members."""
        found = Counter(row.status for row in block_runs if row.members_total is None)
        for tally in self.tallies.values():
            found += tally
        return dict(found)

    def named(self, uuid: str | None) -> BlockRun | None:
        """Return the member that a page was asked for."""
        if not uuid or not self.expanded or len(uuid) > 255:
            return None
        return self.run.block_runs.filter(role=Role.MEMBER, block_uuid=uuid).select_related("parent").first()

    def shown(self, block: BlockRun | None, query: Mapping[str, str]) -> dict[str, Any] | None:
        """Return a page of the members of a block, those first that tell most; None for one that has none."""
        if block is None or block.pk not in self.expanded:
            return None
        tally = self.tallies.get(block.pk, Counter())
        status = query.get("members", "")
        status = status if status in tally else ""
        rows = self.run.block_runs.filter(parent=block.pk, role=Role.MEMBER).defer("config", "fanout")
        rows = rows.filter(status=status) if status else rows.order_by(by_telling(), "id")
        total = tally[status] if status else tally.total()
        page = min(read_page(query.get("page", "")), max(1, -(-total // PAGE)))
        return {
            "tally": [(name, tally[name]) for name in TELLING if tally[name]],
            "status": status,
            "rows": list((rows.order_by("id") if status else rows)[(page - 1) * PAGE : page * PAGE]),
            "total": tally.total(),
            "first": (page - 1) * PAGE + 1,
            "last": min(page * PAGE, total),
            "of": total,
            "earlier": page - 1 if page > 1 else None,
            "later": page + 1 if page * PAGE < total else None,
        }


def by_telling() -> Case:
    return Case(
        *(When(status=status, then=Value(place)) for place, status in enumerate(TELLING)), output_field=IntegerField()
    )


def read_page(text: str) -> int:
    return min(max(int(text), 1), MOST_PAGES) if text.isdecimal() and len(text) < 9 else 1
