"""What is wrong, since when and why: open incidents, pipelines whose runs failed within the day, what cannot run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Subquery

from alerts.models import Incident, Severity
from pipelines.models import Pipeline
from runs.models import BlockRun, PipelineRun, Role
from runs.states import BlockStatus, RunStatus

DAY = timedelta(days=1)
MOST_FAILED, MOST_INCIDENTS, MOST_BROKEN = 1000, 200, 5
SHOWN_FAILING, SHOWN_INCIDENTS = 12, 8
LONGEST_ERROR = 240
LOUDEST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True)
class Fault:
    """Why a run failed: the error of the first block of it that did, or what the run itself says."""

    text: str
    block_uuid: str = ""
    block_run_id: int = 0
    attempt: int = 0  # 0: it never began, so that there is no log


@dataclass
class Failing:
    """A pipeline of which runs failed within the day. `newest` is the last that did; `since` begins the streak that
    goes on (None: a run has completed since); `strip` are its last runs of any state, the oldest first."""

    newest: PipelineRun
    count: int = 0
    strip: Sequence[PipelineRun] = field(default_factory=list)
    since: datetime | None = None
    is_beyond: bool = False  # the streak is longer than the strip
    fault: Fault | None = None


# --- incidents --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Incidents:
    """`loud` are open and put aside by nobody; `shown` the worst of all that are open, the loud ones first."""

    loud: int
    aside: int
    shown: list[Incident]


def incidents(moment: datetime) -> Incidents:
    opened = Incident.objects.open().ungathered().select_related("pipeline", "assignee")
    found = list(opened.order_by("-id")[:MOST_INCIDENTS])
    loud = [each for each in found if is_loud(each, moment)]
    in_order = sorted(found, key=lambda each: (each not in loud, LOUDEST_FIRST.index(Severity(each.severity)), each.pk))
    return Incidents(len(loud), len(found) - len(loud), in_order[:SHOWN_INCIDENTS])


def is_loud(incident: Incident, moment: datetime) -> bool:
    is_asleep = incident.snoozed_until is not None and incident.snoozed_until > moment
    return incident.acknowledged_at is None and not is_asleep


# --- failed runs ------------------------------------------------------------------------------------------------------


def failed_runs(moment: datetime) -> list[PipelineRun]:
    """Return the runs that failed within the day, the newest first, at most 1,001."""
    failed = PipelineRun.objects.failed_since(moment - DAY).select_related("pipeline").order_by("-completed_at")
    shown = ("status", "completed_at", "reason", "trigger_name", "pipeline__uuid", "pipeline__owner")
    return list(failed.only(*shown)[: MOST_FAILED + 1])


def by_pipeline(failed: Iterable[PipelineRun]) -> list[Failing]:
    """Gather failed runs, given with the newest first, by pipeline; the one that failed last comes first."""
    found: dict[int, Failing] = {}
    for run in failed:
        found.setdefault(run.pipeline_id, Failing(run)).count += 1
    return list(found.values())


def tell_streaks(failing: Iterable[Failing], strips: Mapping[int, Sequence[PipelineRun]]) -> None:
    """Put beside each its last runs, and since when all that ended have failed."""
    for each in failing:
        each.strip = strips.get(each.newest.pipeline_id, [])
        ended = [run for run in each.strip if run.status in (RunStatus.COMPLETED, RunStatus.FAILED)]
        streak: list[PipelineRun] = []
        for run in reversed(ended):
            if run.status != RunStatus.FAILED:
                break
            streak.append(run)
        if streak or not ended:
            each.since = streak[-1].completed_at if streak else each.newest.completed_at
            each.is_beyond = bool(streak) and len(streak) == len(ended) and len(each.strip) >= 20


def faults(runs: Sequence[PipelineRun]) -> dict[int, Fault]:
    """Return why each run failed, by its id; one query, however many blocks they have."""
    failed = BlockRun.objects.filter(pipeline_run=OuterRef("pk"), status=BlockStatus.FAILED).exclude(role=Role.CALLBACK)
    first = PipelineRun.objects.filter(pk__in=[run.pk for run in runs]).values(
        first=Subquery(failed.order_by("completed_at", "id").values("pk")[:1])
    )
    fields = ("pk", "pipeline_run_id", "block_uuid", "attempt", "started_at")
    said = ("error__type", "error__message", "reason")
    rows = BlockRun.objects.filter(pk__in=first).values_list(*fields, *said) if runs else ()
    found = {
        run_id: Fault(in_a_line(*words), uuid, pk, attempt if started_at else 0)
        for pk, run_id, uuid, attempt, started_at, *words in rows
    }
    return {run.pk: found.get(run.pk) or Fault(in_a_line(None, None, run.reason)) for run in runs}


def in_a_line(kind: Any, message: Any, reason: str) -> str:
    """Return "ValueError: no such column", or the reason where there was no exception."""
    lines = str(message or "").strip().splitlines()
    first = next(filter(str.strip, lines), "")
    text = f"{kind}: {first}" if kind and first else str(kind or first or reason or "no reason is known")
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}…"


# --- what cannot run --------------------------------------------------------------------------------------------------


def broken() -> list[Pipeline]:
    """Return pipelines whose files are wrong, at most one more than is shown."""
    return list(Pipeline.objects.present().filter(is_valid=False).order_by("uuid")[: MOST_BROKEN + 1])
