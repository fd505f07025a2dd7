"""Messages that could not be delivered: given up, or tried three times; well again when one of the same way arrives.

A test of a channel is told to whoever asked for it, and to nobody else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from alerts.models import Channel, Delivery, Kind
from alerts.models.telling import TEST
from alerts.watching.look import Look, Subject, about_all
from pipelines.models import Pipeline

TRIES = 3
LATEST = timedelta(minutes=2)
AT_ONCE = 200
LOOKED_AT = 200  # newest deliveries, for one that arrived


class Deliveries:
    """Since when one process has looked for given-up deliveries."""

    def __init__(self) -> None:
        self.looked_at: datetime | None = None

    def look_at(self, look: Look) -> None:
        if not look.has(Kind.DELIVERY_FAILED):
            return
        since = min((each.rule.created_at for each in look.rules(Kind.DELIVERY_FAILED)), default=look.moment)
        if self.looked_at is not None:
            since = max(since, self.looked_at - LATEST)
        trying = Q(sent_at=None, given_up_at=None, tries__gte=TRIES)
        told = Delivery.objects.exclude(event_type=TEST)
        rows = [*told.filter(given_up_at__gte=since).order_by("given_up_at")[:AT_ONCE]]
        rows += told.filter(trying).order_by("next_try_at")[:AT_ONCE]
        subjects = subjects_of(rows)
        for row in rows:
            say_failed(look, row, subjects)
        self.looked_at = rows[AT_ONCE - 1].given_up_at if len(rows) >= AT_ONCE else look.moment
        close_what_works(look)


def way_of(row: Delivery) -> str:
    """Name the way a message goes: its channel, or the service of a pipeline's notification_config."""
    return f"channel {row.channel_id}" if row.channel_id else f"{row.service} of {row.pipeline_uuid}"


def subjects_of(rows: Sequence[Delivery]) -> dict[str, Subject]:
    """Return, by its uuid, each pipeline whose notification_config names an address here; one query if there is any."""
    uuids = {row.pipeline_uuid for row in rows if row.channel_id is None}
    found = Pipeline.objects.filter(uuid__in=uuids) if uuids else []
    return {pipeline.uuid: Subject(pipeline) for pipeline in found}


def say_failed(look: Look, row: Delivery, subjects: Mapping[str, Subject]) -> None:
    for watched in look.rules(Kind.DELIVERY_FAILED):
        if row.created_at < watched.rule.created_at or look.memory.knows(f"{watched.rule.pk} delivery {row.pk} seen"):
            continue
        way = f"the channel {row.channel.name}" if row.channel else way_of(row)
        state = "was given up" if row.given_up_at else "has not arrived yet"
        message = f"“{row.title}” {state} after {row.tries} tries: {row.last_error}"
        look.breaks(
            watched.rule,
            f"delivery {row.pk}",
            subjects.get(row.pipeline_uuid),
            title=f"Messages to {way} do not arrive",
            message=message,
            fingerprint=about_all(watched.rule, way_of(row)),
        )


def close_what_works(look: Look) -> None:
    """Close what is about a way by which a message has arrived since."""
    mine = [each for each in look.open().values() if each.rule and each.rule.kind == Kind.DELIVERY_FAILED]
    if not mine:
        return
    arrived: dict[str, datetime] = {}
    for row in Delivery.objects.order_by("-pk").only("channel_id", "service", "pipeline_uuid", "sent_at")[:LOOKED_AT]:
        if row.sent_at:
            arrived[way_of(row)] = max(row.sent_at, arrived.get(way_of(row), row.sent_at))
    for pk, sent_at in Channel.objects.filter(last_sent_at__isnull=False).values_list("pk", "last_sent_at"):
        if sent_at is not None:
            arrived[f"channel {pk}"] = sent_at
    for incident in mine:
        for way, at in arrived.items():
            if incident.fingerprint.endswith(f" {way}") and at > incident.last_seen_at:
                look.heal(incident.fingerprint, "A message arrived again")
