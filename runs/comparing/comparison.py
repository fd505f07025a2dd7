"""What differs between two runs of a pipeline: what they were given, what they were made of, what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipelines.differences import Difference, Setting, differences, settings_differences
from pipelines.models import PipelineVersion
from pipelines.refusal import Refusal
from runs.comparing.blocks import Pair, is_noticed, pairs, with_logs
from runs.figures import metrics
from runs.models import BlockRun, PipelineRun, Role, Worker
from runs.retrying.version_changes import definition

MOST_BLOCKS = 500


class Fact(NamedTuple):
    """Something that both runs have. `kind` says how it is written: text, state, moment, seconds, bytes, number."""

    name: str
    kind: str
    old: Any
    new: Any
    counts: bool = True  # it differs from run to run by itself: never a difference

    @property
    def differs(self) -> bool:
        return self.counts and self.old != self.new


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`old` is the run that `new` is compared with."""

    old: PipelineRun
    new: PipelineRun
    facts: Sequence[Fact]
    variables: Sequence[Setting]
    same_variables: Sequence[str]
    differences: Sequence[Difference]
    settings: Sequence[Setting]
    blocks: Sequence[Pair]

    @property
    def same_version(self) -> bool:
        return self.old.version_id == self.new.version_id

    @property
    def differing_facts(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.differs]

    @property
    def differing_blocks(self) -> list[Pair]:
        return [pair for pair in self.blocks if pair.differs]


def compare(new: PipelineRun, old: PipelineRun, *, numbers: bool = False) -> Comparison:
    """Compare a run with another of its pipeline. Raises Refusal for one that cannot be compared. Eight queries.

    `numbers`: lines of a log differ also where only numbers in them do.
    """
    if old.pk == new.pk:
        raise Refusal("A run is the same as itself.", field="other", hint="Name another run of the pipeline.")
    if old.pipeline_id != new.pipeline_id:
        pipelines = f"{old.pk} is of {old.pipeline.uuid}, run {new.pk} of {new.pipeline.uuid}"
        raise Refusal(f"Run {pipelines}.", field="other", hint=f"Name another run of {new.pipeline.uuid}.")
    found = with_logs(pairs(block_runs(old), block_runs(new)), numbers=numbers)
    before, after = versions(old, new)
    return Comparison(
        old=old,
        new=new,
        facts=facts(old, new, found),
        variables=settings_differences(old.variables, new.variables),
        same_variables=sorted(name for name, value in new.variables.items() if same(old.variables, name, value)),
        differences=differences(definition(before), definition(after)) if before and after else (),
        settings=settings_differences(before.settings, after.settings) if before and after else (),
        blocks=found,
    )


def same(variables: Mapping[str, Any], name: str, value: Any) -> bool:
    return name in variables and variables[name] == value


def block_runs(run: PipelineRun) -> list[BlockRun]:
    rows = run.block_runs.for_page().exclude(role=Role.MEMBER)
    return list(rows.defer("config", "fanout", "upstream", "downstream")[:MOST_BLOCKS])


def versions(old: PipelineRun, new: PipelineRun) -> tuple[PipelineVersion | None, PipelineVersion | None]:
    """Return both versions with their code; none where it is the same one."""
    if old.version_id == new.version_id:
        return None, None
    found = PipelineVersion.objects.in_bulk([old.version_id, new.version_id])
    return found[old.version_id], found[new.version_id]


def facts(old: PipelineRun, new: PipelineRun, found: Sequence[Pair]) -> list[Fact]:
    was, now = metrics.of_run(old), metrics.of_run(new)
    before, after = hosts([pair.old for pair in found]), hosts([pair.new for pair in found])

    def of(name: str, kind: str, field: str, counts: bool = True) -> Fact:
        return Fact(name, kind, getattr(old, field), getattr(new, field), counts)

    def used(name: str, kind: str, key: str, counts: bool = False) -> Fact:
        return Fact(name, kind, was[key], now[key], counts)

    return [
        of("State", "state", "status"),
        of("Trigger", "text", "trigger_name"),
        of("Origin", "text", "origin"),
        of("Started by", "text", "started_by"),
        of("For (execution date)", "moment", "execution_date", False),
        of("Started", "moment", "started_at", False),
        of("Attempt", "number", "attempt"),
        Fact("Version", "text", old.version.content_hash[:10], new.version.content_hash[:10]),
        of("Executor", "text", "executor"),
        of("In one process", "text", "in_one_process"),
        of("Block runs at once", "number", "block_run_limit"),
        of("Priority", "number", "priority"),
        of("Time-out", "seconds", "timeout"),
        Fact("Machines", "text", before, after),
        used("Waited", "seconds", "waiting_seconds"),
        used("Starting", "seconds", "starting_seconds"),
        Fact("Took", "seconds", took(old), took(new), is_noticed(took(old), took(new))),
        used("CPU", "seconds", "cpu_seconds"),
        used("Peak memory", "bytes", "peak_memory_bytes"),
        used("Rows returned", "number", "rows", True),
        used("Bytes returned", "bytes", "bytes"),
    ]


def hosts(rows: Sequence[BlockRun | None]) -> str:
    """Return the machines that blocks ran on, by name."""
    workers = {row.worker_id for row in rows if row is not None and row.worker_id is not None}
    names = Worker.objects.filter(pk__in=workers).values_list("host", flat=True) if workers else ()
    return ", ".join(sorted(set(names)))


def took(run: PipelineRun) -> float | None:
    return metrics.seconds(run.started_at, run.completed_at)
