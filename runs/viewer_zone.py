"""Times as the person who looks at a page reads them: in their zone, which their browser tells, or in UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from runs.zones import UTC, known_zone

COOKIE = "zone"  # times.js writes it
FIELD = "zone"  # beside a typed time: the zone in which it is meant


def viewer_zone() -> ZoneInfo:
    """Return the zone of the request that is being answered; UTC outside of pages."""
    zone = timezone.get_current_timezone()
    return zone if isinstance(zone, ZoneInfo) else UTC


def stamp(moment: datetime, form: str = "%H:%M:%S") -> str:
    """Write a time with its zone and, where that is another, in UTC: "2025-03-02 06:00:00 CET (05:00:00 UTC)"."""
    local, utc = moment.astimezone(viewer_zone()), moment.astimezone(UTC)
    if not local.utcoffset():
        return f"{utc:%Y-%m-%d {form}} UTC"
    there = form if local.date() == utc.date() else f"%Y-%m-%d {form}"
    return f"{local:%Y-%m-%d {form} %Z} ({utc:{there}} UTC)"


def zone_of_form(sent: Mapping[str, Any]) -> ZoneInfo:
    """Return the zone that a form named beside the times that were typed into it; UTC where it named none."""
    return known_zone(sent.get(FIELD)) or UTC


def read_local(text: str, zone: ZoneInfo) -> datetime | None:
    """Return the moment of a date and time by a zone's clocks, or as its own offset says; None for anything else.

    One that clocks skip is as long after the one before as it says, one that they repeat the first.
    """
    try:
        found = parse_datetime(text.strip())
        if found is not None and found.tzinfo is None:
            found = found.replace(tzinfo=zone)
        return found.astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
