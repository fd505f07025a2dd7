"""The scheduler loop and, beside it, a django-q2 cluster of workers."""

import signal
import sys
import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.utils import timezone

from pipelines.commands import RefusingCommand
from pipelines.refusal import Refusal

LOOK_EVERY = 5.0  # seconds between looks for a cluster that hangs
STALLED_CLUSTER_HAS = 3.0  # seconds to hand back what its workers hold


class Command(RefusingCommand):
    help = (
        "Fire schedules when they are due, look after what is running, and do the work with a cluster of workers. "
        "Run as many as you like on Postgres; they share the work, and a moment is fired once whoever comes first."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workers", type=int, metavar="N", help="blocks at a time (default: WORKERS)")
        parser.add_argument("--no-workers", action="store_true", help="only the loop; workers run elsewhere (qcluster)")
        parser.add_argument("--once", action="store_true", help="one look at what is due, then exit; no workers")

    def handle(self, *args: Any, **options: Any) -> None:
        workers = options["workers"]
        if workers is not None and not 1 <= workers <= 256:
            raise Refusal(f"--workers {workers} is out of range.", field="workers", hint="Use 1 to 256.")
        if options["once"]:
            self.look_once()
            return
        note_project()
        Loop(0 if options["no_workers"] else workers or settings.WORKERS).run()

    def look_once(self) -> None:
        from pipelines import catalog
        from runs import recovery
        from schedules import scheduler
        from schedules.files import triggers_yaml

        moment = timezone.now()
        catalog.refresh(settings.PROJECT_DIR)
        triggers_yaml.sync(settings.PROJECT_DIR, moment)
        report = scheduler.tick(moment)
        recovery.due_timers(moment)
        recovery.sweep(moment)
        self.stdout.write(f"fired {report.fired}")


def note_project() -> None:
    from runs import one_project

    one_project.note(settings.PROJECT_DIR)


def hangs(watchdog: Any, cluster: Any) -> bool:
    """Ask the watchdog; an absent database is no stall."""
    from runs import clock

    try:
        return bool(watchdog.is_stalled(cluster.worker_pids(), clock.now()))
    except DatabaseError:
        return False
    finally:
        close_old_connections()


class Loop:
    """Cluster first (before any database connection or thread exists), then the loop, then a stop bounded in time."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.stopping = threading.Event()
        self.is_stalled = False
        self.signals = 0

    def run(self) -> None:
        cluster = self.start_cluster() if self.workers else None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)
        if cluster:
            threading.Thread(target=self.watch, args=(cluster,), daemon=True).start()
        from schedules import scheduler

        scheduler.run_forever(self.stopping)
        if cluster:
            died = not cluster.is_alive()
            if self.is_stalled:
                cluster.stop(0, STALLED_CLUSTER_HAS)
            else:
                cluster.stop(settings.DRAIN_SECONDS if self.signals < 2 else 0)
            if died or self.is_stalled:
                what = "left ready work for a minute" if self.is_stalled else "ended unexpectedly"
                sys.stderr.write(f"error: the worker cluster {what}\n")
                sys.exit(1)

    def start_cluster(self) -> Any:
        from django_q.conf import Conf

        from runs.working.cluster import EmbeddedCluster

        Conf.WORKERS = self.workers
        cluster = EmbeddedCluster()
        cluster.start()
        return cluster

    def watch(self, cluster: Any) -> None:
        """End this process when the cluster has died or hangs: whoever supervises us starts both again."""
        from runs.working.watchdog import Watchdog

        watchdog, look_at = Watchdog(), time.monotonic() + LOOK_EVERY
        while not self.stopping.wait(1.0):
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_EVERY
                self.is_stalled = hangs(watchdog, cluster)
            if self.is_stalled or not cluster.is_alive():
                self.stopping.set()

    def on_signal(self, *_: object) -> None:
        self.signals += 1
        self.stopping.set()  # the loop sees it within a second; nothing else is safe in a signal handler
