"""Runs for moments of the past, planned and started from a terminal."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from pipelines import catalog
from pipelines.commands import RefusingCommand, use_project
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import one_project
from runs.management.commands.run import check_tables, read_variables, user_name
from schedules.backfilling import backfills
from schedules.backfilling.slot_states import Plan, PlannedSlot
from schedules.management.commands.preview_schedule import iso, read_moment
from schedules.models import Backfill, IntervalType, Which
from schedules.timetable import read_zone

# What a refusal's field is called here.
OPTIONS = {
    "start_at": "start",
    "end_at": "end",
    "interval_type": "interval",
    "interval_units": "units",
    "run_limit": "limit",
    "pipeline_uuid": "pipeline",
}


class Command(RefusingCommand):
    help = (
        "Run a pipeline for moments of the past, both ends included. --dry-run shows every slot with its present state "
        "and starts nothing. The scheduler starts the runs in turn, --limit at a time, after those that are due now."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's uuid: the name of its folder")
        parser.add_argument(
            "--start", required=True, metavar="ISO", help="the first slot, for example 2025-01-01T00:00Z"
        )
        parser.add_argument("--end", required=True, metavar="ISO", help="no slot is after this; not in the future")
        parser.add_argument(
            "--interval",
            metavar="INTERVAL",
            help=f"what lies between two slots: {', '.join(IntervalType.values)} (custom: --units are seconds; "
            "default: schedule with --schedule, else day)",
        )
        parser.add_argument("--units", type=int, default=1, metavar="N", help="every N days, hours, … (default: 1)")
        parser.add_argument("--schedule", metavar="NAME", help="a trigger of the pipeline: its moments and settings")
        parser.add_argument(
            "--which",
            default=Which.MISSING.value,
            metavar="|".join(Which.values),
            help="slots that never ran (default), those whose newest run failed, or all",
        )
        parser.add_argument("--newest-first", action="store_true", help="begin with the latest slot")
        parser.add_argument("--limit", type=int, default=1, metavar="N", help="runs at a time (default: 1)")
        parser.add_argument("--priority", type=int, default=50, metavar="N", help="lower goes first; live runs have 0")
        parser.add_argument("--timezone", metavar="ZONE", help="IANA name (default: the trigger's, else UTC)")
        parser.add_argument("--name", default="", metavar="TEXT", help="what to call it")
        parser.add_argument(
            "-v", "--var", action="append", default=[], metavar="KEY=VALUE", help="a variable of every run"
        )
        parser.add_argument("--dry-run", action="store_true", help="only show the plan")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Elsewhere -v is Django's --verbosity; here, as in `run`, it is Mage's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        moment = timezone.now()
        project = use_project(None)
        check_tables()
        one_project.refuse_another(project, moment)
        catalog.refresh(project)
        try:
            backfill = wanted(catalog.find(options["pipeline"]), options)
            planned = (backfills.plan if options["dry_run"] else backfills.start)(backfill, moment)
        except Refusal as refusal:
            refusal.field = OPTIONS.get(refusal.field, refusal.field)
            raise
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(backfill, planned)))
        else:
            self.tell(backfill, planned, every_slot=options["dry_run"])

    def tell(self, backfill: Backfill, planned: Plan, *, every_slot: bool) -> None:
        for slot in planned.slots if every_slot else ():
            run = f"  run {slot.run_id}" if slot.run_id else f"  {slot.decision}" if slot.decision else ""
            mark = "→" if slot.is_chosen else " "
            self.stdout.write(f"  {mark} {slot.slot.local_time:<25}  {slot.state}{run}")
        counts = ", ".join(f"{count} {state}" for state, count in planned.counts.items())
        self.stdout.write(f"{backfill.pipeline.uuid}: {len(planned.slots)} slots: {counts}")
        chosen, at_a_time = len(planned.chosen), f"{backfill.run_limit} at a time"
        if every_slot:
            self.stdout.write(f"{chosen} would be run (→), {at_a_time}; nothing was started")
        else:
            self.stdout.write(f"backfill {backfill.pk} ({backfill.name}): {chosen} wait for the scheduler, {at_a_time}")


def wanted(pipeline: Pipeline, options: Mapping[str, Any]) -> Backfill:
    name = options["schedule"]
    schedule = None if name is None else backfills.find_schedule(pipeline, name=name)
    zone = options["timezone"] or (schedule.timezone if schedule else None)
    fields = {
        "name": options["name"],
        "interval_type": options["interval"],
        "interval_units": options["units"],
        "timezone": zone,
        "start_at": read_end(options["start"], zone, "start"),
        "end_at": read_end(options["end"], zone, "end"),
        "which": options["which"],
        "newest_first": options["newest_first"],
        "run_limit": options["limit"],
        "priority": options["priority"],
        "variables": read_variables(None, options["var"]),
        "created_by": user_name(),
    }
    return backfills.draft(pipeline, schedule, fields)


def read_end(text: str, zone: str | None, option: str) -> datetime:
    """Read a moment; one without offset is the wall clock of the zone, if one is given."""
    found = read_moment(text, read_zone(zone or "UTC"), option)
    if zone is None and datetime.fromisoformat(text).tzinfo is None:
        raise Refusal(
            f"--{option} {ascii(text[:80])} has no zone.",
            field=option,
            hint=f"Write {text[:10]}T00:00:00Z, or give --timezone.",
            code="invalid_datetime",
        )
    return found


def as_dict(backfill: Backfill, planned: Plan) -> dict[str, Any]:
    """Shape that scripts rely on; `backfill` is null after a dry run."""
    return {
        "backfill": backfill.pk,
        "pipeline": backfill.pipeline.uuid,
        "schedule": backfill.schedule.name if backfill.schedule else None,
        "counts": planned.counts,
        "to_run": len(planned.chosen),
        "slots": [slot_as_dict(slot) for slot in planned.slots],
    }


def slot_as_dict(planned: PlannedSlot) -> dict[str, Any]:
    slot = planned.slot
    return {
        "slot": iso(slot.at),
        "local": slot.local_time,
        "interval_end": iso(slot.end) if slot.end else None,
        "state": planned.state,
        "pipeline_run": planned.run_id,
        "to_run": planned.is_chosen,
    }
