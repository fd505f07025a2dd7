"""Is the machinery well: schedulers, workers, executors, and room on the disks, one line each."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from executors import registry
from runs.logs import amount
from runs.models import Worker, WorkerKind
from runs.reasons.ailing import ailing

QUIET = timedelta(seconds=30)  # unseen for longer than this, a process is gone
LONG_READY = timedelta(minutes=1)  # that long a block may wait for a worker without a word of it
KEPT = timedelta(seconds=30)  # the disks are looked at that often
LITTLE, SCARCE = 0.05, 0.01  # shares of a disk that are free


@dataclass(frozen=True)
class Line:
    """`state` is a word of `{% state %}`; `at` a time that is shown after the text."""

    name: str
    state: str
    text: str
    at: datetime | None = None

    @property
    def is_well(self) -> bool:
        return self.state in ("alive", "valid")


def lines(
    workers: Sequence[Worker], running: Mapping[str, int], moment: datetime, ready_since: datetime | None = None
) -> list[Line]:
    """`ready_since`: since when the oldest block that is ready waits for a worker."""
    alive = [each for each in workers if state_of(each, moment) == "alive"]
    return [
        of_schedulers(workers, moment),
        of_workers(workers, moment, ready_since),
        *of_executors(running, alive),
        *disks(moment),
    ]


def state_of(worker: Worker, moment: datetime) -> str:
    if worker.stopped_at:
        return "stopped"
    return "alive" if moment - worker.seen_at < QUIET else "gone"


def last_loop(workers: Sequence[Worker]) -> datetime | None:
    return max((each.last_loop_at for each in workers if each.last_loop_at), default=None)


def health(workers: Sequence[Worker], moment: datetime) -> dict[str, object]:
    """Say whether somebody keeps time and somebody works, and since when not."""
    alive = [each for each in workers if state_of(each, moment) == "alive"]
    looked = last_loop(workers)
    return {
        "last_loop": looked,
        "scheduler": "alive" if looked and moment - looked < QUIET else "gone",
        "workers": sum(each.kind == WorkerKind.WORKER for each in alive),
        "lag": max((each.lag for each in alive if each.kind == WorkerKind.SCHEDULER and each.lag), default=None),
    }


def of_schedulers(workers: Sequence[Worker], moment: datetime) -> Line:
    looked = last_loop(workers)
    if looked is None:
        return Line("Scheduler", "gone", "none has been at work within the day")
    own = [each for each in workers if each.kind == WorkerKind.SCHEDULER and state_of(each, moment) == "alive"]
    lag = max((each.lag for each in own if each.lag), default=timedelta(0))
    if moment - looked >= QUIET or not own:
        return Line("Scheduler", "gone", "last looked", looked)
    many = f"{len(own)} at work, " if len(own) > 1 else ""
    late = f"{lag.total_seconds():.1f} s late, " if lag > timedelta(seconds=5) else ""
    return Line("Scheduler", "late" if late else "alive", f"{many}{late}looked", looked)


def of_workers(workers: Sequence[Worker], moment: datetime, ready_since: datetime | None = None) -> Line:
    own = [each for each in workers if each.kind == WorkerKind.WORKER and not each.stopped_at]
    alive = [each for each in own if state_of(each, moment) == "alive"]
    busy = sum(bool(getattr(each, "held", 0)) for each in alive)
    gone = f"; {len(own) - len(alive)} not seen any more" if len(own) > len(alive) else ""
    if not alive:
        return Line("Workers", "gone", f"none is at work{gone}")
    if busy == len(alive) and ready_since and moment - ready_since >= LONG_READY:
        return Line(
            "Workers", "late", f"{len(alive)} alive, all busy{gone}; blocks wait for one, the first", ready_since
        )
    return Line("Workers", "late" if gone else "alive", f"{len(alive)} alive, {busy} busy{gone}")


def of_executors(running: Mapping[str, int], alive: Sequence[Worker] = ()) -> list[Line]:
    """Tell of each executor what runs on it, where it cannot start blocks, and of one that is not known any more."""
    found, ill = [], ailing(alive)
    for name in sorted({*registry.FACTORIES, *running}):
        count = running.get(name, 0)
        text = f"{count:,} block{'' if count == 1 else 's'} running" if count else "idle"
        is_known = name in registry.FACTORIES or name in registry.ALIASES
        if where := [each for each in ill if each.executor == name]:
            text = f"{'; '.join(each.sentence for each in where)}; {text}"
        state = "gone" if not is_known or where else "alive"
        found.append(Line(name, state, text if is_known else f"not known here; {text}"))
    return found


# --- disks ------------------------------------------------------------------------------------------------------------

_seen: list[tuple[datetime, list[Line]]] = []  # the last look of this process


def disks(moment: datetime) -> list[Line]:
    """Look at the disks, at most twice a minute."""
    if not _seen or not timedelta(0) <= moment - _seen[0][0] < KEPT:
        _seen[:] = [(moment, [storage("Storage", path) for path in folders()])]
    return _seen[0][1]


def folders() -> list[Path]:
    """Return where data, logs and variables are kept, once for each disk; what is elsewhere is not looked at."""
    found: dict[int, Path] = {}
    for place in (settings.DATA_DIR, settings.LOGS_URL, settings.VARIABLES_URL):
        path = Path(str(place).removeprefix("file://"))
        if path.is_absolute() and path.exists():
            found.setdefault(path.stat().st_dev, path)
    return list(found.values())


def storage(name: str, path: Path) -> Line:
    try:
        found = shutil.disk_usage(path)
    except OSError as error:
        return Line(name, "gone", f"{path}: {error.strerror}")
    if not os.access(path, os.W_OK):
        return Line(name, "gone", f"{path} cannot be written")
    share = found.free / (found.total or 1)
    state = "gone" if share < SCARCE else "late" if share < LITTLE else "alive"
    text = f"{amount(found.free)} of {amount(found.total)} free"
    return Line(name, state, text if state == "alive" else f"{text}: {path}")
