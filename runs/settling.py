"""What of a run moves on and what never will: looked for in all of it, or around one member. Under the run's lock."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from runs import callbacks, events
from runs.expanding import expand
from runs.models import BlockRun, PipelineRun, Role
from runs.readiness import Node, settle, verdict
from runs.standing import Row, nodes_of, open_upstream, rows_of
from runs.states import BLOCK_FINISHED, BlockStatus

AT_A_TIME = 5000  # keys in one statement
PATIENT_RULES = ("all_success", "none_failed")
REASONS = {
    BlockStatus.UPSTREAM_FAILED: "not run: a block before it failed",
    BlockStatus.CONDITION_FAILED: "not run: what its trigger rule asks of the blocks before it did not come about",
}


def settle_all(run: PipelineRun, moment: datetime) -> None:
    """Look at the whole graph: carry failures down, expand what can be, count what is open, stop a failed run."""
    while True:
        rows = rows_of(run)
        moves = settle(nodes_of(rows))
        make(run, rows, moves, moment)
        ready = [row for uuid, row in rows.items() if row.is_to_expand and moves.get(uuid) == BlockStatus.QUEUED]
        if not ready:
            break
        for row in ready:
            expand(run, row, rows, moment)
    statuses = {uuid: moves.get(uuid, row.status) for uuid, row in rows.items()}
    if not run.allow_blocks_to_fail and has_failure(rows, statuses):
        still_open = [row for uuid, row in rows.items() if statuses[uuid] not in BLOCK_FINISHED]
        if not any(asks_for_failures(row.rule) and not row.is_expanded for row in still_open):
            end_blocks(run, moment, "another block of the run failed")


def has_failure(rows: Mapping[str, Row], statuses: Mapping[str, str]) -> bool:
    """Tell whether a block failed; a member of one that was marked as a whole does not count (`that_count`)."""
    if BlockStatus.FAILED not in statuses.values():
        return False
    passed = {
        row.pk
        for uuid, row in rows.items()
        if row.is_expanded and statuses[uuid] in (BlockStatus.COMPLETED, BlockStatus.CONDITION_FAILED)
    }
    return any(statuses[uuid] == BlockStatus.FAILED and row.parent not in passed for uuid, row in rows.items())


def asks_for_failures(rule: str) -> bool:
    """A block that is to run after failures keeps the run going until it has."""
    return rule not in PATIENT_RULES


def make(run: PipelineRun, rows: Mapping[str, Row], moves: Mapping[str, BlockStatus], moment: datetime) -> None:
    """Write the moves down, and for what stays, how much of what it waits for is still open."""
    groups = [uuid for uuid in moves if rows[uuid].is_expanded]
    by_move: dict[tuple[str, BlockStatus], list[int]] = defaultdict(list)
    for uuid, move in moves.items():
        if not rows[uuid].is_expanded:
            by_move[rows[uuid].status, move].append(rows[uuid].pk)
    for (old, move), keys in by_move.items():
        for chosen in some_of(run, keys):
            if move == BlockStatus.QUEUED:
                chosen.update(pending=0)  # waits for nothing more
            else:
                chosen.move_to(BlockStatus(old), move, completed_at=moment, reason=REASONS.get(move, ""))
    counts = open_upstream(rows, moves)
    for uuid in groups:
        move_group(run, rows[uuid], moves[uuid], counts.get(uuid, 0), moment)
    changed: dict[int, list[int]] = defaultdict(list)
    for uuid, count in counts.items():
        if count != rows[uuid].pending and uuid not in moves:
            changed[count].append(rows[uuid].pk)
    for count, keys in changed.items():
        for chosen in some_of(run, keys):
            chosen.update(pending=count)


def some_of(run: PipelineRun, keys: Sequence[int]) -> Iterable[Any]:
    return (run.block_runs.filter(pk__in=keys[begin : begin + AT_A_TIME]) for begin in range(0, len(keys), AT_A_TIME))


def move_group(run: PipelineRun, row: Row, move: BlockStatus, still_open: int, moment: datetime) -> None:
    """Have a block that was expanded wait for its members (again, after a retry), or end as they did."""
    block = run.block_runs.filter(pk=row.pk)
    if move == BlockStatus.WAITING:
        block.move_to(BlockStatus.INITIAL, move, pending=still_open, next_attempt_at=None, started_at=moment)
        return
    reason = ended_as(run, row.pk)
    block.move_to(BlockStatus(row.status), move, pending=0, completed_at=moment, reason=reason)


def ended_as(run: PipelineRun, parent: int) -> str:
    """Say how many of a block's members did not complete: "2 of 1,000 failed"."""
    counts = Counter(run.block_runs.filter(parent=parent, role=Role.MEMBER).values_list("status", flat=True))
    total = sum(counts.values())
    told = [f"{counts[status]:,} {status.replace('_', ' ')}" for status in TOLD if counts[status]]
    return f"of {total:,}: {', '.join(told)}" if told else ""


