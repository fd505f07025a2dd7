"""When a schedule would fire next, before it is written down."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from pipelines.commands import RefusingCommand
from pipelines.refusal import Refusal
from schedules.days.calendars import Shelf
from schedules.policies import OnCalendarHit, Settings
from schedules.rules.clock_changes import Missing, Repeated
from schedules.rules.clock_notes import Bite
from schedules.timetable import Instant, parse, read_zone

YEARS = (1970, 2200)
TWO_YEARS = timedelta(days=2 * 366)


class Command(RefusingCommand):
    help = (
        "Print the next moments of a schedule: a cron expression of five fields; @once, @hourly, @daily, @weekly, "
        "@monthly, @yearly, @always_on; 'every 90 minutes from 06:00'; 'on 2026-12-24T18:00, 2026-12-31T18:00'; or an "
        "RRULE. Moments that a change of clocks moves or doubles are marked; --dst lists all such changes."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("expression", metavar="EXPR", help="for example '30 2 * * 1-5' or @daily")
        parser.add_argument("--timezone", default="UTC", metavar="ZONE", help="IANA name such as Europe/Berlin")
        parser.add_argument("--from", dest="after", metavar="ISO", help="list moments after this one (default: now)")
        parser.add_argument("--count", type=int, default=5, metavar="N", help="how many, 1 to 1000 (default: 5)")
        parser.add_argument("--start", metavar="ISO", help="the start_time: intervals and RRULEs count from it")
        parser.add_argument(
            "--missing",
            choices=[each.value for each in Missing],
            default=Missing.AT_NEXT_VALID.value,
            help="what becomes of a local time that clocks skip in spring (default: at_next_valid)",
        )
        parser.add_argument(
            "--repeated",
            choices=[each.value for each in Repeated],
            default=Repeated.FIRST.value,
            help="in which pass a local time fires that comes twice in autumn (default: first)",
        )
        parser.add_argument("--hours", default="", metavar="FROM-TO", help="active hours, for example 07:00-22:00")
        parser.add_argument("--calendar", default="", metavar="NAMES", help="days to keep clear of, as in the settings")
        parser.add_argument(
            "--on-hit",
            choices=[each.value for each in OnCalendarHit],
            default=OnCalendarHit.SKIP.value,
            help="what becomes of a moment on such a day (default: skip)",
        )
        parser.add_argument(
            "--dst", action="store_true", help="list also the clock changes of two years that meet this schedule"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["count"] <= 1000:
            raise Refusal(f"--count {options['count']} is out of range.", field="count", hint="Use 1 to 1000.")
        zone = read_zone(options["timezone"])
        start = read_moment(options["start"], zone, "start") if options["start"] else None
        chosen = Settings.from_json(settings_of(options))
        timetable = parse(
            options["expression"],
            options["timezone"],
            start=start,
            dst=chosen.dst,
            hours=chosen.active_hours,
            days=Shelf().day_rule(chosen),
        )
        after = read_moment(options["after"], zone, "from") if options["after"] else timezone.now()
        instants = timetable.upcoming(after, options["count"])
        bites = timetable.bites(after, after + TWO_YEARS) if options["dst"] else None
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(options["expression"], options["timezone"], instants, bites)))
            return
        self.stdout.write(f"{options['expression']} ({options['timezone']}): {timetable.describe()}")
        for instant in instants:
            note = f"  {instant.remark}" if instant.remark else ""
            self.stdout.write(f"  {instant.local:%a %Y-%m-%d %H:%M %z}  {instant.utc:%Y-%m-%d %H:%M} UTC{note}")
        if not instants:
            self.stdout.write("  no moment of its own")
        if bites is not None:
            self.show_bites(bites)

    def show_bites(self, bites: list[Bite]) -> None:
        self.stdout.write("Changes of the clock in the two years from there that meet this schedule:")
        for bite in bites:
            self.stdout.write(f"  {bite.local:%a %Y-%m-%d %H:%M %z}  {bite.note}")
        if not bites:
            self.stdout.write("  none")


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "dst_missing": options["missing"],
        "dst_repeated": options["repeated"],
        "active_hours": options["hours"] or None,
        "calendar": options["calendar"] or None,
        "on_calendar_hit": options["on_hit"],
    }


def as_dict(expression: str, zone: str, instants: list[Instant], bites: list[Bite] | None) -> dict[str, Any]:
    """Shape that scripts rely on (docs/interfaces); `dst` only where it was asked for."""
    changes = [{"utc": iso(bite.utc), "local": bite.local.isoformat(), "note": bite.note} for bite in bites or []]
    return {
        "expression": expression,
        "timezone": zone,
        "next": [
            {"utc": iso(instant.utc), "local": instant.local.isoformat(), "note": instant.remark}
            for instant in instants
        ],
        **({} if bites is None else {"dst": changes}),
    }


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: str, zone: ZoneInfo, option: str) -> datetime:
    """Return the moment in UTC; without an offset it is the wall clock of the zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not YEARS[0] <= found.year <= YEARS[1]:
        hint = "Use ISO 8601, for example 2025-03-30T00:00:00Z or 2025-03-30."
        problem = "is not a date and time" if found is None else f"is outside {YEARS[0]} to {YEARS[1]}"
        raise Refusal(f"--{option} {ascii(text[:80])} {problem}.", field=option, hint=hint)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
