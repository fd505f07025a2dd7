"""Forgetting messages: those that have ended, after a season. Incidents and their history stay."""

from datetime import datetime, timedelta

from django.db.models import Q

from alerts.models import Delivery

KEPT = timedelta(days=90)
AT_ONCE = 1000
SOON = timedelta(seconds=1)
ENDED = Q(sent_at__isnull=False) | Q(given_up_at__isnull=False)


def forget(moment: datetime) -> datetime | None:
    """Remove the oldest messages that have ended, some at a time; return when to come for the rest.

    Rows are numbered in the order in which they are written, so the first ones are the oldest.
    """
    oldest = list(Delivery.objects.order_by("id").values_list("id", "created_at")[:AT_ONCE])
    old = [pk for pk, created_at in oldest if created_at < moment - KEPT]
    removed, _ = Delivery.objects.filter(ENDED, pk__in=old).delete() if old else (0, {})
    return moment + SOON if removed == AT_ONCE else None