TOLD = (BlockStatus.FAILED, BlockStatus.UPSTREAM_FAILED, BlockStatus.CANCELLED, BlockStatus.CONDITION_FAILED)


# --- around one member ----------------------------------------------------------------------------------------------


def settle_after(run: PipelineRun, member: BlockRun, moment: datetime) -> bool:
    """Carry the end of one member on, at the same cost however many there are; True if something is known to be open.

    Only what comes directly after it is looked at, and after that what fails with it. When it was the last of its
    block the whole graph is looked at.
    """
    parent = member.parent_id or 0
    around = run.block_runs.filter(pk__in=(member.pk, parent)).only("status", "pending", "downstream", "pipeline_run")
    rows = {row.pk: row for row in around}
    block, below = rows[parent], rows[member.pk].downstream  # as it is now: more may be below by now
    if block.status != BlockStatus.WAITING or block.pending <= 1:
        settle_all(run, moment)
        return False
    if member.status == BlockStatus.COMPLETED and member.config.get("plain_below"):
        waiting = Q(block_uuid__in=below, status=BlockStatus.INITIAL, pending__gt=0)
        counted = Q(pk=block.pk) | waiting if below else Q(pk=block.pk)
        run.block_runs.filter(counted).update(pending=F("pending") - 1)
        return not (asks_for_failures(member.trigger_rule) and stops(run, moment))
    ended = carry_down(run, below, moment) + Counter({block.pk: 1})
    for parent, count in ended.items():
        run.block_runs.filter(pk=parent, pending__gte=count).update(pending=F("pending") - count)
    if run.block_runs.filter(pk__in=ended, pending=0).exists():
        settle_all(run, moment)
        return False
    is_to_look = member.status == BlockStatus.FAILED or asks_for_failures(member.trigger_rule)
    return not (is_to_look and stops(run, moment))


def carry_down(run: PipelineRun, below: Sequence[str], moment: datetime) -> Counter[int]:
    """Decide about members that come after one that ended, and so on; return how many ended of which block."""
    ended: Counter[int] = Counter()
    columns = ("status", "attempt", "block_uuid", "upstream", "downstream", "trigger_rule", "parent", "pipeline_run")
    while below:
        rows = list(run.block_runs.filter(block_uuid__in=below, status=BlockStatus.INITIAL).only(*columns))
        above = {uuid for row in rows for uuid in row.upstream}
        statuses = dict(run.block_runs.filter(block_uuid__in=above).values_list("block_uuid", "status"))
        below = []
        for row in rows:
            upstream = [statuses[uuid] for uuid in row.upstream if uuid in statuses]
            move = verdict(Node(row.status, row.upstream, row.trigger_rule), upstream)
            if move is None or move == BlockStatus.QUEUED:
                pending = sum(status not in BLOCK_FINISHED for status in upstream) if move is None else 0
                BlockRun.objects.filter(pk=row.pk).update(pending=pending)
            elif row.move_to(move, completed_at=moment, reason=REASONS.get(move, "")):
                ended[row.parent_id or 0] += 1
                below += row.downstream
    return ended


def stops(run: PipelineRun, moment: datetime) -> bool:
    """End a run in which a block failed that may not, unless a block is to run after failures; True if it was."""
    if run.allow_blocks_to_fail or not run.block_runs.that_count().filter(status=BlockStatus.FAILED).exists():
        return False
    asking = run.block_runs.of_graph().unfinished().exclude(trigger_rule__in=PATIENT_RULES)
    if asking.filter(members_total=None).exists():
        return False
    end_blocks(run, moment, "another block of the run failed")
    return True


def end_blocks(run: PipelineRun, moment: datetime, reason: str) -> None:
    """Cancel every unfinished block run; workers see it at their next look and end the processes."""
    failed = BlockRun.objects.filter(parent=OuterRef("pk"), role=Role.MEMBER, status=BlockStatus.FAILED)
    groups = run.block_runs.filter(status=BlockStatus.WAITING, members_total__isnull=False).filter(Exists(failed))
    failed_groups = list(groups.values_list("pk", flat=True))
    # In the order in which block runs move on, some without the run's lock: none slips past from one to the next.
    for status in (BlockStatus.INITIAL, BlockStatus.WAITING, BlockStatus.QUEUED, BlockStatus.RUNNING):
        unfinished = run.block_runs.of_graph().exclude(pk__in=failed_groups)
        moved = unfinished.move_to(status, BlockStatus.CANCELLED, completed_at=moment, reason=reason[:500])
    if moved:  # they were at work
        events.publish_stop(run.pk)
    for pk in failed_groups:
        group = run.block_runs.filter(pk=pk)
        group.move_to(BlockStatus.WAITING, BlockStatus.FAILED, completed_at=moment, reason=ended_as(run, pk))
    callbacks.follow_cancelled(run, moment)
