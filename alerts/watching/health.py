"""Is somebody there to keep time and to do the work, can it be stored, and is what must never be not there."""

import os
import shutil
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Max
from django.db.models.functions import Coalesce

from alerts.models import Kind
from alerts.watching import conditions
from alerts.watching.conditions import Condition
from alerts.watching.look import Look, about_all
from runs.logs import amount
from runs.models import BlockRun, Worker, WorkerKind
from runs.reasons.ailing import ailing
from runs.states import BlockStatus
from runs.working import workers
from schedules.reasons.drift import about

NO_WORKER_FOR = timedelta(seconds=60)
NO_LOSS_FOR = timedelta(minutes=15)
GB = 1024**3
LEAST_FREE = 0.2 * GB
ENOUGH, LEAST_SHARE = 5 * GB, 0.02  # less than so much is too little if it is also less than this share of the disk
PROBE_EVERY = 60.0
STALLED_FOR, JUST_NOW = timedelta(seconds=40), timedelta(seconds=5)
MINE = ("no worker", "stalled", "finding ", "no scheduler", "executor ")


def look_at(look: Look, heartbeat: Sequence[Condition] = ()) -> None:
    """Compare how things are with the open incidents; `heartbeat` is what the outbound pings of this process found."""
    if not look.has(Kind.UNHEALTHY):
        return
    here = workers.this_host()
    found = [
        *no_worker(look.moment),
        *stall.conditions(look.moment),
        *said_by_processes(look.moment),
        *storage.problems(here),
        *heartbeat,
    ]
    conditions.compare(
        look, found, lambda name: name.startswith((*MINE, f"storage on {here}:", f"heartbeat on {here}"))
    )
    close_losses(look)


def no_worker(moment: datetime) -> list[Condition]:
    """Work has been ready for a minute, and no worker is alive."""
    old = BlockRun.objects.filter(status=BlockStatus.QUEUED, queued_at__lt=moment - NO_WORKER_FOR)
    if not old.exists() or Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).exists():
        return []
    seen = Worker.objects.filter(kind=WorkerKind.WORKER).aggregate(last=Max(Coalesce("stopped_at", "seen_at")))["last"]
    last = f"the last was seen {about(moment - seen)} ago" if seen else "there was never one"
    message = f"Block runs are queued and no worker is alive; {last}. manage.py start or qcluster starts some."
    return [Condition("no worker", "No worker is alive while work waits", message, f"since {seen}")]


class Stall:
    """Ready work that free workers leave: told before a watchdog begins the cluster anew after a minute."""

    def __init__(self) -> None:
        self.since: datetime | None = None

    def conditions(self, moment: datetime) -> list[Condition]:
        alive = Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).well()
        held = BlockRun.objects.filter(worker__in=alive)
        busy = held.filter(status=BlockStatus.RUNNING).values("worker")
        ready = BlockRun.objects.filter(queued_at__lt=moment - JUST_NOW)
        if not ready.has_queued() or not alive.exclude(pk__in=busy).exists():
            self.since = None
        elif self.since is None or held.filter(started_at__gte=self.since).exists():
            self.since = moment
        if self.since is None or moment - self.since < STALLED_FOR:
            return []
        message = f"Blocks are ready and workers are free, but none was taken since {self.since:%H:%M:%S} UTC."
        return [Condition("stalled", "Workers do not take what is ready", message, since=self.since)]


stall = Stall()


def said_by_processes(moment: datetime) -> list[Condition]:
    """What schedulers and workers say is wrong in their rows; one query."""
    telling = list(Worker.objects.alive(moment).exclude(trouble={}, findings=[]))
    workers_of, schedulers = (
        [each for each in telling if each.kind == kind] for kind in (WorkerKind.WORKER, WorkerKind.SCHEDULER)
    )
    return [*executors(workers_of), *findings(schedulers)]


def executors(alive: Sequence[Worker]) -> list[Condition]:
    """Workers that cannot start what they are given, on any host."""
    return [
        Condition(
            f"executor {each.executor} on {each.host}",
            f"{each.executor} cannot start blocks on {each.host}",
            f"{each.sentence[0].upper()}{each.sentence[1:]}. They take nothing until they can.",
            since=datetime.fromisoformat(each.since),
        )
        for each in ailing(alive)
    ]


def findings(alive: Sequence[Worker]) -> list[Condition]:
    """What schedulers found that must never be, kind by kind."""
    found: dict[str, list[str]] = {}
    for each in alive:
        for finding in each.findings:
            found.setdefault(str(finding.get("kind")), []).append(str(finding.get("detail")))
    return [
        Condition(f"finding {kind}", f"What must never be was found: {kind.replace('_', ' ')}", details[0])
        for kind, details in found.items()
    ]


def close_losses(look: Look) -> None:
    """Workers that were lost are over when none was for a while."""
    for watched in look.rules(Kind.UNHEALTHY):
        incident = look.open().get(about_all(watched.rule, "workers lost"))
        if incident is not None and look.moment - incident.last_seen_at >= NO_LOSS_FOR:
            look.heal(incident.fingerprint, f"No worker was lost for {about(NO_LOSS_FOR)}")


class Storage:
    """Looks at the disks in a thread of its own: one that hangs keeps nobody from anything."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}  # folder → what is wrong
        self.begun_at: float | None = None
        self.ended_at: float | None = None

    def problems(self, host: str) -> list[Condition]:
        """Return what was found last, and have a look taken if that is a while ago."""
        now = time.monotonic()
        is_at_it = self.begun_at is not None and (self.ended_at is None or self.ended_at < self.begun_at)
        if not is_at_it and (self.begun_at is None or now - self.begun_at >= PROBE_EVERY):
            is_at_it = self.begin(now)
        found = dict(self.found)
        if is_at_it and self.begun_at is not None and now - self.begun_at >= PROBE_EVERY:
            found[str(settings.DATA_DIR)] = "does not answer"
        return [
            Condition(f"storage on {host}: {folder}", f"Storage trouble on {host}", f"{folder} {problem}.")
            for folder, problem in found.items()
        ]

    def begin(self, now: float) -> bool:
        """Have a look taken; False if this machine has no room for a thread now, which says nothing of its disks."""
        before, self.begun_at = self.begun_at, now
        try:
            threading.Thread(target=self.look, name="storage", daemon=True).start()
        except RuntimeError:
            self.begun_at = before
        return self.begun_at == now

    def look(self) -> None:
        places = (settings.DATA_DIR, settings.LOGS_URL, settings.VARIABLES_URL)
        folders = {str(place).removeprefix("file://") for place in places}
        found = {folder: problem_of(Path(folder)) for folder in sorted(folders) if folder.startswith("/")}
        self.found = {folder: problem for folder, problem in found.items() if problem}
        self.ended_at = time.monotonic()


def problem_of(folder: Path) -> str:
    """Say what is wrong with a folder, "" if nothing is. One that is not there yet is made when it is needed."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    probe = place / f".probe-alerts-{os.getpid()}"
    try:
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)  # a full disk has room for its name
        usage = shutil.disk_usage(place)
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"
    if usage.free < LEAST_FREE or usage.free < min(ENOUGH, usage.total * LEAST_SHARE):
        return f"is nearly full: {amount(usage.free)} of {amount(usage.total)} are free"
    return ""


storage = Storage()
