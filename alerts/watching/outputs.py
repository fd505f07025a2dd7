"""How many rows a block returned, beside the bounds that rules set."""

from datetime import datetime

from alerts.kinds import Rows, bounds
from alerts.models import Kind
from alerts.watching.look import Look, Subject, covers, fingerprint_of
from runs.figures import metrics
from runs.models import PipelineRun, Role
from runs.states import BlockStatus


def counted(look: Look, run: PipelineRun, ended_at: datetime) -> set[str]:
    """Look at a run that completed; return the fingerprints of what is out of bounds."""
    broken: set[str] = set()
    for watched in look.rules(Kind.ROW_COUNT):
        rule, told = watched.rule, watched.told
        subject = Subject.of(run, rule.block_uuid)
        if not covers(rule, subject):
            continue
        assert isinstance(told, Rows)
        row = run.block_runs.filter(block_uuid=rule.block_uuid, role=Role.BLOCK, status=BlockStatus.COMPLETED).first()
        count = metrics.total(row, "rows") if row is not None else None
        if row is None or count is None or is_within(count, told):
            continue
        message = f"Run {run.pk}: {rule.block_uuid} returned {count:,} rows; told are {bounds(told)}."
        key = f"block run {row.pk} attempt {row.attempt}"
        title = f"{subject.name} returns {bounds(told)} rows"
        look.breaks(rule, key, subject, title=title, message=message, at=ended_at)
        broken.add(fingerprint_of(rule, subject))
    return broken


def is_within(count: int, told: Rows) -> bool:
    return (told.low is None or count >= told.low) and (told.high is None or count <= told.high)
