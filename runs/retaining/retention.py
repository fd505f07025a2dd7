"""What retention may remove now: finished runs, or only their logs or outputs, by the age and count of each pipeline.

Nothing here removes anything (`runs.retaining.removing` does). Every choice is a moment: what ended before it goes,
except what is protected, whatever the rules say: runs that are kept or ended within the last minutes, whose callbacks,
children or parent still go on, whose outputs a single block would be run on, that an open backfill counts, or that a
repeated request must still find.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery

from pipelines.models import Pipeline
from pipelines.retention_rules import KINDS, Rules
from runs import overview
from runs.models import BlockRun, PipelineRun
from runs.states import RUN_FINISHED, BlockStatus, RunStatus

AT_ONCE = 50  # pipelines that are looked at in one query
BATCH = 200  # runs removed in one transaction
FRESH = timedelta(minutes=15)  # what follows an end (triggers, forecasts, invariants) looks back less far
KEYS_HOLD = timedelta(hours=24)  # a request repeated within this finds its run
USED_FROM = 20  # completed runs among which the newest outputs of each block are looked for
REMOVED = "run removed by retention"

# Conditions on runs that something above still counts on, at a moment.
SHIELDS: list[Callable[[datetime], Q]] = []


@dataclass(frozen=True)
class Policy:
    """What holds for a pipeline: kind → {"age": hours, "count": newest runs}."""

    pipeline_id: int
    uuid: str
    rules: Rules


@dataclass(frozen=True)
class Cut:
    """Of a pipeline, the runs (or their logs, or outputs) that ended before this moment are due to go."""

    policy: Policy
    kind: str
    before: datetime


def policies(pipeline_ids: Sequence[int] | None = None) -> list[Policy]:
    """Return the rules of every pipeline that has any (of those named), as last read from its metadata.yaml."""
    found = Pipeline.objects.filter(current_version__settings__has_key="retention")
    found = found if pipeline_ids is None else found.filter(pk__in=pipeline_ids)
    rows = found.order_by("uuid").values_list("pk", "uuid", "current_version__settings__retention")
    return [Policy(pk, name, {kind: rules[kind] for kind in KINDS if kind in rules}) for pk, name, rules in rows]


def cuts(chosen: Sequence[Policy], moment: datetime) -> Iterator[Cut]:
    """Yield where something is due to go: one query for up to 50 pipelines of the same rules."""
    by_rules: dict[str, list[Policy]] = {}
    for policy in chosen:
        by_rules.setdefault(repr(policy.rules), []).append(policy)
    for alike in by_rules.values():
        for begin in range(0, len(alike), AT_ONCE):
            yield from cuts_of(alike[begin : begin + AT_ONCE], moment)


def cuts_of(alike: Sequence[Policy], moment: datetime) -> list[Cut]:
    """As `cuts`, for pipelines that have the same rules."""
    rules, by_id = alike[0].rules, {policy.pipeline_id: policy for policy in alike}
    columns = {f"oldest_{kind}": Subquery(ends(removable(kind, moment), "completed_at")[:1]) for kind in rules}
    for kind, rule in rules.items():
        if count := rule.get("count"):
            newest = ends(PipelineRun.objects.filter(completed_at__isnull=False), "-completed_at")
            columns[f"last_{kind}"] = Subquery(newest[count - 1 : count])
    found = []
    for row in Pipeline.objects.filter(pk__in=by_id).order_by("uuid").annotate(**columns).values("pk", *columns):
        for kind, rule in rules.items():
            age = moment - timedelta(hours=rule["age"]) if "age" in rule else None
            before = max(filter(None, [age, row.get(f"last_{kind}")]), default=None)
            oldest = row[f"oldest_{kind}"]
            if before is not None and oldest is not None and oldest < before:
                found.append(Cut(by_id[row["pk"]], kind, before))
    return found


def ends(runs: QuerySet[PipelineRun], order: str) -> QuerySet[PipelineRun, datetime | None]:
    return runs.filter(pipeline=OuterRef("pk")).order_by(order).values_list("completed_at", flat=True)


def removable(kind: str, moment: datetime) -> QuerySet[PipelineRun]:
    """Runs that nothing but their use as the newest outputs may protect; for logs and outputs, that have them."""
    runs = PipelineRun.objects.filter(completed_at__lt=moment - FRESH, is_kept=False, status__in=RUN_FINISHED)
    runs = runs.filter(completed_at__isnull=False)  # says the same once more: it is what the indexes are made for
    if kind != "runs":
        runs = runs.filter(**{f"{kind}_removed_at__isnull": True})
    else:
        runs = runs.exclude(idempotency_key__isnull=False, created_at__gt=moment - KEYS_HOLD)
    for shield in SHIELDS:
        runs = runs.exclude(shield(moment))
    ongoing = PipelineRun.objects.unfinished().filter(parent_block_run__isnull=False)
    started_by_ongoing = Q(parent_block_run__pipeline_run__status__in=(RunStatus.INITIAL, RunStatus.RUNNING))
    children = PipelineRun.objects.filter(started_by_ongoing)
    still_at_it = BlockRun.objects.unfinished().filter(pipeline_run=OuterRef("pk"))
    return (
        runs.exclude(pk__in=ongoing.values("parent_block_run__pipeline_run"))
        .exclude(pk__in=children.values("pk"))
        .filter(~Exists(still_at_it))
    )


def due(cut: Cut, moment: datetime) -> QuerySet[PipelineRun]:
    """Return the runs that a cut takes, the oldest first."""
    runs = removable(cut.kind, moment).filter(pipeline=cut.policy.pipeline_id, completed_at__lt=cut.before)
    return runs.exclude(pk__in=in_use([cut.policy.pipeline_id])).order_by("completed_at")


def in_use(pipeline_ids: Iterable[int]) -> set[int]:
    """Return the runs whose outputs a block run alone would take: of each block the newest that it completed in."""
    owners = Pipeline.objects.filter(pk__in=list(pipeline_ids))
    newest = overview.newest_ids(owners, "pipeline", USED_FROM, status=RunStatus.COMPLETED)
    completed = [run_id for found in newest.values() for run_id in found]
    blocks = BlockRun.objects.filter(pipeline_run__in=completed, status=BlockStatus.COMPLETED).order_by()
    used = blocks.values_list("pipeline_run__pipeline", "block_uuid").annotate(newest=Max("pipeline_run"))
    return {run_id for _, _, run_id in used} | {found[0] for found in newest.values() if found}
