"""When a schedule would fire next, before it is written down."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from pipelines.commands import RefusingCommand
from pipelines.refusal import Refusal
from schedules.timetable import Instant, parse

YEARS = (1970, 2200)


class Command(RefusingCommand):
    help = (
        "Print the next moments of a schedule: a cron expression of five fields, or @once, @hourly, @daily, @weekly, "
        "@monthly, @yearly, @always_on. Moments that a change of clocks moves or doubles are marked."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("expression", metavar="EXPR", help="for example '30 2 * * 1-5' or @daily")
        parser.add_argument("--timezone", default="UTC", metavar="ZONE", help="IANA name such as Europe/Berlin")
        parser.add_argument("--from", dest="after", metavar="ISO", help="list moments after this one (default: now)")
        parser.add_argument("--count", type=int, default=5, metavar="N", help="how many, 1 to 1000 (default: 5)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["count"] <= 1000:
            raise Refusal(f"--count {options['count']} is out of range.", field="count", hint="Use 1 to 1000.")
        timetable = parse(options["expression"], options["timezone"])
        after = read_moment(options["after"], timetable.zone) if options["after"] else timezone.now()
        instants = timetable.upcoming(after, options["count"])
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(options["expression"], options["timezone"], instants)))
            return
        self.stdout.write(f"{options['expression']} ({options['timezone']}): {timetable.describe()}")
        for instant in instants:
            note = f"  {instant.note}" if instant.note else ""
            self.stdout.write(f"  {instant.local:%a %Y-%m-%d %H:%M %z}  {instant.utc:%Y-%m-%d %H:%M} UTC{note}")
        if not instants:
            self.stdout.write("  no moment of its own")


def as_dict(expression: str, zone: str, instants: list[Instant]) -> dict[str, Any]:
    """Shape that scripts rely on (docs/interfaces)."""
    return {
        "expression": expression,
        "timezone": zone,
        "next": [
            {
                "utc": instant.utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "local": instant.local.isoformat(),
                "note": instant.note,
            }
            for instant in instants
        ],
    }


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC; without an offset it is the wall clock of the zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not YEARS[0] <= found.year <= YEARS[1]:
        hint = "Use ISO 8601, for example 2025-03-30T00:00:00Z or 2025-03-30."
        problem = "is not a date and time" if found is None else f"is outside {YEARS[0]} to {YEARS[1]}"
        raise Refusal(f"--from {ascii(text[:80])} {problem}.", field="from", hint=hint)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
