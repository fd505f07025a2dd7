"""Expressions that are dear to work out, in zones and with settings that make them dearer."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from datetime import time as clock

from schedules.policies import OnCalendarHit
from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.rules.day_rules import DayRule, read_day_rule
from schedules.timetable import Timetable, parse

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca")
BOTH = DstRule(Missing.SKIPPED, Repeated.BOTH)
CRON = ("* * * * *", "*/7 3 * * *", "0 0 29 2 *", "*/30 2 29 2 */7", "0 8 * * 1#5", "0 0 L * *", "59 23 31 12 0")
INTERVALS = ("every 1 minute", "every 90 minutes from 06:00", "every 24 hours from 2025-01-05T06:00", "every 10 days")
RULES = (
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
    "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=2;BYMINUTE=30",
    "FREQ=MONTHLY;INTERVAL=5;BYDAY=MO,TU,WE,TH,FR,SA,SU",
    "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=DAILY;INTERVAL=30",
    "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,10,20,30,40,50;BYSETPOS=1,-1",
    "FREQ=HOURLY;INTERVAL=36",
    "FREQ=MINUTELY",
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=2",
)


def christmas(on_hit: OnCalendarHit) -> DayRule:
    """Every weekend and 25 and 26 December."""

    def why(day: date) -> str | None:
        return "Christmas" if (day.month, day.day) in ((12, 25), (12, 26)) else None

    return read_day_rule("christmas or weekend", {"christmas": why}, on_hit)


def nasty() -> Iterator[tuple[str, Timetable]]:
    """Yield every one with its label."""
    for zone in ZONES:
        for expression in (*CRON, *INTERVALS, *RULES):
            yield f"{expression} in {zone}", parse(expression, zone)
    for expression in (*CRON, *RULES):
        yield f"{expression} in Berlin, skipped and both", parse(expression, "Europe/Berlin", dst=BOTH)
    for expression in ("* * * * *", "*/7 * * * *", "every 1 minute", "0 7 * * *", "FREQ=MINUTELY"):
        hours = (clock(7), clock(7, 30))
        yield f"{expression} in Berlin, 07:00–07:30", parse(expression, "Europe/Berlin", hours=hours)
        for on_hit in OnCalendarHit:
            days = christmas(on_hit)
            yield f"{expression} in Berlin, {on_hit} at weekends", parse(expression, "Europe/Berlin", days=days)


def seconds_for_a_thousand(timetable: Timetable, times: int = 3) -> float:
    """Return the least time of a few: what else the machine does is not the expression's fault."""
    took = []
    for _ in range(times):
        began = time.process_time()
        timetable.upcoming(NEW_YEAR, 1000)
        took.append(time.process_time() - began)
    return min(took)


NASTY = dict(nasty())
