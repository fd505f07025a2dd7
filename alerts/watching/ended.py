"""What events say: runs and blocks that failed, SLAs that passed, workers that were lost, and what is well again."""

from collections.abc import Iterable
from datetime import datetime

from alerts.kinds import Streak
from alerts.models import Incident, Kind, Severity
from alerts.watching import going_on, outputs, service_levels, usual
from alerts.watching.look import Look, Subject, about_all, fingerprint_of
from runs.models import Event, PipelineRun
from runs.states import RunStatus

WATCHED = ("failed", "timed_out", "completed", "block_failed", "callback_failed", "sla_passed", "worker_lost")
# Those that a later completed run closes, unless it breaks the same rule.
HEALED_BY_RUNS = (
    Kind.RUN_FAILED,
    Kind.BLOCK_FAILED,
    Kind.CONSECUTIVE_FAILURES,
    Kind.SLA,
    Kind.DEADLINE,
    Kind.FRESHNESS,
    Kind.SLOWER,
    Kind.QUEUE_TIME,
    Kind.OCCURRENCE_MISSED,
    Kind.ROW_COUNT,
)


def read(ids: Iterable[int]) -> list[Event]:
    """Return these events in order, with their runs and blocks, without what is wide."""
    beside = ("pipeline_run__pipeline", "block_run")
    wide = ("variables", "variable_origins", "event", "retry_config", "limits", "callbacks", "pipeline__problems")
    of_block = ("config", "output", "metrics", "fanout", "upstream", "downstream")
    rows = Event.objects.filter(pk__in=list(ids)).select_related(*beside).order_by("pk")
    return list(rows.defer(*(f"pipeline_run__{name}" for name in wide), *(f"block_run__{name}" for name in of_block)))


def take(look: Look, event: Event) -> None:
    """Deal with one event: write down what it breaks, close what it heals."""
    run = event.pipeline_run
    match event.kind:
        case "block_failed" | "callback_failed":
            block_failed(look, event, run)
        case "sla_passed":
            sla_passed(look, event, run)
        case "worker_lost":
            worker_lost(look, event)
        case "completed" | "failed" | "timed_out":
            run_ended(look, event, run)


def block_failed(look: Look, event: Event, run: PipelineRun) -> None:
    subject = Subject.of(run, event.block_run.block_uuid if event.block_run else "")
    for watched in look.rules(Kind.BLOCK_FAILED, subject):
        message = f"Run {run.pk}: {event.message}"
        title = f"{subject.name} failed"
        look.breaks(watched.rule, key_of(event), subject, title=title, message=message, at=event.happened_at)


def sla_passed(look: Look, event: Event, run: PipelineRun) -> None:
    subject = Subject.of(run, event.block_run.block_uuid if event.block_run else "")
    rules = list(look.rules(Kind.SLA, subject))
    key = service_levels.keys_of([event])[event.pk] if rules else ""
    for watched in rules:
        message = f"Run {run.pk}: {event.message}"
        title = f"{subject.name} passed its SLA"
        look.breaks(watched.rule, key, subject, title=title, message=message, at=event.happened_at)


def worker_lost(look: Look, event: Event) -> None:
    """A worker that is lost is no more than a warning: what it held was taken up again."""
    subject = Subject.of(event.pipeline_run)
    for watched in look.rules(Kind.UNHEALTHY):
        look.breaks(
            watched.rule,
            key_of(event),
            subject,
            title="Workers are lost while they run blocks",
            message=f"Run {event.pipeline_run_id}: the worker of {event.message} was lost.",
            severity=min(watched.rule.severity, Severity.WARNING, key=list(Severity.values).index),
            at=event.happened_at,
            fingerprint=about_all(watched.rule, "workers lost"),
        )


def key_of(event: Event) -> str:
    return f"event {event.pk}"


# --- a run has ended ------------------------------------------------------------------------------------------------


