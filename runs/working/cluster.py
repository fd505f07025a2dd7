"""The django-q2 cluster beside a scheduler: two guards it needs, starting it, and a stop that is bounded in time.

The guards (both measured: without them a killed idle worker froze the cluster, a killed parent left half of it):
a queue between its processes without a lock to die with, and a death signal from the parent for every child.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import pickle
import select
import signal
import socket
import threading
from multiprocessing import util
from typing import Any

import psutil
from django.conf import settings
from django.db import connections

from runs import bell, tasks
from runs.working import stopping

logger = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
STOP = "STOP"  # django-q2's word to a worker


class SocketQueue:
    """A queue the kernel keeps: each message goes whole to one reader, and no lock outlives a killed one.

    The sentinel makes its queues right after it has reset its signals, and forks everything else afterwards: the
    place to make the cluster deaf to a SIGTERM for the whole process group (systemd's, a container's). The process
    that started it decides when it stops, and its death ends it.

    A queue with a `maxsize` is that of the hints: one for which there is no room is dropped (its row is named again).
    The process that puts them has more to do, most of all while every worker is busy: to send messages, to see who is
    alive.
    """

    def __init__(self, maxsize: int = 0, **_: Any) -> None:
        if multiprocessing.parent_process() is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.reader, self.writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.drops = bool(maxsize)
        if maxsize:
            self.writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(4608, 1500 * maxsize))

    def put(self, item: Any, *_: Any, **__: Any) -> None:
        data = pickle.dumps(item, -1)
        if not self.drops or item == STOP:
            self.writer.sendall(data)
            return
        with contextlib.suppress(BlockingIOError):
            self.writer.send(data, socket.MSG_DONTWAIT)

    def get(self, *_: Any, **__: Any) -> Any:
        # Only our own processes hold the other end, and only ids travel.
        return pickle.loads(self.reader.recv(1 << 18))  # noqa: S301

    def empty(self) -> bool:
        return not select.select([self.reader], [], [], 0)[0]

    def qsize(self) -> int:
        return 0 if self.empty() else 1

    def close(self) -> None:
        """Nothing to do: the sockets end with the process."""

    def join_thread(self) -> None:
        """Nothing to do: there is no feeder thread."""


def install_guards() -> None:
    """Replace django-q2's inner queue and tie its processes' lives to their parent's. Called once, when apps load."""
    import django_q.cluster
    from django_q.signals import post_spawn

    if not hasattr(django_q.cluster, "Queue"):  # a private name: the version is pinned
        raise RuntimeError("django_q.cluster.Queue is gone; this version of django-q2 is not the one we guard")
    django_q.cluster.Queue = SocketQueue
    django_q.cluster.Cluster.stop = stop_in_time
    util.register_after_fork(SocketQueue, die_with_parent)
    post_spawn.connect(warm_up, dispatch_uid="runs.warm_up")


def warm_up(**_: object) -> None:
    """A worker was forked: start its fork server before there is work."""
    tasks.warm_up()


def stop_in_time(cluster: Any) -> bool:
    """Stop at a signal to `qcluster`: its own way waits for running tasks for ever."""
    if not cluster.sentinel.is_alive():
        return False
    EmbeddedCluster(cluster).stop(settings.DRAIN_SECONDS)
    return True


def die_with_parent(_: object) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class EmbeddedCluster:
    """A django-q2 cluster as a part of this process tree. Start it before any database connection or thread."""

    def __init__(self, cluster: Any = None) -> None:
        from django_q.cluster import Cluster

        self.cluster: Any = cluster or Cluster()

    def start(self) -> None:
        connections.close_all()
        self.cluster.start()

    def is_alive(self) -> bool:
        return bool(self.cluster.sentinel and self.cluster.sentinel.is_alive())

    def worker_pids(self) -> set[int]:
        """Return the process ids of what the sentinel has forked: its workers are among them."""
        try:
            return {child.pid for child in psutil.Process(self.cluster.sentinel.pid).children()}
        except psutil.NoSuchProcess:
            return set()

    def stop(self, drain_seconds: float, kill_after: float = 10.0) -> None:
        """Claim no more; wait for running blocks; then give them back; in the end, end whatever is left."""
        stopping.begin()
        # In a thread: setting the event waits for its waiter, for ever if that was killed.
        threading.Thread(target=self.cluster.stop_event.set, daemon=True).start()
        bell.ring("queue")
        if not self.wait(drain_seconds):
            stopping.drain()
            if not self.wait(kill_after):
                logger.warning("the worker cluster did not stop in time and is ended")
                self.kill()

    def wait(self, seconds: float) -> bool:
        self.cluster.sentinel.join(seconds)
        return not self.is_alive()

    def kill(self) -> None:
        """End every process of the cluster; what they held is taken up again by recovery."""
        try:
            root = psutil.Process(self.cluster.sentinel.pid)
            processes = [*root.children(recursive=True), root]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.wait(2)
