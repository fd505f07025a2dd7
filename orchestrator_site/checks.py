"""What `doctor` looks at. Each check tells what it found and, if that is wrong, what to do about it; none changes
anything but the files and the process of its own trial.
"""

import importlib.metadata
import platform
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
from django.conf import settings
from django.db import DatabaseError, connection

from executors import registry
from executors.base import Answer, CannotStart, Executor, Outcome, Stop, Verdict, Work
from orchestrator_site.health import seconds
from pipelines import passed_over
from pipelines.project import BrokenPipeline, read_pipeline, read_project
from pipelines.refusal import Refusal
from runs import tables
from runs.models import BlockRun, Worker, WorkerKind
from runs.recovery import REPEAT_BELL_AFTER
from runs.states import BlockStatus
from runs.storing import keeping, store
from schedules import firing
from schedules.policies import Settings
from schedules.reasons import invariants
from schedules.scheduler import SWEEP_EVERY

GUARDED = "1.11"  # of django-q2: runs.cluster replaces a part of it by name
LITTLE_SPACE = 500 * 1024**2
OLD_LOOP = timedelta(seconds=30)
OLD_HINT = timedelta(seconds=60)
MOST_CLOCK_DIFFERENCE = 1.0  # seconds
OPTIONAL = ("pandas", "polars", "pyarrow", "numpy")
BLOCK = "@custom\ndef trial():\n    print('hello')\n    return 42\n"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found. `hint` says what to do; it is told only when the finding is not `ok`."""

    name: str
    ok: bool
    detail: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "hint": "" if self.ok else self.hint}


def everything(moment: datetime) -> Iterator[Finding]:
    """Yield the findings one by one; what needs the database is left out when that is not in order."""
    yield versions()
    yield data_folder()
    yield from storage()
    yield from logs_behind()
    yield from project()
    yield executor()
    yield libraries()
    if settings.REDIS_URL:
        yield redis()
    for check in (database, migrations):
        finding = check()
        yield finding
        if not finding.ok:
            return
    yield clock(datetime.now(UTC))
    yield scheduler(moment)
    yield workers(moment)
    yield never(moment)
    yield promises()


def versions() -> Finding:
    found = {name: importlib.metadata.version(name) for name in ("django", "django-q2", "channels", "uvicorn")}
    detail = ", ".join([f"Python {platform.python_version()}", *(f"{name} {found[name]}" for name in found)])
    if not found["django-q2"].startswith(f"{GUARDED}."):
        return Finding(name="versions", ok=False, detail=detail, hint=f"Install django-q2=={GUARDED}.*.")
    return Finding(name="versions", ok=True, detail=detail)


# --- storage --------------------------------------------------------------------------------------------------------


def data_folder() -> Finding:
    """That it can be written is seen when the settings are read; here: is there room."""
    usage = shutil.disk_usage(settings.DATA_DIR)
    detail = f"{settings.DATA_DIR}: {amount(usage.free)} of {amount(usage.total)} free"
    hint = "Free some space, or set ORCHESTRATOR_DATA_DIR to a larger disk."
    return Finding(name="data folder", ok=usage.free >= LITTLE_SPACE, detail=detail, hint=hint)


def storage() -> Iterator[Finding]:
    for name, variable in (("logs", "LOGS_URL"), ("block outputs", "VARIABLES_URL")):
        url = getattr(settings, variable)
        problem = problem_of_writing(url)
        detail = f"{url}: {problem or 'written, read and removed'}"
        yield Finding(name=name, ok=not problem, detail=detail, hint=f"Set {variable} to a place that can be written.")


def logs_behind() -> Iterator[Finding]:
    """Name the logs that are not in the store yet, if there is one."""
    if store.store() is not None:
        behind = keeping.backlog()
        detail = f"{behind.waiting} on their way to {settings.LOGS_URL}"
        detail += f": {behind.problem}" if behind.problem else ""
        hint = "They stay on this machine, and are readable here, until the store takes them."
        yield Finding(name="logs behind", ok=not behind.problem, detail=detail, hint=hint)


def problem_of_writing(url: str) -> str:
    """Return why a file cannot be written and read there, or ""."""
    path = f"{url}/.doctor-{uuid.uuid4().hex}"
    try:
        system, place = fsspec.core.url_to_fs(path)
        system.makedirs(place.rpartition("/")[0], exist_ok=True)
        with system.open(place, "wb") as file:
            file.write(b"hello")
        is_same = system.cat_file(place) == b"hello"
        system.rm(place)
    except Exception as error:  # somebody else's code: each store raises errors of its own
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return "" if is_same else "what was written reads differently"


def amount(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


# --- project --------------------------------------------------------------------------------------------------------


def project() -> Iterator[Finding]:
    """Read every pipeline from disk, as a refresh would."""
    try:
        found = read_project(settings.PROJECT_DIR)
    except Refusal as refusal:
        yield Finding(name="project", ok=False, detail=refusal.message, hint=refusal.hint)
        return
    broken: list[BrokenPipeline] = []
    for pipeline in found.pipelines:
        try:
            read_pipeline(found, pipeline)
        except BrokenPipeline as problem:
            broken.append(problem)
    detail = f"{settings.PROJECT_DIR}: {len(found.pipelines)} pipelines, {len(broken)} invalid"
    yield Finding(name="project", ok=not broken, detail=detail, hint="Correct the pipelines named below.")
    for sentence in passed_over.sentences(settings.PROJECT_DIR):
        yield Finding(name="passed over", ok=True, detail=sentence)
    for found_broken in broken:
        yield Finding(name="pipeline", ok=False, detail=found_broken.message, hint=found_broken.hint)


def libraries() -> Finding:
    found = []
    for name in OPTIONAL:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return Finding(name="optional libraries", ok=True, detail=", ".join(found))


# --- executors ------------------------------------------------------------------------------------------------------


def executor() -> Finding:
    """Run a block that prints and returns, twice: with a cold fork server and with a warm one."""
    made = registry.make(registry.LOCAL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "custom").mkdir()
            Path(folder, "custom", "trial.py").write_text(BLOCK)
            Path(folder, "metadata.yaml").touch()
            (first, cold), (second, warm) = (timed(made, trial(folder, number)) for number in (1, 2))
    except (CannotStart, OSError) as error:
        detail = f"{registry.LOCAL}: {error}"
        return Finding(
            name="executor", ok=False, detail=detail, hint="Look at limits on processes and temporary files."
        )
    finally:
        made.close()
    for outcome in (first, second):
        if outcome is None or outcome.verdict != Verdict.COMPLETED:
            message = outcome.failure.message if outcome and outcome.failure else "no answer"
            hint = "A block of one line fails here: see what the message says of this machine."
            return Finding(name="executor", ok=False, detail=f"{registry.LOCAL}: {message}", hint=hint)
    detail = f"{registry.LOCAL}: a block in its own process took {warm:.0f} ms (the first {cold:.0f} ms)"
    return Finding(name="executor", ok=True, detail=detail)


def timed(made: Executor, work: Work) -> tuple[Outcome | None, float]:
    began = time.monotonic()
    outcome = made.launch(work, Quiet())
    took = (time.monotonic() - began) * 1000
    return outcome if isinstance(outcome, Outcome) else None, took


def trial(folder: str, number: int) -> Work:
    block = {"uuid": "trial", "name": "trial", "type": "custom", "file": "custom/trial.py", "upstream": []}
    job = {
        "project": folder,
        "pipeline_uuid": "doctor",
        "block": {**block, "language": "python", "configuration": {}},
        "run_tests": True,
        "skip_sensor": False,
        "upstream": [],
        "variables": {},
        "context": {"execution_date": "2025-01-01T00:00:00+00:00", "env": settings.ENV, "event": {}},
        "output_url": f"{folder}/outputs/{number}",
        "secrets": {},
    }
    return Work(key=f"doctor-{number}", entrypoint="pipelines.runtime:run_block", job=job, timeout=30.0)


class Quiet:
    """The host of a block whose words nobody needs."""

    def started(self, external_id: str) -> None: ...

    def output(self, stream: str, data: bytes) -> None: ...

    def record(self, stream: str, level: str, text: str) -> None: ...

    def should_stop(self) -> Stop | None:
        return None

    def ask(self, request: Mapping[str, Any], answer: Callable[[Answer], None]) -> Answer:
        return {"error": {"type": "CannotAsk", "message": "nobody answers here"}}


# --- database and brokers -------------------------------------------------------------------------------------------


def database() -> Finding:
    """Time a round trip; SQLite must be in WAL mode to have several writers."""
    try:
        with connection.cursor() as cursor:
            began = time.monotonic()
            cursor.execute("SELECT 1")
            took = (time.monotonic() - began) * 1000
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA journal_mode")
                mode = cursor.fetchone()[0]
                detail = f"SQLite at {connection.settings_dict['NAME']}, journal mode {mode}"
                hint = "Put the data folder on a local disk: WAL does not work on network file systems."
                return Finding(name="database", ok=mode in ("wal", "memory"), detail=detail, hint=hint)
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
    except DatabaseError as error:
        reason = " ".join(str(error).split())[:300]
        return Finding(name="database", ok=False, detail=reason, hint="Check DATABASE_URL and that the database runs.")
    where = f"{connection.settings_dict['NAME']} at {connection.settings_dict['HOST'] or 'localhost'}"
    return Finding(name="database", ok=True, detail=f"PostgreSQL {version}, {where}, answers in {took:.1f} ms")


def migrations() -> Finding:
    missing = tables.unapplied()
    if not missing:
        return Finding(name="migrations", ok=True, detail="all applied")
    detail = f"{len(missing)} not applied: {', '.join(missing[:3])}{', …' if missing[3:] else ''}"
    return Finding(name="migrations", ok=False, detail=detail, hint="Run manage.py migrate, or start.")


def redis() -> Finding:
    import redis as client

    try:
        began = time.monotonic()
        client.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2).ping()
        took = (time.monotonic() - began) * 1000
    except client.RedisError as error:
        hint = "Check REDIS_URL and that Redis runs; without it everything goes on, by polling."
        return Finding(name="redis", ok=False, detail=f"does not answer: {error}", hint=hint)
    return Finding(name="redis", ok=True, detail=f"answers in {took:.1f} ms")


def clock(here: datetime) -> Finding:
    """Compare this host's clock with the database server's."""
    if connection.vendor != "postgresql":
        return Finding(
            name="clock", ok=True, detail=f"{here:%Y-%m-%d %H:%M:%S} UTC (the database has no clock of its own)"
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        there: datetime = cursor.fetchone()[0]
    apart = abs((there - here).total_seconds())
    detail = f"{here:%Y-%m-%d %H:%M:%S} UTC, {apart * 1000:.0f} ms apart from the database server's"
    hint = "Synchronize both clocks (chrony, systemd-timesyncd): due times and leases depend on them."
    return Finding(name="clock", ok=apart <= MOST_CLOCK_DIFFERENCE, detail=detail, hint=hint)


# --- processes ------------------------------------------------------------------------------------------------------


def scheduler(moment: datetime) -> Finding:
    """A scheduler that is not started is no fault; one that does not get round its loop is."""
    alive = list(Worker.objects.alive(moment).filter(kind=WorkerKind.SCHEDULER))
    if not alive:
        return Finding(name="scheduler", ok=True, detail="none runs; manage.py start starts one")
    ages = [seconds(moment, worker.last_loop_at) for worker in alive]
    newest = min((age for age in ages if age is not None), default=None)
    detail = f"{len(alive)} alive, last loop {'never' if newest is None else f'{newest:.1f} s ago'}"
    is_late = newest is None or newest > OLD_LOOP.total_seconds()
    return Finding(name="scheduler", ok=not is_late, detail=detail, hint="See its messages; start it again.")


def workers(moment: datetime) -> Finding:
    """What waits for a worker must not wait for long."""
    alive = Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).count()
    queued = BlockRun.objects.filter(status=BlockStatus.QUEUED)
    stale = queued.filter(queued_at__lt=moment - OLD_HINT).exists()
    detail = f"{alive} alive, {queued.count()} block runs queued"
    if stale and not alive:
        hint = "Start workers: manage.py start, or manage.py qcluster."
        return Finding(name="workers", ok=False, detail=f"{detail}, some for over a minute", hint=hint)
    return Finding(name="workers", ok=True, detail=detail)


def never(moment: datetime) -> Finding:
    """What must never be, looked for here and now."""
    found = [each.detail for each in invariants.find(moment)]
    if not found:
        return Finding(name="invariants", ok=True, detail="nothing that must never be")
    more = f" … and {len(found) - 3} more" if found[3:] else ""
    hint = (
        "This is a fault of ours: please report it with the scheduler's messages. A restart of the scheduler may help."
    )
    return Finding(name="invariants", ok=False, detail=" ".join(found[:3]) + more, hint=hint)


def promises() -> Finding:
    """The figures that docs/settings.md explains."""
    plain = Settings()
    detail = (
        f"lease {settings.LEASE_SECONDS} s, heartbeat {settings.HEARTBEAT_SECONDS} s, "
        f"self-fence {settings.SELF_FENCE_SECONDS} s, kill grace {settings.KILL_GRACE_SECONDS} s, "
        f"drain {settings.DRAIN_SECONDS:g} s, {settings.LOST_WORKER_ATTEMPTS} lost workers per block, "
        f"logs up to {amount(settings.LOG_CAP_BYTES)}, scheduler poll {settings.SCHEDULER_POLL_SECONDS:g} s, "
        f"{settings.WORKERS} workers, {firing.BATCH} moments a batch, sweep {SWEEP_EVERY.seconds} s, "
        f"queued blocks named again after {REPEAT_BELL_AFTER.seconds} s, catch-up {plain.catchup} "
        f"({plain.catchup_window.total_seconds() / 3600:g} h, at most {plain.catchup_max})"
    )
    return Finding(name="promises", ok=True, detail=detail)
