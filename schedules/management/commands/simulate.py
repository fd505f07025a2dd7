"""A week of every schedule on a virtual clock: load, queueing, missed deadlines."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from pipelines.commands import RefusingCommand
from pipelines.refusal import Refusal
from runs.management.commands.run import check_tables
from schedules.management.commands.preview_schedule import read_moment
from schedules.models import PipelineSchedule
from schedules.simulating import simulated
from schedules.timetable import read_zone


class Command(RefusingCommand):
    help = (
        "Play the coming week of all active schedules through the scheduler's own decisions, on a virtual clock and "
        "with the durations of past runs, and print the load of each hour, what would queue, and which deadlines "
        "would be missed. Nothing is started and nothing is stored."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="begin", metavar="ISO", help="the beginning (default: now)")
        parser.add_argument("--until", metavar="ISO", help="the end (default: 7 days later; at most 31)")
        parser.add_argument(
            "--schedules", nargs="+", metavar="ID|NAME", help="only these: numbers, or pipeline/name (default: all)"
        )
        parser.add_argument("--workers", type=int, metavar="N", help="runs at a time (default: the workers alive)")
        parser.add_argument(
            "--quantile",
            type=float,
            default=0.5,
            metavar="Q",
            help="how much of its past runs a run is expected to take no longer than (default: 0.5, the median)",
        )
        parser.add_argument("--timezone", default="UTC", metavar="ZONE", help="IANA name for times without offset")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        moment, zone = timezone.now(), read_zone(options["timezone"])
        begin = read_moment(options["begin"], zone, "from") if options["begin"] else moment
        end = read_moment(options["until"], zone, "until") if options["until"] else begin + simulated.WEEK
        check_tables()
        world = simulated.read_world(
            begin,
            end,
            moment=moment,
            workers=options["workers"],
            share=options["quantile"],
            pks=chosen(options["schedules"]) if options["schedules"] else None,
        )
        told = simulated.as_dict(world, world.play(), zone)
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.tell(told, zone)

    def tell(self, told: dict[str, Any], zone: ZoneInfo) -> None:
        self.stdout.write(
            f"{told['from']} to {told['until']}: {told['schedules']} schedules, {told['workers']} runs at a time"
        )
        if told["is_cut_short"]:
            self.stdout.write(f"cut short there: there are more than {simulated.MOST_MOMENTS} moments")
        sources = ", ".join(f"{count} from the {name}" for name, count in told["durations"]["from"].items() if count)
        sources = sources.replace("from the default", f"assumed to take {told['durations']['default_seconds']:.0f} s")
        self.stdout.write(f"durations (quantile {told['durations']['quantile']:g}): {sources or 'none'}")
        self.stdout.write(
            "moments: " + (", ".join(f"{count} {name}" for name, count in sorted(told["decisions"].items())) or "none")
        )
        self.stdout.write(
            f"\n{'hour (' + zone.key + ')':<24}{'starts':>8}{'average':>10}{'peak':>7}{'waiting for':>14}"
        )
        self.stdout.write(f"{'':<49}{'limits':>10}{'workers':>9}")
        for hour in told["hours"]:
            local = datetime.fromisoformat(hour["begin"]).astimezone(zone)
            self.stdout.write(
                f"{local:%a %Y-%m-%d %H:%M}    {hour['starts']:>8}{hour['average']:>10.1f}{hour['peak']:>7}"
                f"{hour['waiting_for_limits']:>20.1f}{hour['waiting_for_workers']:>9.1f}"
            )
        self.tell_trouble(told)

    def tell_trouble(self, told: dict[str, Any]) -> None:
        for name, each in told["queueing"].items():
            self.stdout.write(
                f"waited for {name}: {each['count']} moments, "
                f"{each['longest']:.0f} s at most, {each['total']:.0f} s together"
            )
        missed = told["missed"]
        self.stdout.write(f"missed deadlines: {missed['count']}")
        for miss in missed["first"][:20]:
            late = "not started" if miss["by"] is None else f"{miss['by']:.0f} s late"
            self.stdout.write(f"  {miss['scheduled_for']} {miss['pipeline']}/{miss['name']}: {miss['kind']}, {late}")
        if missed["count"] > 20:
            self.stdout.write(f"  and {missed['count'] - 20} more (--json lists {simulated.LISTED_MISSES})")
        for each in told["collisions"][:5]:
            names = ", ".join(f"{one['pipeline']}/{one['name']}" for one in each["schedules"][:8])
            more = f" and {len(each['schedules']) - 8} more" if len(each["schedules"]) > 8 else ""
            also = f" and {len(each['also_at'])} other times" if each["also_at"] else ""
            self.stdout.write(f"start together at {each['at']} on {each['days']} days{also}: {names}{more}")
        for pk, reason in told["left_out"].items():
            self.stdout.write(f"left out: schedule {pk}: {reason}")


def chosen(words: Sequence[str]) -> list[int]:
    """Return the keys of active schedules named by number or as pipeline/name."""
    active = PipelineSchedule.objects.active().values_list("pk", "pipeline__uuid", "name")
    known = {str(pk): pk for pk, _, _ in active} | {f"{uuid}/{name}": pk for pk, uuid, name in active}
    for word in words:
        if word not in known:
            raise Refusal(
                f"There is no active schedule {ascii(word[:80])}.",
                field="schedules",
                hint="Give its number, or pipeline/name.",
                code="unknown_schedule",
            )
    return [known[word] for word in words]
