"""Forgetting: messages that have ended, after a season; incidents that are closed, with all that is theirs, after more
than a year. What is open stays, however old."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from alerts.models import Breach, Change, Delivery, Incident
from runs.retaining.retention_preview import Beside

AT_ONCE = 1000  # rows of a table
INCIDENTS_AT_ONCE = 200
SOON = timedelta(seconds=1)
ENDED = Q(sent_at__isnull=False) | Q(given_up_at__isnull=False)


def forget(moment: datetime) -> datetime | None:
    """Remove some of what is old; return when to come for the rest."""
    has_more = forget_messages(moment)
    has_more |= forget_incidents(moment)
    return moment + SOON if has_more else None


# --- messages -------------------------------------------------------------------------------------------------------


def forget_messages(moment: datetime) -> bool:
    old = old_messages(moment)
    return bool(old) and remove(Delivery.objects.filter(ENDED, pk__in=old)) == AT_ONCE


def old_messages(moment: datetime) -> list[int]:
    """Return those of the oldest that are old. Rows are numbered as they are written, so the first are the oldest."""
    before = moment - timedelta(days=settings.ALERTS_KEEP_MESSAGES_DAYS)
    oldest = list(Delivery.objects.order_by("id").values_list("id", "created_at")[:AT_ONCE])
    return [pk for pk, created_at in oldest if created_at < before]


# --- incidents ------------------------------------------------------------------------------------------------------


def forget_incidents(moment: datetime) -> bool:
    """Remove the oldest that are closed, first what hangs on them: of one that was seen very often in turns."""
    ids = list(old_incidents(moment).values_list("pk", flat=True)[:INCIDENTS_AT_ONCE])
    if not ids:
        return False
    members = Incident.objects.filter(gathered_in__in=ids).order_by("id").values_list("pk", flat=True)
    ids = list(members[:INCIDENTS_AT_ONCE]) or ids  # before the one that stands for them
    for rows in hanging_on(ids):
        if remove(rows.filter(pk__in=list(rows.order_by("id").values_list("pk", flat=True)[:AT_ONCE]))):
            return True
    return bool(remove(Incident.objects.filter(pk__in=ids, closed_at__isnull=False)))


def old_incidents(moment: datetime) -> QuerySet[Incident]:
    """Return those that were closed long ago; those that another stands for go with it."""
    if not settings.ALERTS_KEEP_INCIDENTS_DAYS:
        return Incident.objects.none()
    before = moment - timedelta(days=settings.ALERTS_KEEP_INCIDENTS_DAYS)
    return Incident.objects.ungathered().filter(closed_at__lt=before).order_by("closed_at")


def hanging_on(ids: list[int]) -> Iterable[QuerySet[Breach] | QuerySet[Delivery] | QuerySet[Change]]:
    yield Breach.objects.filter(incident__in=ids)
    yield Delivery.objects.filter(change__incident__in=ids)
    yield Change.objects.filter(incident__in=ids)


def remove(rows: QuerySet[Breach] | QuerySet[Delivery] | QuerySet[Change] | QuerySet[Incident]) -> int:
    return rows.delete()[0]


# --- what would go --------------------------------------------------------------------------------------------------


def preview(moment: datetime) -> list[Beside]:
    """Say how many would go now, for the page of retention."""
    days = settings.ALERTS_KEEP_INCIDENTS_DAYS
    closed = f"closed {days:,} days ago" if days else "kept for ever"
    return [
        Beside("incidents", closed, old_incidents(moment)[:AT_ONCE].count(), AT_ONCE),
        Beside("messages", f"{settings.ALERTS_KEEP_MESSAGES_DAYS:,} days old", len(old_messages(moment)), AT_ONCE),
    ]
