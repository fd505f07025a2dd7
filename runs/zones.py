"""The zones that there are."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

UTC = ZoneInfo("UTC")


@cache
def zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def known_zone(name: object) -> ZoneInfo | None:
    """Return the zone of a name that came from outside; None for none and for nonsense."""
    return ZoneInfo(name) if isinstance(name, str) and name in zone_names() else None
