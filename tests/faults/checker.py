"""Whether every promise was kept, by the witness, the accepted calls and the final rows; never by what a page says."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.load import Load
from tests.faults.nemeses import Stage
from tests.faults.rows import moment
from tests.faults.tree import Tree
from tests.faults.witness import Execution, Line, Story

FINISHED = ("completed", "failed", "cancelled")
FAIL = {"fails", "kills_itself", "crashes", "leaves", "hog"}
STARTS_AFTER_CANCEL = 5.0  # seconds: a block that was claimed before the cancel may be on its way
HELD = "'queued', 'running', 'waiting', 'initial'"


@dataclass
class Block:
    pk: int
    run: int
    uuid: str
    status: str
    epoch: int
    losses: int
    upstream: list[str]
    output: str
    error: str
    completed_at: float


@dataclass
class Verdict:
    """Counter-examples in words, by kind, and the figures of the report."""

    found: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    figures: dict[str, object] = field(default_factory=dict)

    def count(self, *kinds: str) -> int:
        return sum(len(self.found[kind]) for kind in kinds)

    @property
    def is_kept(self) -> bool:
        return not any(self.found.values())

    def examples(self, most: int = 5) -> list[str]:
        return [f"{kind}: {text}" for kind, texts in self.found.items() for text in texts[:most]]


class Checker:
    def __init__(self, tree: Tree, load: Load, stage: Stage) -> None:
        self.tree, self.load, self.stage = tree, load, stage
        self.story: Story = tree.witness.story()
        self.verdict = Verdict()
        rows = tree.rows.all(
            "SELECT r.id, r.status, p.uuid FROM runs_pipelinerun r JOIN pipelines_pipeline p ON p.id = r.pipeline_id"
        )
        self.runs = {run: (status, uuid) for run, status, uuid in rows}
        self.blocks = {(block.run, block.uuid): block for block in read_blocks(tree)}

    def judge(self) -> Verdict:
        for kind, check in {
            "lost": self.lost,
            "stuck": self.stuck,
            "doubled": self.doubled,
            "stale write": self.stale,
            "phantom": self.phantoms,
            "before its parent": self.too_early,
            "overlap": self.overlaps,
            "started after cancel": self.after_cancel,
            "wrong outcome": self.outcomes,
            "slot": self.slots,
            "invariant": lambda: invariants(self.tree),
            "complaint": lambda: iter(self.load.complaints),
        }.items():
            self.verdict.found[kind] = list(check())
        self.measure()
        return self.verdict

    # --- runs

    def lost(self) -> Iterator[str]:
        for call in self.load.accepted:
            if call.run not in self.runs:
                yield f"run {call.run} of {call.pipeline} was accepted with key {call.key} and is not there"

    def stuck(self) -> Iterator[str]:
        for run, (status, uuid) in self.runs.items():
            if status not in FINISHED:
                blocks = [f"{one.uuid} {one.status}" for one in self.blocks.values() if one.run == run]
                yield f"run {run} of {uuid} is {status}: {', '.join(blocks)}"

    def outcomes(self) -> Iterator[str]:
        """What should complete has completed, unless something explains why it has not."""
        ours = {line.run for line in self.tree.witness.lines() if line.pid in self.stage.own}
        lost = {block.run for block in self.blocks.values() if block.losses >= 3}
        self.verdict.figures["given_up"] = len(lost)
        for run, (status, uuid) in self.runs.items():
            expected = "failed" if uuid in FAIL else "completed"
            excused = run in ours or run in lost or (status == "cancelled" and run in self.load.cancelled)
            if status in FINISHED and status != expected and not excused:
                errors = [f"{one.uuid}: {one.error[:300]}" for one in self.blocks.values() if one.run == run]
                yield f"run {run} of {uuid} is {status} and should be {expected} ({'; '.join(errors)})"

    # --- blocks

    def doubled(self) -> Iterator[str]:
        times = Counter((one.begin.key, one.begin.epoch) for one in self.story.all)
        for (key, epoch), count in times.items():
            if count > 1:
                yield f"{key} was executed {count} times as attempt {epoch}"
        for key, executions in self.story.executions.items():
            block = self.blocks.get(key)
            late = [one.begin for one in executions if block and one.begin.epoch > block.epoch]
            if block and block.status == "completed" and late:
                yield f"{key} completed as attempt {block.epoch} and ran again as {late[0].epoch}"

    def stale(self) -> Iterator[str]:
        """Each block returns its attempt: what is stored must be of the one that won."""
        for key, block in self.blocks.items():
            if block.status == "completed" and key in self.story.executions and block.output != str(block.epoch):
                yield f"{key} completed as attempt {block.epoch} with the output of attempt {block.output}"

    def phantoms(self) -> Iterator[str]:
        for key, block in self.blocks.items():
            if block.status == "completed" and block.uuid not in ("looks", "never") and self.winner(key) is None:
                yield f"{key} is completed as attempt {block.epoch}, which nobody saw end"

    def winner(self, key: tuple[int, str]) -> Execution | None:
        block = self.blocks[key]
        won = [one for one in self.story.executions.get(key, ()) if one.end and one.begin.epoch == block.epoch]
        return won[0] if won and block.status == "completed" else None

    def too_early(self) -> Iterator[str]:
        for key, block in self.blocks.items():
            mine = self.winner(key)
            for uuid in block.upstream if mine else ():
                parent = self.winner((block.run, uuid))
                if mine and parent and parent.end and mine.begin.monotonic < parent.end.monotonic:
                    yield f"{key} began before {uuid} had ended"

    def overlaps(self) -> Iterator[str]:
        """`single_file` lets one run go on at a time: the executions that won must not overlap."""
        alone = [self.winner(key) for key in self.blocks if key[1] == "alone"]
        spans = sorted((one.begin.monotonic, one.end.monotonic, one.begin.run) for one in alone if one and one.end)
        for (_, end, run), (begin, _, other) in zip(spans, spans[1:], strict=False):
            if begin < end:
                yield f"runs {run} and {other} went on at the same time"

    def after_cancel(self) -> Iterator[str]:
        for one in self.story.all:
            at = self.load.cancelled.get(one.begin.run)
            if at is not None and one.begin.monotonic > at + STARTS_AFTER_CANCEL:
                yield f"{one.begin.key} began {one.begin.monotonic - at:.1f} s after its run was cancelled"

    # --- moments

    def slots(self) -> Iterator[str]:
        """Every minute of every trigger is a row, and every start has its one run."""
        rows = self.tree.rows.all(
            "SELECT schedule_id, scheduled_for, decision, reason, pipeline_run_id, decided_at "
            "FROM schedules_occurrence ORDER BY schedule_id, scheduled_for"
        )
        by_schedule: dict[int, list[float]] = defaultdict(list)
        late = []
        for schedule, at, decision, reason, run, decided in rows:
            by_schedule[schedule].append(moment(at))
            late.append(moment(decided) - moment(at)) if decision == "started" else None
            if decision == "started" and run is None:
                yield f"the moment {at} of trigger {schedule} was started without a run"
            if decision != "started" and not reason:
                yield f"the moment {at} of trigger {schedule} is {decision} without a reason"
        for schedule, moments in by_schedule.items():
            for before, after in zip(moments, moments[1:], strict=False):
                if after - before != 60:
                    yield f"trigger {schedule} has nothing between {before} and {after}"
        twice = self.tree.rows.all(
            "SELECT trigger_id, execution_date, count(*) FROM runs_pipelinerun WHERE origin = 'schedule' "
            "GROUP BY trigger_id, execution_date HAVING count(*) > 1"
        )
        for trigger, at, count in twice:
            yield f"the moment {at} of trigger {trigger} has {count} runs"
        self.verdict.figures |= {"slots": len(rows), "lateness_ms": spread([1000 * one for one in late])}

    # --- figures

    def measure(self) -> None:
        away = sorted(recoveries(self.story, self.stage), key=lambda one: -one[2])
        # A worker is missed by whoever is beside it. A host that is gone, or stands still, is missed by its lease.
        seen = [seconds for nemesis, _, seconds in away if nemesis in ("N2", "N3")]
        stopped = [seconds for nemesis, _, seconds in away if nemesis not in ("N2", "N3")]
        statuses = Counter(status for status, _ in self.runs.values())
        self.verdict.figures |= {
            "accepted": len(self.load.accepted),
            "runs": len(self.runs),
            "finished": sum(statuses[status] for status in FINISHED),
            "executions": sum(1 for _ in self.story.all),
            "unfinished_bodies": sum(1 for one in self.story.all if one.end is None),
            "recovery_ms": spread([1000 * one for one in seen]),
            "recovery_by_lease_ms": spread([1000 * one for one in stopped]),
            "slowest": away[:5],
            "http": dict(self.load.counts),
            "cancelled": len(self.load.cancelled),
        }


def read_blocks(tree: Tree) -> Iterator[Block]:
    import json

    def read(value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    for pk, run, uuid, status, epoch, losses, upstream, output, error, completed in tree.rows.all(
        "SELECT id, pipeline_run_id, block_uuid, status, attempt, losses, upstream, output, error, completed_at "
        "FROM runs_blockrun"
    ):
        outputs, failure = read(output), read(error)
        text = str(outputs[0]["preview"]["text"]) if isinstance(outputs, list) and outputs else ""
        message = f"{failure.get('type')}: {failure.get('message')}" if isinstance(failure, dict) and failure else ""
        names = read(upstream)
        assert isinstance(names, list)
        yield Block(pk, run, uuid, status, epoch, losses, names, text, message, moment(completed) if completed else 0.0)


def recoveries(story: Story, stage: Stage) -> Iterator[tuple[str, int, float]]:
    """Yield, for each running block that a blow took away: the nemesis, the run, the seconds until it ran again."""
    begins: dict[int, list[Line]] = defaultdict(list)
    for one in story.all:
        begins[one.begin.pid].append(one.begin)
    for blow in stage.blows:
        for pid in blow.victims:
            mine = [line for line in begins[pid] if line.monotonic <= blow.at]
            again = [
                one.begin.monotonic
                for one in (story.executions[mine[-1].key] if mine else ())
                if one.begin.epoch > mine[-1].epoch and one.begin.monotonic > blow.at
            ]
            if again:
                yield blow.nemesis, mine[-1].run, round(min(again) - blow.at, 2)


def spread(values: list[float]) -> dict[str, int]:
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    return {
        "count": len(ordered),
        "p50": round(ordered[len(ordered) // 2]),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]),
        "max": round(ordered[-1]),
    }


INVARIANTS = {
    "running under a lease that ended": (
        "SELECT b.id FROM runs_blockrun b LEFT JOIN runs_worker w ON w.id = b.worker_id "
        "WHERE b.status = 'running' AND (w.id IS NULL OR w.lease_until < {ago_30})"
    ),
    "two rows of one block at work": (
        "SELECT pipeline_run_id, block_uuid FROM runs_blockrun WHERE status = 'running' "
        "GROUP BY pipeline_run_id, block_uuid HAVING count(*) > 1"
    ),
    "a finished run with an open block": (
        "SELECT b.id FROM runs_blockrun b JOIN runs_pipelinerun r ON r.id = b.pipeline_run_id "
        "WHERE r.status IN ('completed', 'failed', 'cancelled') AND b.role <> 'callback' AND b.status IN ({held})"
    ),
    "a finished block without its times": (
        "SELECT id FROM runs_blockrun WHERE status NOT IN ({held}) "
        # A cancel may have waited for the claim that it came after: its moment is that of the request.
        "AND (completed_at IS NULL OR (completed_at < started_at AND status IN ('completed', 'failed')))"
    ),
    "a finished run without its time": (
        "SELECT id FROM runs_pipelinerun WHERE status IN ('completed', 'failed', 'cancelled') AND completed_at IS NULL"
    ),
    "a completed run with a block that is not": (
        "SELECT r.id FROM runs_pipelinerun r JOIN runs_blockrun b ON b.pipeline_run_id = r.id "
        "WHERE r.status = 'completed' AND b.role <> 'callback' AND b.status <> 'completed'"
    ),
    "an active trigger that is due at no time, or long ago": (
        "SELECT id FROM schedules_pipelineschedule WHERE is_active AND problem = '' AND schedule_type = 'time' "
        "AND (next_due_at IS NULL OR next_due_at < {ago_5})"
    ),
    "a backfill that is over with an open slot": (
        "SELECT o.id FROM schedules_occurrence o JOIN schedules_backfill f ON f.id = o.backfill_id "
        "WHERE f.completed_at IS NOT NULL AND o.decision = 'waiting'"
    ),
}


def invariants(tree: Tree) -> Iterator[str]:
    """What must never be, as SQL that returns no row while the tree is up and has nothing to do."""
    for name, sql in INVARIANTS.items():
        rows = tree.rows.all(sql.format(held=HELD, ago_30=tree.rows.ago(30), ago_5=tree.rows.ago(5)))
        for row in rows[:20]:
            yield f"{name}: {row}"
