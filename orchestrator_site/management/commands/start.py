"""Everything with one command: checks, set-up, then the processes under one supervisor."""

import errno
import os
import secrets
import socket
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone

from orchestrator_site.supervision import Plan, replace_this_process
from pipelines import catalog
from pipelines.commands import RefusingCommand, use_project
from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import one_project, tables
from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule

WEB, SCHEDULER, WORKER = "web_server", "scheduler", "worker"
DRAIN_SECONDS = 1.0  # at Ctrl-C people wait; a service may set more
STOP_MARGIN = 3.5  # seconds after draining within which blocks are handed back
OURS = ("executors", "orchestrator_site", "pipelines", "runs", "schedules", "templates")


class Command(RefusingCommand):
    help = (
        "Start the web server, the scheduler and the workers as one tree of processes; Ctrl-C stops all of it within "
        "5 seconds, and blocks that were running are taken up at the next start. On the first start the tables and "
        "an administrator are made, whose password is printed once."
    )

    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", help="folder of the project (default: ORCHESTRATOR_PROJECT)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000; 0: a free one)")
        parser.add_argument(
            "--instance-type",
            choices=["all", WEB, SCHEDULER, WORKER],
            default="all",
            help="what to start here (default: all); a scheduler brings its workers unless --workers is 0",
        )
        parser.add_argument("--workers", type=int, metavar="N", help="blocks at a time (default: WORKERS)")
        parser.add_argument("--reload", action="store_true", help="for developers: start again when our code changes")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = options["instance_type"]
        workers = checked_workers(options["workers"], kind)
        project = use_project(options["project"])
        listener = open_listener(options["host"], options["port"]) if kind in ("all", WEB) else None
        self.set_up(project, with_administrator=listener is not None)
        connections.close_all()
        replace_this_process(plan_for(kind, workers, listener, reload=options["reload"]))

    def set_up(self, project: Path, *, with_administrator: bool) -> None:
        """Bring the tables up to date, and the project into them, so that the first page is not empty."""
        tables.bring_up_to_date()
        one_project.refuse_another(project, timezone.now())
        one_project.note(project)
        catalog.refresh(project)
        triggers_yaml.sync(project, timezone.now())
        self.stdout.write(f"Orchestrator {settings.VERSION}")
        self.stdout.write(f"  data      {settings.DATA_DIR}")
        self.stdout.write(f"  project   {project} ({count_what_there_is()})")
        if with_administrator and (password := make_first_administrator()):
            self.stdout.write(f"  sign in   as admin with the password {password}  (shown only this once)")
        self.stdout.flush()


def checked_workers(workers: int | None, kind: str) -> int:
    lowest = 1 if kind == WORKER else 0
    if workers is None:
        return int(settings.WORKERS)
    if kind == WEB:
        raise Refusal("A web server has no workers.", field="workers", hint="Leave --workers out.")
    if not lowest <= workers <= 256:
        raise Refusal(f"--workers {workers} is out of range.", field="workers", hint=f"Use {lowest} to 256.")
    return workers


def open_listener(host: str, port: int) -> socket.socket:
    """Bind and listen at once: it is the surest way to know that the port is free, and keeps it."""
    if not 0 <= port <= 65535:
        raise Refusal(f"--port {port} is no port.", field="port", hint="Use 1 to 65535, or 0 for a free one.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise Refusal(
            f"The host {host[:80]!r} is not known.", field="host", hint="Use 127.0.0.1, or 0.0.0.0 for every address."
        ) from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise unbound(error, host, port) from None
    return listener


def unbound(error: OSError, host: str, port: int) -> Refusal:
    if error.errno == errno.EADDRINUSE:
        hint = f"Stop what uses it, or take another: --port {port % 65535 + 1} (make start PORT={port % 65535 + 1})."
        return Refusal(f"Port {port} of {host} is in use.", field="port", hint=hint)
    if error.errno == errno.EACCES:
        return Refusal(f"You may not open port {port}.", field="port", hint="Use one from 1024 on.")
    return Refusal(f"{host} port {port} cannot be opened ({error.strerror}).", field="host", hint="Use 127.0.0.1.")


def count_what_there_is() -> str:
    present = Pipeline.objects.present()
    invalid = present.filter(is_valid=False).count()
    words = [plural(present.count(), "pipeline"), plural(PipelineSchedule.objects.active().count(), "active trigger")]
    return ", ".join(words + ([f"{invalid} invalid: see the page Pipelines"] if invalid else []))


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def make_first_administrator() -> str:
    """Make the user `admin` when there is no user yet and return its password, else ""."""
    users = get_user_model().objects
    with tables.only_one():
        if users.exists():
            return ""
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", password=password)
    return password


def plan_for(kind: str, workers: int, listener: socket.socket | None, *, reload: bool) -> Plan:
    drain = settings.DRAIN_SECONDS if "DRAIN_SECONDS" in os.environ else DRAIN_SECONDS
    environment = {"DRAIN_SECONDS": f"{drain:g}", "WORKERS": str(workers or settings.WORKERS)}
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    commands = {}
    if kind in ("all", SCHEDULER):
        how_many = ["--workers", str(workers)] if workers else ["--no-workers"]
        commands["The scheduler"] = [*manage, "run_scheduler", *how_many]
    if kind == WORKER:
        commands["The workers"] = [*manage, "qcluster"]
    plan = Plan(
        commands=commands,
        environment=environment,
        stop_seconds=drain + STOP_MARGIN,
        watch=tuple(str(settings.BASE_DIR / folder) for folder in OURS) if reload else (),
    )
    return with_web_server(plan, listener) if listener else plan


def with_web_server(plan: Plan, listener: socket.socket) -> Plan:
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    named = f"[{reachable}]" if ":" in reachable else reachable
    allowed = settings.ALLOWED_HOSTS
    environment = dict(plan.environment)
    if "ALLOWED_HOSTS" not in os.environ and named not in allowed:
        environment["ALLOWED_HOSTS"] = ",".join([*allowed, named])  # who listens on an address wants to be asked by it
    descriptor = listener.detach()
    program = str(settings.BASE_DIR / "orchestrator_site" / "web_server.py")
    return replace(
        plan,
        commands={"The web server": [sys.executable, "-P", program, str(descriptor)], **plan.commands},
        environment=environment,
        listener=descriptor,
        ask=(reachable, port, f"{named}:{port}"),
        greeting=f"Ready: {settings.PUBLIC_URL or f'http://{named}:{port}'}/  (Ctrl-C stops everything)",
    )
