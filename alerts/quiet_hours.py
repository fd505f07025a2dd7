"""When messages may be told: pure arithmetic on a day's hours in a zone."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def end_of_quiet(moment: datetime, begins: time | None, ends: time | None, zone: str) -> datetime | None:
    """Return when the quiet hours that hold at `moment` end; None if none do. They may reach over midnight."""
    if begins is None or ends is None or begins == ends:
        return None
    local = moment.astimezone(zone_of(zone))
    now = local.time()
    is_quiet = begins <= now < ends if begins < ends else now >= begins or now < ends
    if not is_quiet:
        return None
    day = local.date() + timedelta(days=1 if now >= ends else 0)
    # Back to UTC at once: later arithmetic on a local time goes wrong across DST.
    return datetime.combine(day, ends, local.tzinfo).astimezone(UTC)


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):  # a zone that this machine does not know: better told at the wrong hour
        return ZoneInfo("UTC")
