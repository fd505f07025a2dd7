"""What retention would remove at a moment: counted for up to a page of pipelines, and weighed where that is cheap."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from pipelines import retention_rules, storage, stored_folders
from pipelines.refusal import Refusal
from pipelines.stored_folders import Held
from runs import logs
from runs.models import PipelineRun, Removal
from runs.retaining import retention
from runs.retaining.retention import Cut, Policy
from runs.working import jobs

MOST_WEIGHED = 300  # runs whose files are looked at
PATIENCE = 0.5  # seconds of looking at them
MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Going:
    """How many runs go, or lose something; `files` what they have on disk, None where nobody looked."""

    runs: int = 0
    files: Held | None = Held()

    def as_dict(self) -> dict[str, Any]:
        held = self.files
        return {"runs": self.runs, "files": held.files if held else None, "bytes": held.bytes if held else None}


@dataclass(frozen=True)
class Beside:
    """What goes by settings of the installation: its rule in words, and how many would go now; `most` are counted."""

    name: str
    rule: str
    count: int
    most: int


# Asked for the page, at a moment, by what is above.
BESIDE: list[Callable[[datetime], Sequence[Beside]]] = []


@dataclass(frozen=True)
class Preview:
    """What the rules of a pipeline would let go now, by kind. Files of runs that go are counted with the runs."""

    policy: Policy
    going: Mapping[str, Going] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        rules = self.policy.rules
        return {
            "pipeline_uuid": self.policy.uuid,
            "rules": {kind: in_hours(rules.get(kind, {})) for kind in retention_rules.KINDS},
            "would_go": {kind: self.going.get(kind, Going()).as_dict() for kind in retention_rules.KINDS},
        }


def in_hours(rule: Mapping[str, int]) -> dict[str, Any]:
    words = retention_rules.in_words(rule)
    return {"age_hours": rule.get("age"), "count": rule.get("count"), "in_words": words}


def preview(policies: Sequence[Policy], moment: datetime, *, weighs: bool = True) -> list[Preview]:
    """Say what would go, in the order of the policies. As many queries for fifty as for one of the same rules."""
    cuts = list(retention.cuts(policies, moment))
    in_use = retention.in_use({cut.policy.pipeline_id for cut in cuts}) if cuts else set()
    until = time.monotonic() + PATIENCE
    found: dict[int, dict[str, Going]] = {policy.pipeline_id: {} for policy in policies}
    for kind in retention_rules.KINDS:
        if of_kind := [cut for cut in cuts if cut.kind == kind]:
            runs = taken(of_kind, moment).exclude(pk__in=in_use)
            counts = dict(runs.order_by().values_list("pipeline").annotate(Count("pk")))
            weights = weigh(runs, kind, sum(counts.values()), until) if weighs else None
            for pipeline_id, count in counts.items():
                files = weights.get(pipeline_id, Held()) if weights is not None else None
                found[pipeline_id][kind] = Going(count, files)
    return [Preview(policy, found[policy.pipeline_id]) for policy in policies]


def taken(cuts: Sequence[Cut], moment: datetime) -> Any:
    """Return the runs that any of these cuts, all of one kind, takes."""
    any_of = Q(pk__in=[])
    for cut in cuts:
        any_of |= Q(pipeline=cut.policy.pipeline_id, completed_at__lt=cut.before)
    return retention.removable(cuts[0].kind, moment).filter(any_of)


def weigh(runs: Any, kind: str, count: int, until: float) -> dict[int, Held] | None:
    """Return what the runs have on this machine's disk, by pipeline; None for many, and for other storage."""
    urls = {"logs": [settings.LOGS_URL], "outputs": [settings.VARIABLES_URL]}
    looked_at = urls.get(kind) or [*urls["logs"], *urls["outputs"]]
    if count > MOST_WEIGHED or not all(map(is_local, looked_at)):
        return None
    found: dict[int, Held] = {}
    for run_id, pipeline_id in runs.values_list("pk", "pipeline"):
        if time.monotonic() > until:
            return None
        found[pipeline_id] = found.get(pipeline_id, Held()) + held_by(run_id, kind)
    return found


def held_by(run_id: int, kind: str) -> Held:
    urls = {"logs": [str(logs.folder(run_id))], "outputs": [jobs.output_folder(run_id)]}
    try:
        return sum(map(stored_folders.held, urls.get(kind) or [*urls["logs"], *urls["outputs"]]), Held())
    except OSError:  # not readable now; it is told when it is to be removed
        return Held()


def is_local(url: str) -> bool:
    try:
        return storage.local_path(url) is not None
    except Refusal:
        return False


def outstanding() -> dict[str, Any]:
    """Say of how many runs files are still to be removed, and what stands in the way."""
    stuck = Removal.objects.exclude(problem="").order_by("pk").values_list("run_id", "problem")
    return {
        "waiting": Removal.objects.count(),
        "problems": [{"run_id": run_id, "problem": problem} for run_id, problem in stuck[:MOST_PROBLEMS]],
    }


def kept_runs() -> int:
    return PipelineRun.objects.filter(is_kept=True).count()
