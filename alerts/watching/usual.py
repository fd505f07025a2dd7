"""Slower than usual: a run, or a block, that takes longer than its p95 times a factor, also while it still goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alerts.kinds import Slower
from alerts.models import Kind
from alerts.watching.look import Look, Subject, Watched, covers, fingerprint_of
from runs.figures.history_of_blocks import last_runs, percentile
from runs.models import BlockRun, PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.reasons.drift import about

COMPLETED = RunStatus.COMPLETED.value  # of runs and of blocks alike
KEPT_FOR = timedelta(minutes=1)
SLACK = 5.0  # seconds: what is over by less is no trouble, whatever the factor
LOOKED_AT = 1000  # blocks that are at work


@dataclass
class Usual:
    """How long pipelines and blocks took lately; kept for a minute."""

    known: dict[tuple[int, str], tuple[datetime, Sequence[tuple[int, float]]]] = field(default_factory=dict)

    def p95(self, pipeline_id: int, block_uuid: str, samples: int, moment: datetime, but: int) -> float | None:
        """Return the p95 in seconds without the run in question; None where too few completed to know it."""
        read_at, took = self.known.get((pipeline_id, block_uuid), (None, ()))
        if read_at is None or not read_at <= moment < read_at + KEPT_FOR:
            took = taken(pipeline_id, block_uuid)
            self.known[pipeline_id, block_uuid] = moment, took
        others = [seconds for run_id, seconds in took if run_id != but]
        return percentile(others, 0.95) if len(others) >= samples else None


def taken(pipeline_id: int, block_uuid: str) -> list[tuple[int, float]]:
    """Return the run and the seconds of those of the last 100 that completed. One query."""
    fields = ("status", "started_at", "completed_at")
    last = last_runs(pipeline_id)
    blocks = BlockRun.objects.filter(pipeline_run__in=last.values("pk"), block_uuid=block_uuid)
    rows: Any = blocks.values_list("pipeline_run", *fields) if block_uuid else last.values_list("pk", *fields)
    return [
        (run_id, (end - begin).total_seconds())
        for run_id, status, begin, end in rows
        if status == COMPLETED and begin is not None and end is not None
    ]


usual = Usual()


def took_long(look: Look, run: PipelineRun, ended_at: datetime) -> set[str]:
    """Look at a run that completed, and at its blocks; return the fingerprints of what is wrong."""
    broken: set[str] = set()
    for watched in look.rules(Kind.SLOWER):
        uuid = watched.rule.block_uuid
        row = run.block_runs.filter(block_uuid=uuid, status=BlockStatus.COMPLETED).first() if uuid else run
        if row is not None and row.started_at and row.completed_at:
            broken |= compare(look, watched, run, row, row.completed_at)
    return broken


def take_long(look: Look, runs: Sequence[PipelineRun]) -> None:
    """Look at what goes on: the unfinished runs, and those of their blocks that a rule names."""
    for watched in look.rules(Kind.SLOWER):
        if not watched.rule.block_uuid:
            for run in runs:
                if run.status == RunStatus.RUNNING and run.started_at:
                    compare(look, watched, run, run, look.moment)
            continue
        rows = BlockRun.objects.filter(status=BlockStatus.RUNNING, block_uuid=watched.rule.block_uuid)
        by_id = {run.pk: run for run in runs}
        for row in rows.only("pipeline_run_id", "block_uuid", "started_at", "attempt")[:LOOKED_AT]:
            if row.pipeline_run_id in by_id and row.started_at:
                compare(look, watched, by_id[row.pipeline_run_id], row, look.moment)


def compare(look: Look, watched: Watched, run: PipelineRun, row: PipelineRun | BlockRun, until: datetime) -> set[str]:
    """Compare how long it takes, or took, with what is usual."""
    told, rule = watched.told, watched.rule
    assert isinstance(told, Slower)
    assert row.started_at is not None
    subject = Subject.of(run, rule.block_uuid)
    if not covers(rule, subject):
        return set()
    p95 = usual.p95(run.pipeline_id, rule.block_uuid, told.samples, look.moment, run.pk)
    seconds = (until - row.started_at).total_seconds()
    if p95 is None or seconds <= max(p95 * told.factor, p95 + SLACK):
        return set()
    what = f"block run {row.pk} attempt {row.attempt}" if rule.block_uuid else f"run {run.pk} attempt {run.attempt}"
    verb = "took" if row.is_finished else "has been running for"
    message = (
        f"Run {run.pk} {verb} {about(timedelta(seconds=seconds))}; usual are up to {about(timedelta(seconds=p95))}."
    )
    look.breaks(rule, what, subject, title=f"{subject.name} is slower than usual", message=message)
    return {fingerprint_of(rule, subject)}
