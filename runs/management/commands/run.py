"""One run from a terminal, from its creation to its exit code."""

import getpass
import json
import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection
from django.utils import timezone
from rich.console import Console

from pipelines import catalog
from pipelines.commands import RefusingCommand, use_project
from pipelines.parsers import InvalidJSON, check_text, read_json
from pipelines.refusal import Refusal
from pipelines.serializers import read_instant
from runs import lifecycle, one_project, tables
from runs.following import Follower
from runs.models import BlockRun, Origin, PipelineRun, Role
from runs.planning import RunSettings
from runs.progress import Display, Moving, Plain, Silent, run_in_words, say_beside
from runs.states import RunStatus
from runs.storing import keeping
from runs.working.crew import Crew

EXIT_CODES = {RunStatus.COMPLETED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 3}
FORCED = 130


class Command(RefusingCommand):
    help = (
        "Run a pipeline now and show how it goes. Works with no server running: it brings its own workers; beside a "
        "server, that one's workers do it. Ctrl-C cancels the run. Exit code: 0 completed, 1 failed, 2 bad input, "
        "3 cancelled."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's uuid: the name of its folder")
        parser.add_argument("--project", metavar="P", help="folder of the project (default: ORCHESTRATOR_PROJECT)")
        parser.add_argument(
            "-v",
            "--var",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="a variable of this run; JSON if VALUE is valid JSON, else text: -v limit=10 -v day=2025-03-02",
        )
        parser.add_argument("--runtime-vars", metavar="JSON", help="more variables as one object: '{\"limit\": 10}'")
        parser.add_argument("--block", metavar="BLOCK", help="run this block alone, on its upstream's last outputs")
        parser.add_argument("--execution-date", metavar="ISO", help="the instant the run stands for (default: now)")
        parser.add_argument("--executor", metavar="NAME", help="how blocks are executed (default: local_python)")
        parser.add_argument("--skip-sensors", action="store_true", help="take every sensor for true")
        parser.add_argument("--workers", type=int, metavar="N", help="own workers at most (default: WORKERS)")
        parser.add_argument(
            "--wait", action="store_true", default=True, help="stay until the run is finished (default)"
        )
        parser.add_argument("--no-wait", dest="wait", action="store_false", help="only start it; workers do the rest")
        parser.add_argument("--json", action="store_true", help="print nothing but one JSON object, as the last line")

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Elsewhere -v is Django's --verbosity; here it is Mage's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        workers = checked_workers(options["workers"])
        wanted = {
            "variables": read_variables(options["runtime_vars"], options["var"]),
            "execution_date": read_date(options["execution_date"]),
            "only_block": options["block"],
            "skip_sensors": options["skip_sensors"],
            "settings": RunSettings(executor=options["executor"]),
            "started_by": user_name(),
        }
        project = use_project(options["project"])
        check_tables()
        one_project.refuse_another(project, timezone.now())
        catalog.refresh(project)
        pipeline = catalog.find(options["pipeline"])
        run = lifecycle.create_run(pipeline, moment=timezone.now(), origin=Origin.MANUAL, **wanted)
        if not options["wait"]:
            self.tell(run, options)
            return
        with Crew(run, workers) as crew, Stops() as stops:
            crew.stand_by(timezone.now())
            with closing(self.display(as_json=options["json"])) as display:
                follower = Follower(run, display, crew, clock=timezone.now, stops=lambda: stops.count, user=user_name())
                block_runs = follower.follow()
        keeping.finish()  # no server may be here to do it
        if options["json"]:
            self.write(json.dumps(as_dict(run, block_runs)))
        raise SystemExit(EXIT_CODES[RunStatus(run.status)])

    def display(self, *, as_json: bool) -> Display:
        if as_json:
            return Silent()
        if self.stdout.isatty() and os.environ.get("TERM") != "dumb":
            return Moving(Console())
        return Plain(self.write)

    def write(self, text: str) -> None:
        """Write a line at once. A reader that went away (`| head -1`) does not end the run."""
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def tell(self, run: PipelineRun, options: Mapping[str, Any]) -> None:
        if options["json"]:
            self.write(json.dumps(as_dict(run, list(run.block_runs.for_page()))))
        else:
            self.write(f"{run_in_words(run)}; workers go on with it")


class Stops:
    """Counts Ctrl-C and SIGTERM; the second one interrupts whatever goes on."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Stops":
        self.former = {number: signal.signal(number, self.note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)
        if isinstance(error, Forced):
            raise SystemExit(FORCED)

    def note(self, *_: object) -> None:
        self.count += 1
        if self.count > 1:
            raise Forced


class Forced(BaseException):
    """The user did not want to wait for a clean end."""


def checked_workers(workers: int | None) -> int:
    if workers is not None and not 1 <= workers <= 256:
        raise Refusal(f"--workers {workers} is out of range.", field="workers", hint="Use 1 to 256.")
    return workers or int(settings.WORKERS)


def read_date(text: str | None) -> datetime | None:
    return None if text is None else read_instant(text, field="execution_date")


def read_variables(runtime_vars: str | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Merge --runtime-vars ← each -v. Values that are not JSON are text, taken literally."""
    variables = read_object(runtime_vars) if runtime_vars is not None else {}
    given: set[str] = set()
    for assignment in assignments:
        name, is_assigned, text = assignment.partition("=")
        if not name.strip() or not is_assigned:
            hint = "-v needs NAME=VALUE, for example -v day=2025-03-02."
            raise Refusal(f"-v {ascii(assignment[:80])} is no assignment.", field="variables", hint=hint)
        check_text(name)
        if name in given:
            say_beside(f"warning: {name} is given twice; the later value is taken")
        given.add(name)
        variables[name] = read_value(text)
    return variables


def read_object(text: str) -> dict[str, Any]:
    hint = 'It must be a JSON object, for example \'{"day": "2025-03-02"}\'.'
    try:
        found = read_json(text.encode("utf-8", "surrogatepass"))
    except InvalidJSON as error:
        message = error.message.replace("The body", "--runtime-vars").replace("in the body", "in --runtime-vars")
        raise Refusal(message, field="runtime_vars", hint=hint) from error
    if not isinstance(found, dict):
        raise Refusal(f"--runtime-vars is {ascii(text[:80])}.", field="runtime_vars", hint=hint)
    return found


def read_value(text: str) -> Any:
    try:
        return read_json(text.encode("utf-8", "surrogatepass"))
    except InvalidJSON:
        check_text(text)
        return text


def user_name() -> str:
    try:
        return getpass.getuser()[:150]
    except (KeyError, OSError):  # no name for this number, as in some containers
        return f"uid {os.getuid()}"


def check_tables() -> None:
    """The embedded database is made ready in passing; a server's is somebody's decision."""
    if connection.vendor == "sqlite":
        tables.bring_up_to_date()
    elif missing := tables.unapplied():
        message = f"The database lacks {len(missing)} migrations ({missing[0]}{', …' if missing[1:] else ''})."
        raise Refusal(message, field="database", hint="Run manage.py migrate.")


def as_dict(run: PipelineRun, block_runs: Sequence[BlockRun]) -> dict[str, Any]:
    """Shape that scripts rely on (docs/interfaces). `callbacks` is there only if something was called."""
    called = [row_as_dict(row) for row in block_runs if row.role == Role.CALLBACK]
    return {
        "pipeline_run": run.pk,
        "pipeline": run.pipeline.uuid,
        "status": run.status,
        "started_at": iso(run.started_at),
        "completed_at": iso(run.completed_at),
        "duration": seconds(run.started_at, run.completed_at),
        "blocks": [row_as_dict(row) for row in block_runs if row.role != Role.CALLBACK],
        **({"callbacks": called} if called else {}),
    }


def row_as_dict(block_run: BlockRun) -> dict[str, Any]:
    error = {key: block_run.error.get(key, "") for key in ("type", "message")}
    return {
        "block": block_run.block_uuid,
        "status": block_run.status,
        "attempt": block_run.attempt,
        "duration": seconds(block_run.started_at, block_run.completed_at),
        "error": error if block_run.error else None,
    }


def iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None
