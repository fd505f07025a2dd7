"""May runs start, may another block of one: `runs.limits` decides, here its facts are read and the door is held.

Whatever is limited is decided while the pipeline's row is held until the commit, so that of two starts one sees the
other. The order of locks is: pipelines by id, then runs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs.limits import Answer, Gate, Limits, Ongoing, Start, enter, gates, is_limited
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus

Hold = Callable[[PipelineRun], Gate]
# What is above may hold starts (maintenance windows): called once for a batch, each answer asked for every run.
HOLDS: list[Callable[[datetime], Hold]] = []


class NotAdmitted(Refusal):
    """A start that its limits refuse; `gate` is the one that is shut."""

    def __init__(self, what: str, gate: Gate, hint: str = "Try again when there is room.") -> None:
        super().__init__(f"{what}: {gate.reason}", hint=hint, code="conflict")
        self.gate = gate


@dataclass
class Door:
    """The admission of runs, one after the other, within one transaction: each sees those before it."""

    moment: datetime
    ongoing: dict[int, list[Ongoing]] = field(default_factory=dict)  # by pipeline
    holds: Sequence[Hold] = ()

    @classmethod
    def open(cls, runs: Sequence[PipelineRun], moment: datetime, *, but: PipelineRun | None = None) -> "Door":
        """Hold the rows of the limited pipelines among those of the runs, and read what goes on in them."""
        limited = sorted({run.pipeline_id for run in runs if is_limited(limits_of(run), config_of(run))})
        if limited:
            list(
                Pipeline.objects.select_for_update(no_key=True).filter(pk__in=limited).order_by("pk").values_list("pk")
            )
        return cls(moment, ongoing_of(limited, but), [hold(moment) for hold in HOLDS])

    def admit(self, run: PipelineRun, *, is_new: bool = True) -> Gate:
        """Decide about a run; one that may start is counted from now on."""
        held = next((gate for hold in self.holds if not (gate := hold(run)).is_open), None)
        if held:
            return held
        others = self.ongoing.get(run.pipeline_id)
        if others is None:
            return Gate("limits")
        return enter(start_of(run, is_new=is_new), config_of(run), others, run.pk)


def gates_of(run: PipelineRun, moment: datetime, *, is_new: bool) -> list[Gate]:
    """Return every gate between this run and its start, for people who ask why it does not; holds nothing."""
    holds = [hold(moment)(run) for hold in HOLDS]
    ongoing = ongoing_of([run.pipeline_id], run).get(run.pipeline_id, [])
    return holds + gates(start_of(run, is_new=is_new), config_of(run), ongoing)


def ongoing_of(pipeline_ids: Iterable[int], but: PipelineRun | None = None) -> dict[int, list[Ongoing]]:
    found: dict[int, list[Ongoing]] = {pipeline_id: [] for pipeline_id in pipeline_ids}
    if found:
        runs = PipelineRun.objects.unfinished().filter(pipeline_id__in=found).order_by("id")
        rows = runs.values_list("pipeline_id", "id", "trigger_id", "backfill_id", "status", "variables")
        for pipeline_id, run_id, trigger_id, backfill_id, status, variables in rows:
            if but is None or run_id != but.pk:
                is_running = status == RunStatus.RUNNING
                found[pipeline_id].append(Ongoing(run_id, trigger_id, backfill_id, is_running, variables))
    return found


def start_of(run: PipelineRun, *, is_new: bool) -> Start:
    return Start(run.trigger_id, run.backfill_id, run.variables, limits_of(run), is_new)


def limits_of(run: PipelineRun) -> Limits:
    return Limits.from_json(run.limits)


def config_of(run: PipelineRun) -> dict[str, Any]:
    """Return the pipeline's concurrency_config, as it was when the run was created."""
    return run.version.settings.get("concurrency_config") or {}


def free_slots(run: PipelineRun, *, one_was_freed: bool = False) -> int | None:
    """Return how many more blocks of the run may be queued now; None when there is no limit.

    `one_was_freed`: a block of it has just left its slot, under the run's lock.
    """
    limit = first_slots(run)
    if limit is None or (limit == 1 and one_was_freed):
        return limit
    # A waiting block keeps its slot, though no worker: it comes back to it. One that waits for its members has none.
    holding = (BlockStatus.QUEUED, BlockStatus.RUNNING, BlockStatus.WAITING)
    taken = run.block_runs.of_graph().filter(status__in=holding, members_total=None).count()
    return max(0, limit - taken)


def first_slots(run: PipelineRun) -> int | None:
    """Return how many blocks of the run may be queued while none is; None when there is no limit."""
    return 1 if run.in_one_process else run.block_run_limit


__all__ = ["HOLDS", "Answer", "Door", "Gate", "NotAdmitted", "first_slots", "free_slots", "gates_of"]
