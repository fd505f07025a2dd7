"""Moments that are held until someone decides: found, released to start, or dropped."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from pipelines.refusal import Refusal
from runs import events
from schedules.models import Decision, Occurrence

MOST_IDS = 1000
LONGEST_REASON = 300


def held() -> QuerySet[Occurrence]:
    """Return what is held, the oldest first."""
    return Occurrence.objects.filter(decision=Decision.HELD).order_by("scheduled_for", "id")


def matching(
    *,
    text: str = "",
    schedule_id: int | None = None,
    pipeline_uuid: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
) -> QuerySet[Occurrence]:
    """Return what is held, narrowed: `text` is part of the name of its trigger or pipeline."""
    found = held()
    if text:
        found = found.filter(Q(schedule__name__icontains=text) | Q(pipeline__uuid__icontains=text))
    if schedule_id is not None:
        found = found.filter(schedule_id=schedule_id)
    if pipeline_uuid:
        found = found.filter(pipeline__uuid=pipeline_uuid)
    if since:
        found = found.filter(scheduled_for__gte=since)
    return found.filter(scheduled_for__lt=before) if before else found


def chosen(ids: Sequence[int]) -> QuerySet[Occurrence]:
    """Return those of the ids that are held; raise `Refusal` for too many at once, or none."""
    if not ids:
        raise Refusal("No moment is chosen.", field="ids", hint="Choose at least one.")
    if len(ids) > MOST_IDS:
        raise Refusal(
            f"{len(ids):,} moments are chosen; the limit is {MOST_IDS:,}.", field="ids", hint="Use a filter instead."
        )
    return held().filter(pk__in=ids)


def release(occurrences: QuerySet[Occurrence], moment: datetime, by: str, why: str = "") -> int:
    """Let those that are held start as soon as limits allow; return how many were."""
    count = decide(occurrences, Decision.WAITING, moment, said("Released", by, why))
    events.publish_timer()
    return count


def drop(occurrences: QuerySet[Occurrence], moment: datetime, by: str, why: str = "") -> int:
    """Decide that those that are held will not be run; return how many were."""
    return decide(occurrences, Decision.CANCELLED, moment, said("Dropped", by, why))


def decide(occurrences: QuerySet[Occurrence], decision: Decision, moment: datetime, reason: str) -> int:
    # Its start deadline was for the scheduler; someone has decided since.
    return (
        occurrences.order_by()
        .filter(decision=Decision.HELD)
        .update(decision=decision, reason=reason, start_after=None, expires_at=None, decided_at=moment)
    )


def said(verb: str, by: str, why: str) -> str:
    """Return the reason for the ledger; raise `Refusal` for one that is too long."""
    why = why.strip()
    if len(why) > LONGEST_REASON or "\x00" in why:
        raise Refusal(f"A reason is text of at most {LONGEST_REASON} characters.", field="reason")
    return f"{verb} by {by}: {why}" if why else f"{verb} by {by}."
