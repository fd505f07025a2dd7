"""The scheduler loop and, beside it, a django-q2 cluster of workers."""

import signal
import sys
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.utils import timezone

from pipelines.commands import RefusingCommand
from pipelines.refusal import Refusal


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


class Loop:
    """Cluster first (before any database connection or thread exists), then the loop, then a stop bounded in time."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.stopping = threading.Event()
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
            cluster.stop(settings.DRAIN_SECONDS if self.signals < 2 else 0)
            if died:
                sys.stderr.write("error: the worker cluster ended unexpectedly\n")
                sys.exit(1)

    def start_cluster(self) -> Any:
        from django_q.conf import Conf

        from runs.cluster import EmbeddedCluster

        Conf.WORKERS = self.workers
        cluster = EmbeddedCluster()
        cluster.start()
        return cluster

    def watch(self, cluster: Any) -> None:
        """End this process when the cluster has died: whoever supervises us starts both again."""
        while not self.stopping.wait(1.0):
            if not cluster.is_alive():
                self.stopping.set()

    def on_signal(self, *_: object) -> None:
        self.signals += 1
        self.stopping.set()  # the loop sees it within a second; nothing else is safe in a signal handler