def run_ended(look: Look, event: Event, run: PipelineRun) -> None:
    subject, ended_at = Subject.of(run), event.happened_at
    has_failed = event.kind == "failed" or (event.kind == "timed_out" and run.timeout_status == RunStatus.FAILED)
    has_completed = event.kind == "completed" or run.timeout_status == RunStatus.COMPLETED and not has_failed
    broken: set[str] = set()  # by this run: it closes no incident about the same
    if has_failed:
        failed(look, event, run, subject)
    if is_as_it_ended(run, ended_at):
        broken |= going_on.late(look, run, ended_at)
        broken |= going_on.waited(look, run, ended_at)
        if has_completed:
            broken |= usual.took_long(look, run, ended_at)
            broken |= outputs.counted(look, run, ended_at)
    if has_completed:
        heal(look, run, ended_at, broken)


def is_as_it_ended(run: PipelineRun, ended_at: datetime) -> bool:
    """Tell whether the row still says how that attempt was: a retry sets its times anew."""
    return run.completed_at == ended_at


def failed(look: Look, event: Event, run: PipelineRun, subject: Subject) -> None:
    why = event.message or "it failed"
    for watched in look.rules(Kind.RUN_FAILED, subject):
        message = f"Run {run.pk}: {why}"
        title = f"{subject.name} failed"
        look.breaks(watched.rule, key_of(event), subject, title=title, message=message, at=event.happened_at)
    for watched in look.rules(Kind.CONSECUTIVE_FAILURES, subject):
        assert isinstance(watched.told, Streak)
        count = watched.told.count
        of_trigger = watched.rule.trigger_id is not None
        if failed_in_a_row(run, event.happened_at, of_trigger=of_trigger, most=count) >= count:
            title = f"{subject.name} has failed {count} times in a row"
            message = f"Run {run.pk}: {why}"
            look.breaks(watched.rule, key_of(event), subject, title=title, message=message, at=event.happened_at)


def failed_in_a_row(run: PipelineRun, until: datetime, *, of_trigger: bool, most: int) -> int:
    """Return how many runs of the pipeline, or of the trigger, failed in a row up to a moment; at most `most`."""
    owner = {"trigger_id": run.trigger_id} if of_trigger else {"pipeline": run.pipeline_id}
    order = "-id" if of_trigger else "-completed_at"
    ended = PipelineRun.objects.filter(**owner, completed_at__lte=until).exclude(status=RunStatus.CANCELLED)
    count = 0
    for status in ended.order_by(order).values_list("status", flat=True)[:most]:
        if status != RunStatus.FAILED:
            break
        count += 1
    return count


def heal(look: Look, run: PipelineRun, ended_at: datetime, broken: set[str]) -> None:
    """Close what a completed run shows to be well again: what an earlier run of the same pipeline and trigger broke."""
    mine = look.open_of(run.pipeline_id)
    if any(each.rule is not None and each.rule.kind == Kind.SLA for each in mine):
        broken |= passed_slas(look, run)
    for incident in mine:
        if is_healed_by(incident, run, ended_at) and incident.fingerprint not in broken:
            look.heal(incident.fingerprint, f"Run {run.pk} completed", ended_at)


def is_healed_by(incident: Incident, run: PipelineRun, ended_at: datetime) -> bool:
    if incident.rule is None or incident.rule.kind not in HEALED_BY_RUNS:
        return False
    if incident.trigger_id not in (None, run.trigger_id) and incident.run_id != run.pk:
        return False
    if incident.run_id is None:  # of moments that came to nothing: a run that was started since
        is_about_runs = incident.rule.kind == Kind.FRESHNESS
        return (ended_at if is_about_runs else run.created_at) >= incident.last_seen_at
    return run.pk >= incident.run_id and ended_at >= incident.last_seen_at


def passed_slas(look: Look, run: PipelineRun) -> set[str]:
    """Return the fingerprints of the SLAs that this run, or blocks of it, passed."""
    late = [""] if run.passed_sla else []
    late += run.block_runs.filter(passed_sla=True).values_list("block_uuid", flat=True)[:100]
    subjects = [Subject.of(run, uuid) for uuid in late]
    return {fingerprint_of(each.rule, subject) for subject in subjects for each in look.rules(Kind.SLA, subject)}
