"""What time alone breaks: runs that are not finished by a rule's deadline, and what waits too long to begin.

Looked at by timer while it goes on, and once more when it has ended: whatever fell between two looks is found then.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Min

from alerts.kinds import Deadline, Span
from alerts.models import Kind
from alerts.watching.look import Look, Subject, Watched, fingerprint_of
from runs.models import BlockRun, Origin, PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, Occurrence
from schedules.reasons.drift import about

MOST_RUNS = 5000
AT_ONCE = 500
WAITS_OR_HELD = (Decision.WAITING, Decision.HELD)


def unfinished() -> list[PipelineRun]:
    """Return what goes on, the oldest 5,000, without what is wide."""
    wide = ("variables", "variable_origins", "event", "retry_config", "limits", "callbacks", "pipeline__problems")
    return list(PipelineRun.objects.unfinished().select_related("pipeline").defer(*wide).order_by("id")[:MOST_RUNS])


# --- deadlines ------------------------------------------------------------------------------------------------------


def due_of(run: PipelineRun) -> datetime:
    """Return the moment a run was due: its own, if a schedule started it; else when it was asked for, or for again."""
    if run.attempt > 1 and run.started_at:
        return run.started_at
    return run.execution_date if run.origin == Origin.SCHEDULE else run.created_at


def deadline_of(run: PipelineRun, told: Deadline) -> datetime | None:
    begin = due_of(run) if told.since == "due" else run.started_at
    return begin + told.span if begin else None


def late(look: Look, run: PipelineRun, until: datetime) -> set[str]:
    """Compare a run that goes on, or ended at `until`, with the deadlines that rules set it; return fingerprints."""
    broken: set[str] = set()
    subject = Subject.of(run)
    for watched in look.rules(Kind.DEADLINE, subject):
        assert isinstance(watched.told, Deadline)
        deadline = deadline_of(run, watched.told)
        if deadline is None or until <= deadline:
            continue
        broken.add(fingerprint_of(watched.rule, subject))
        if not look.memory.knows(f"rule {watched.rule.pk} run {run.pk} attempt {run.attempt}"):
            say_late(look, watched, subject, key_of(run, watched.told), deadline, f"Run {run.pk}")
    return broken


def key_of(run: PipelineRun, told: Deadline) -> str:
    """Return what names the lateness: the moment of the ledger, where there is one, with or without a run."""
    if told.since == "start" or run.attempt > 1:
        return f"run {run.pk} attempt {run.attempt}"
    found = Occurrence.objects.filter(pipeline_run=run.pk).values_list("pk", flat=True).first()
    return f"occurrence {found}" if found else f"run {run.pk}"


def say_late(
    look: Look, watched: Watched, subject: Subject, key: str, deadline: datetime, who: str, why: str = ""
) -> None:
    told = watched.told
    assert isinstance(told, Deadline)
    since = "it was due" if told.since == "due" else "its start"
    title = f"{subject.name} was not finished {about(told.span)} after {since}"
    message = f"{who} should have been finished by {deadline:%Y-%m-%d %H:%M:%S} UTC{why}".rstrip(".") + "."
    look.breaks(watched.rule, key, subject, title=title, message=message, at=deadline)


def late_moments(look: Look) -> None:
    """Find moments that still wait, or are held, past a deadline counted from when they were due."""
    told = [each.told for each in look.rules(Kind.DEADLINE)]
    spans = [each.span for each in told if isinstance(each, Deadline) and each.since == "due"]
    if not spans:
        return
    for decision in WAITS_OR_HELD:
        rows = Occurrence.objects.filter(
            decision=decision, scheduled_for__lt=look.moment - min(spans), backfill=None
        ).order_by("scheduled_for")
        # Past the longest deadline nothing more can be said of a moment: only then it is passed over.
        new = [
            pk
            for pk, at in rows.values_list("pk", "scheduled_for")[:MOST_RUNS]
            if at >= look.moment - max(spans) or f"moment {pk} {look.rules_key}" not in look.memory.said
        ]
        for row in rows.filter(pk__in=new[:AT_ONCE]).select_related("pipeline", "schedule"):
            late_moment(look, row, f"it is {row.decision}: {row.reason}")
            if row.scheduled_for < look.moment - max(spans):
                look.memory.knows(f"moment {row.pk} {look.rules_key}")
            if look.is_over:
                break


def late_moment(look: Look, row: Occurrence, why: str) -> None:
    """Write down that a moment is past the deadlines that are counted from when it was due."""
    subject = subject_of(row)
    for watched in look.rules(Kind.DEADLINE, subject):
        told = watched.told
        assert isinstance(told, Deadline)
        deadline = row.scheduled_for + told.span
        is_final = row.decision in (Decision.MISSED, Decision.EXPIRED)
        if told.since == "due" and (is_final or look.moment > deadline):
            who = f"The moment {row.scheduled_for:%Y-%m-%d %H:%M} UTC"
            at = min(deadline, look.moment)
            say_late(look, watched, subject, f"occurrence {row.pk}", at, who, f"; {why}".rstrip(": "))


def subject_of(row: Occurrence) -> Subject:
    name = row.schedule.name if row.schedule else ""
    return Subject(row.pipeline, row.schedule_id, name)


# --- waiting to begin -----------------------------------------------------------------------------------------------


def waits(look: Look, runs: Sequence[PipelineRun]) -> None:
    """Find runs that wait for their place, and those of which a block waits for a worker, for too long."""
    rules = list(look.rules(Kind.QUEUE_TIME))
    if not rules:
        return
    shortest = min(each.told.span for each in rules if isinstance(each.told, Span))
    queued = BlockRun.objects.filter(status=BlockStatus.QUEUED, queued_at__lt=look.moment - shortest)
    since = dict(queued.order_by().values_list("pipeline_run_id").annotate(Min("queued_at")))
    for run in runs:
        if run.backfill_id is not None:  # it is to wait for what is live
            continue
        begin = run.created_at if run.status == RunStatus.INITIAL else since.get(run.pk)
        if begin is not None:
            say_waits(look, run, begin, look.moment)


def waited(look: Look, run: PipelineRun, ended_at: datetime) -> set[str]:
    """Look at how long a run that ended, and its blocks, had waited; return the fingerprints of what is wrong."""
    if not look.has(Kind.QUEUE_TIME) or run.backfill_id is not None:
        return set()
    longest = [(run.created_at, run.started_at)] if run.attempt == 1 and run.started_at else []
    rows = run.block_runs.filter(queued_at__isnull=False, started_at__gt=F("queued_at"))
    row = rows.annotate(wait=F("started_at") - F("queued_at")).order_by("-wait").first()
    longest += [(row.queued_at, row.started_at)] if row and row.queued_at and row.started_at else []
    broken: set[str] = set()
    for begin, end in longest:
        broken |= say_waits(look, run, begin, end)
    return broken


def say_waits(look: Look, run: PipelineRun, begin: datetime, until: datetime) -> set[str]:
    """Write down, once for each attempt at a run, that it or a block of it waits too long."""
    broken: set[str] = set()
    subject = Subject.of(run)
    for watched in look.rules(Kind.QUEUE_TIME, subject):
        assert isinstance(watched.told, Span)
        if until - begin <= watched.told.span:
            continue
        verb = "waited" if until < look.moment else "has waited"
        message = f"Run {run.pk} {verb} {about(until - begin)} for its place or a worker, since {begin:%H:%M:%S} UTC."
        title = f"{subject.name} waits longer than {about(watched.told.span)} to begin"
        key, at = f"run {run.pk} attempt {run.attempt}", begin + watched.told.span
        look.breaks(watched.rule, key, subject, title=title, message=message, at=at)
        broken.add(fingerprint_of(watched.rule, subject))
    return broken


def look_at(look: Look) -> list[PipelineRun]:
    """Look at everything that goes on, if any rule asks for it; return it."""
    late_moments(look)
    if not look.has(Kind.DEADLINE, Kind.QUEUE_TIME, Kind.SLOWER):
        return []
    runs = unfinished()
    for run in runs:
        late(look, run, look.moment)
        if look.is_over:
            break
    waits(look, runs)
    return runs
