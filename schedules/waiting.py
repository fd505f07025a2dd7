"""Moments that wait for their turn: started when there is room, expired when it took too long.

Pipeline by pipeline, the most urgent first, as many as there may be room for: a backfill of thousands costs no more
than one that is nearly done.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from django.db import transaction
from django.db.models import Min, Q

from runs import events
from schedules.models import Decision, Occurrence, OccurrenceQuerySet
from schedules.queueing import HEADS, in_turn_of
from schedules.starting import start_all

PIPELINES_AT_A_TIME = 200


def admit(moment: datetime) -> int:
    """Start what may start by now; return how many were."""
    if not Occurrence.objects.filter(decision=Decision.WAITING).exists():
        return 0
    expire(moment)
    groups = list(
        ready(moment)
        .order_by("pipeline_id", "schedule_id", "backfill_id")
        .values_list("pipeline_id", "schedule_id", "backfill_id", "backfill__run_limit", "backfill__newest_first")
        .distinct()
    )
    started = 0
    for pipeline_id, of_pipeline in groupby(groups, key=lambda group: group[0]):
        started += admit_pipeline(pipeline_id, [group[1:] for group in of_pipeline], moment)
    return started


def ready(moment: datetime) -> OccurrenceQuerySet:
    """Return the rows that wait and are not to be left alone: not before their time, not while paused."""
    timely = Q(start_after=None) | Q(start_after__lte=moment)
    # A schedule that is paused keeps what waits until it is resumed; @once is switched off by its one moment.
    live = Q(schedule__is_active=True) | Q(schedule__schedule_interval__icontains="@once")
    return Occurrence.objects.filter(timely, decision=Decision.WAITING).filter(
        Q(backfill=None) & (live | Q(schedule=None)) | Q(backfill__isnull=False, backfill__paused_at=None)
    )


def admit_pipeline(
    pipeline_id: int, groups: Iterable[tuple[int | None, int | None, int | None, bool | None]], moment: datetime
) -> int:
    """Start what may start of one pipeline, in one transaction."""
    with transaction.atomic():
        heads: list[Iterable[Occurrence]] = []
        for schedule_id, backfill_id, run_limit, newest_first in groups:
            waiting = (
                ready(moment)
                .filter(pipeline=pipeline_id, schedule=schedule_id, backfill=backfill_id)
                .select_for_update(of=("self",), skip_locked=True)
                .select_related("schedule", "backfill", "pipeline__current_version")
                .order_by("priority", "-scheduled_for" if newest_first else "scheduled_for")
            )
            heads.append(waiting[: min(run_limit or HEADS, HEADS)])
        rows = list(in_turn_of(heads, lambda row: bool(row.backfill and row.backfill.newest_first)))
        before = {row.pk: (row.decision, row.reason, row.start_after) for row in rows}
        for row in rows:
            row.decision = Decision.STARTED
        started = start_all(rows, moment)
        for row in started:
            row.reason = f"Waited: {row.reason}"[:500] if row.reason else ""
        changed = [row for row in rows if before[row.pk] != (row.decision, row.reason, row.start_after)]
        for row in changed:
            row.decided_at = moment
        Occurrence.objects.bulk_update(
            changed, ["decision", "reason", "blocker_run_id", "pipeline_run", "start_after", "decided_at"]
        )
    return len(started)


def expire(moment: datetime) -> int:
    """End the wait of what was to start by now or not at all; return how many rows that were."""
    late = Occurrence.objects.filter(decision=Decision.WAITING, expires_at__lte=moment)
    if not late.exists():
        return 0
    rows = list(late.order_by("expires_at")[:PIPELINES_AT_A_TIME])
    with transaction.atomic():
        for row in rows:
            why = f"Its start deadline passed at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC. It waited: {row.reason}"
            late.filter(pk=row.pk).update(decision=Decision.EXPIRED, reason=why[:500], decided_at=moment)
        events.publish_timer()
    return len(rows)


def next_timer(moment: datetime) -> datetime | None:
    """Return when something that waits is to be looked at next because of the time."""
    waiting = Occurrence.objects.filter(decision=Decision.WAITING)
    found = waiting.aggregate(
        start=Min("start_after", filter=Q(start_after__gt=moment)),
        end=Min("expires_at", filter=Q(expires_at__gt=moment)),
    )
    return min(filter(None, found.values()), default=None)
