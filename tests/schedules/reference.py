"""A slow, plain way to know when a cron expression fires: walk real time minute by minute and look at the clock.

Written apart from schedules/timetable.py, on purpose: own reading of the fields, no search, no arithmetic on offsets.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
NAMES = {
    3: {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10},
    4: {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6},
}
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def instants(
    expression: str,
    zone: str,
    after: datetime,
    until: datetime,
    missing: str = "at_next_valid",
    repeated: str = "first",
    grid: timedelta = MINUTE,
) -> list[datetime]:
    """Every instant of a cron expression in `after` < t <= `until`; a coarser grid must hold all it names."""
    texts = expression.lower().split()
    if texts[0][0] == "*" or texts[1][0] == "*" or values(texts[1], 1) == set(range(24)):
        missing, repeated = "skipped", "both"  # elastic: whenever the clock matches
    return walk(lambda wall: suits(texts, wall), zone, after, until, missing, repeated, grid)


def walk(
    fits: Callable[[datetime], bool],
    zone: str,
    after: datetime,
    until: datetime,
    missing: str,
    repeated: str,
    grid: timedelta = MINUTE,
) -> list[datetime]:
    """Every instant of `after` < t <= `until` whose wall clock fits, by a look at each minute."""
    # Far enough back and on to know what was seen before and will be seen again.
    first = after.replace(second=0, microsecond=0) - timedelta(hours=12)
    moments, walls, last_pass = clock(zone, first, int((until - first + timedelta(hours=12)) / grid), grid)
    fired, latest_seen = [], walls[0]
    for moment, wall in zip(moments, walls, strict=True):
        seen_before, latest_seen = latest_seen, max(latest_seen, wall)
        if not after < moment <= until:
            continue
        is_right_pass = repeated == "both" or (wall > seen_before if repeated == "first" else last_pass[wall] == moment)
        fires = is_right_pass and fits(wall)
        if missing == "at_next_valid" and grid < wall - seen_before <= timedelta(hours=3):
            fires = fires or any(fits(each) for each in times_between(seen_before, wall, grid))
        if fires:
            fired.append(moment)
    return fired


@lru_cache(maxsize=2)
def clock(
    zone: str, first: datetime, count: int, grid: timedelta
) -> tuple[list[datetime], list[datetime], dict[datetime, datetime]]:
    """Moments, what the clock shows then, and when it shows that for the last time."""
    place = ZoneInfo(zone)
    moments = [first + grid * step for step in range(count)]
    walls = [moment.astimezone(place).replace(tzinfo=None, fold=0) for moment in moments]
    return moments, walls, {wall: moment for moment, wall in zip(moments, walls, strict=True)}


def times_between(low: datetime, high: datetime, grid: timedelta) -> list[datetime]:
    return [low + grid * step for step in range(1, int((high - low) / grid))]


def suits(texts: list[str], wall: datetime) -> bool:
    minute, hour, day, month, weekday = texts
    if wall.minute not in values(minute, 0) or wall.hour not in values(hour, 1) or wall.month not in values(month, 3):
        return False
    by_date = wall.day in values(day, 2) or ("l" in day.split(",") and (wall + timedelta(days=1)).day == 1)
    by_weekday = any(suits_weekday(item, wall) for item in weekday.split(","))
    return (by_date and by_weekday) if day[0] == "*" or weekday[0] == "*" else (by_date or by_weekday)


def suits_weekday(item: str, wall: datetime) -> bool:
    today = wall.isoweekday() % 7
    if "#" in item:
        name, nth = item.split("#")
        return number(name, 4) % 7 == today and (wall.day + 6) // 7 == int(nth)
    if item.endswith("l"):
        return number(item[:-1], 4) % 7 == today and (wall + timedelta(days=7)).month != wall.month
    return today in {value % 7 for value in values(item, 4)}


@cache
def values(text: str, position: int) -> set[int]:
    low, high = BOUNDS[position]
    found: set[int] = set()
    for item in text.split(","):
        if item == "l":
            continue
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (number(part, position) for part in span.split("-"))
        else:
            first = number(span, position)
            last = high if step else first
        found.update(range(first, last + 1, int(step or 1)))
    return found


def number(text: str, position: int) -> int:
    names = NAMES.get(position, {})
    return names[text] if text in names else int(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
