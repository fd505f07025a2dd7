"""Local times as people type them, and schedules that are a list of them ("on 2026-12-24T18:00, …"). Pure."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime

from schedules.rules.cron_fields import InvalidSchedule, shown
from schedules.rules.cron_words import listed

HINT = "Write dates such as 2026-12-24T18:00, in the zone of the schedule."
SHAPE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:00)?)?", re.ASCII | re.IGNORECASE)
OFFSET = re.compile(
    r"(?<=\d)\s*(z|utc|gmt)$|(?<=:\d\d)\s*[+-]\d{2}(:?\d{2})?$|\s+[a-z]+/[a-z_/]+$", re.ASCII | re.IGNORECASE
)
YEARS = (1970, 2200)


@dataclass(frozen=True)
class Dates:
    """Local times that were listed one by one, sorted, each once."""

    times: tuple[datetime, ...]
    is_elastic: bool = False
    covers_every_hour: bool = False

    def first_from(self, local: datetime) -> datetime | None:
        position = bisect_left(self.times, local)
        return self.times[position] if position < len(self.times) else None

    def describe(self) -> str:
        return f"on {listed([f'{time:%Y-%m-%d at %H:%M}' for time in self.times])}"


def read_dates(text: str) -> Dates:
    """Read "on DATE, DATE, …"; raise `InvalidSchedule` naming the date that is wrong."""
    items = [item.strip() for item in text.strip()[len("on") :].split(",")]
    if items == [""]:
        raise InvalidSchedule("There is no date after on.", hint=HINT, code="invalid_date")
    return Dates(tuple(sorted({read_local(item) for item in items})))


def read_local(text: str) -> datetime:
    """Return a date and time on a whole minute, naive; a date alone is its midnight."""
    if not text:
        raise InvalidSchedule("There is an empty date.", hint="Write one comma between two dates.", code="invalid_date")
    if OFFSET.search(text):
        raise InvalidSchedule(
            f"{shown(text)} has a zone of its own.",
            hint="Leave it out: times are local ones, in the zone of the schedule.",
            code="invalid_date",
        )
    try:
        match = SHAPE.fullmatch(text)
        found = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}") if match else None
    except ValueError:
        found = None
    if found is None:
        raise InvalidSchedule(f"{shown(text)} is not a date and time.", hint=HINT, code="invalid_date")
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise InvalidSchedule(f"{shown(text)} is outside the years {YEARS[0]} to {YEARS[1]}.", code="invalid_date")
    return found
