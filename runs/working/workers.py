"""This process's row among the workers: registered once, its lease renewed, marked stopped at the end."""

import os
import socket
from datetime import datetime, timedelta

from django.conf import settings

from runs.models import LEASED, BlockRun, Worker, WorkerKind
from runs.states import BlockStatus

FIRST_PID_SPACE = 0xEFFFFFFC  # the kernel's fixed number of the one outside all containers


def register(kind: WorkerKind, moment: datetime) -> Worker:
    """Make this process's row, one of each kind. An older one of the same host and pid is closed: that one is gone."""
    host = this_host()
    Worker.objects.filter(host=host, pid=os.getpid(), kind=kind, stopped_at=None).update(
        stopped_at=moment, lease_until=None
    )
    lease = moment + timedelta(seconds=settings.LEASE_SECONDS) if kind in LEASED else None
    return Worker.objects.create(
        kind=kind, host=host, pid=os.getpid(), started_at=moment, seen_at=moment, lease_until=lease
    )


def renew(worker: Worker, moment: datetime) -> None:
    """Make the lease last from now; one UPDATE, whatever the worker holds."""
    worker.seen_at, worker.lease_until = moment, moment + timedelta(seconds=settings.LEASE_SECONDS)
    worker.save(update_fields=["seen_at", "lease_until"])


def renew_if_due(worker: Worker, moment: datetime) -> None:
    if moment - worker.seen_at >= timedelta(seconds=settings.HEARTBEAT_SECONDS):
        renew(worker, moment)


def retire(worker: Worker, moment: datetime) -> None:
    Worker.objects.filter(pk=worker.pk).update(stopped_at=moment, lease_until=None)


def tidy_this_host(moment: datetime) -> int:
    """Look after the processes of this host from one beside them: see the living, end the leases of the dead.

    A dead worker's block runs are then taken up again at the next sweep instead of when the lease would have run
    out. Returns how many were found dead.
    """
    rows = Worker.objects.filter(host=this_host(), stopped_at=None)
    dead = [row.pk for row in rows if not is_alive(row.pid)]
    stale = moment - timedelta(seconds=settings.HEARTBEAT_SECONDS)
    idle = rows.filter(kind=WorkerKind.WORKER, seen_at__lt=stale).exclude(pk__in=dead)
    busy = BlockRun.objects.filter(status=BlockStatus.RUNNING, worker__in=rows).values("worker_id")
    if idle.exclude(pk__in=busy).exists():  # a busy one must prove by itself that it is well
        idle.exclude(pk__in=busy).update(seen_at=moment)
    if dead:
        Worker.objects.filter(pk__in=dead).update(stopped_at=moment, lease_until=moment - timedelta(seconds=1))
    return len(dead)


def pids_of_this_host() -> list[int]:
    """Return the process ids of the workers that have signed on here and not off."""
    rows = Worker.objects.filter(host=this_host(), kind=WorkerKind.WORKER, stopped_at=None)
    return list(rows.values_list("pid", flat=True))


def others_alive(kind: WorkerKind, moment: datetime) -> bool:
    """Tell whether another process of the kind is at work; one of this host must also still exist."""
    rows = Worker.objects.alive(moment).filter(kind=kind)
    return any(row.host != this_host() or (row.pid != os.getpid() and is_alive(row.pid)) for row in rows)


def this_host() -> str:
    """Name the place in which a pid means one process: containers may share a host name, but not their pids."""
    space = os.stat("/proc/self/ns/pid").st_ino
    return socket.gethostname() if space == FIRST_PID_SPACE else f"{socket.gethostname()}/{space}"


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and is more than an exit code that its parent has not asked for yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return True
