"""How long ago, and for how long, as people write it in a filter: 90, 90s, 10m, 24h, 7d, or a moment."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date

from runs.viewer_zone import read_local
from runs.zones import UTC

SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(s|sec|m|min|h|d|w)?", re.IGNORECASE)
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=36_500)


def read_span(text: str) -> timedelta | None:
    """Return a span of time; a bare number are seconds. None for anything else."""
    found = SPAN.fullmatch(text.strip())
    if found is None:
        return None
    amount, unit = found.groups()
    seconds = float(amount) * SECONDS[(unit or "s").lower()]
    return timedelta(seconds=seconds) if seconds <= LONGEST.total_seconds() else None


def read_moment(text: str, moment: datetime, zone: ZoneInfo = UTC) -> datetime | None:
    """Return the moment that is meant: so long before `moment` (24h), or a day or a time by the zone's clocks."""
    text = text.strip()
    span = read_span(text) if not text.isdigit() else None
    if span is not None:
        return moment - span if span < moment - datetime.min.replace(tzinfo=UTC) else None
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return read_local(f"{day}T00:00" if day else text, zone)
